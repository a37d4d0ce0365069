//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// The reference's examples through a server from kopia's own command line; no profile is involved.
func TestFunctionKopiaServerOfARepositoryServer(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.kopiaApp()
	certificate := w.kopiaServer()
	server := w.serverManifest("server", certificate, kopiaUsers)
	blueprint := w.File("blueprint.yaml", kopiaBlueprint)
	do := func(args ...string) record.Record {
		t.Helper()

		if args[0] == "backup" { // the rest is told by the backup's record
			args = append(args, "--repository-server", server)
		}

		rec := w.Finished(w.Want(0, append(args, "-o", "json")...))
		w.NothingLeft(rec.Run)

		return rec
	}

	before := w.appFiles()
	backup := do("backup", "deploy/app", "--blueprint", blueprint)
	artifact := backup.Artifacts["backupIdentifier"].KeyValue

	if len(artifact["id"]) != 32 || !strings.HasSuffix(artifact["size"], " MB") || !strings.HasSuffix(artifact["phySize"], "B") {
		t.Errorf("outputs %v", artifact)
	}

	// kopia's own command line finds it in the store behind the server, and can read all of it.
	kopia := func(args ...string) string {
		return w.Kubectl(append([]string{"exec", "deploy/kopia", "-c", "server", "--", "kopia-cli"}, args...)...)
	}
	w.Contains(kopia("snapshot", "list", "--all", "--json"), artifact["id"], `"userName":"app"`, `"host":"alpha.host"`, `"path":"/mnt/data"`)
	kopia("snapshot", "verify", "--verify-files-percent=100", artifact["id"])

	w.inApp(spoil)
	do("restore", "--from", backup.Run)
	w.ready("app")
	w.SameFiles(before, w.appFiles())

	// An ActionSet's reference is followed: to a RepositoryServer that stands in the same file, and to a custom resource.
	asSet := func(set string, more ...string) record.Record {
		t.Helper()

		rec := w.Finished(w.Want(0, append([]string{"run", "-o", "json", "-f", w.File("set.yaml", set), "-f", blueprint}, more...)...))
		w.NothingLeft(rec.Run)

		return rec
	}
	tagged := asSet(kopiaActionSet("tagged", ""), "-f", server)
	w.Contains(kopia("snapshot", "list", "--all", "--json", "--tags", "team:red"), tagged.Artifacts["backupIdentifier"].KeyValue["id"], `"host":"beta.host"`, "before an upgrade")
	w.inApp(spoil)
	w.upstreamKinds()
	w.Kubectl("apply", "-f", server)
	asSet(kopiaActionSet("volume", tagged.Artifacts["backupIdentifier"].KeyValue["id"]))
	w.SameFiles(before, w.appFiles())

	do("delete", "--from", backup.Run)

	if list := kopia("snapshot", "list", "--all", "--json"); strings.Contains(list, artifact["id"]) {
		t.Errorf("the snapshot is still there: %s", list)
	}

	other, _ := w.certificate()

	for name, test := range map[string]struct {
		file string
		says []string
	}{
		"fingerprint": {w.serverManifest("fingerprint", other, kopiaUsers), []string{"fingerprint", "tls.crt"}},
		"password":    {w.serverManifest("password", certificate, `{alpha.host: another password}`), []string{"app@alpha.host", "user or password is wrong", "kopia server user list"}},
		"user":        {w.serverManifest("user", certificate, `{stranger.host: password of alpha}`), []string{"app@stranger.host"}},
	} {
		r := w.Want(3, "backup", "deploy/app", "--blueprint", blueprint, "--repository-server", test.file)
		w.Contains(r.Stderr, test.says...)

		if r.Took > time.Minute {
			t.Errorf("%s: it took %s to say so", name, r.Took)
		}
	}

	w.Kubectl("scale", "deploy/kopia", "--replicas=0")
	w.Kubectl("wait", "pod", "-l", "app=kopia", "--for=delete", "--timeout=60s")

	r := w.Want(3, "backup", "deploy/app", "--blueprint", blueprint, "--repository-server", server)
	w.Contains(r.Stderr, "kopia."+w.Namespace+".svc.cluster.local:51515", "refused")
}

// A server that is killed while data flows fails the run within a bound, which says what is gone and leaves nothing. When the server is
// back, the next run does the work.
func TestFunctionKopiaServerKilled(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.kopiaApp()
	server := w.serverManifest("server", w.kopiaServer(), kopiaUsers)
	blueprint := w.File("blueprint.yaml", kopiaBlueprint)

	w.inApp("head -c 200M /dev/urandom > /mnt/data/large")

	before := w.appFiles()
	backup := w.Finished(w.Want(0, "backup", "deploy/app", "--blueprint", blueprint, "--repository-server", server, "-o", "json"))

	w.inApp("head -c 200M /dev/urandom > /mnt/data/large; rm /mnt/data/tool")
	w.killKopiaDuring("backup", "deploy/app", "--blueprint", blueprint, "--repository-server", server)
	w.killKopiaDuring("restore", "--from", backup.Run)

	if n := w.Kubectl("get", "deploy/app", "-o", "jsonpath={.spec.replicas}"); n != "0" {
		t.Errorf("the application runs with %s replicas on half a restore", n)
	}

	w.Want(0, "restore", "--from", backup.Run)
	w.ready("app")
	w.SameFiles(before, w.appFiles())
}

// killKopiaDuring takes the server away while the run that args begin moves data, and brings it back when the run has failed.
func (w *World) killKopiaDuring(args ...string) {
	w.Helper()

	// So slow that there is time to do it.
	override := w.File("slow.yaml", `containers: [{name: container, resources: {requests: {cpu: 1m}, limits: {cpu: 100m}}}]`)
	run := w.start(append(args, "--pod-override", override)...)

	var at int // the phase that moves data

	w.Eventually(90*time.Second, func() string {
		now := w.Record(run)
		at = slices.IndexFunc(now.Phases, func(p record.Phase) bool { return p.Progress != nil && p.Progress.BytesDone >= 1<<20 })

		if at < 0 {
			return fmt.Sprintf("no data flows: %+v", now.Phases)
		}

		return ""
	})

	began := time.Now()
	w.Kubectl("delete", "pod", "-l", "app=kopia", "--grace-period=0", "--force", "--wait=false")
	w.Kubectl("scale", "deploy/kopia", "--replicas=0")

	if done := w.Record(run).Phases[at].Progress.BytesDone; done >= 200<<20 {
		w.Errorf("%s: %d bytes had been moved before the server was gone: the test proves nothing", args[0], done)
	}

	w.Contains(w.Want(3, "wait", run, "--timeout", "4m").Stderr, "kopia."+w.Namespace+".svc.cluster.local:51515", "the repository server", "start the run again")
	w.NothingLeft(run)
	w.Logf("%s: %s after the server had gone: %v", args[0], time.Since(began).Round(time.Second), w.Record(run).Error)

	if took := time.Since(began); took > 3*time.Minute {
		w.Errorf("%s: it took %s to fail", args[0], took)
	}

	w.Kubectl("scale", "deploy/kopia", "--replicas=1")
	w.ready("kopia")
}

// The same blueprint without a RepositoryServer: the run serves the profile's repository.
func TestFunctionKopiaServerServedByTheRun(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.S3Profile()
	w.kopiaApp()
	blueprint := w.File("blueprint.yaml", kopiaBlueprint)
	do := func(args ...string) record.Record {
		t.Helper()

		rec := w.Finished(w.Want(0, append(args, "-o", "json")...))
		w.NothingLeft(rec.Run)

		return rec
	}

	before := w.appFiles()
	backup := do("backup", "deploy/app", "--blueprint", blueprint)

	if !slices.ContainsFunc(backup.Events, func(e record.Event) bool {
		return strings.Contains(e.Message, "the runner serves the repository at https://")
	}) {
		t.Errorf("events %v", backup.Events)
	}

	w.inApp(spoil)
	do("restore", "--from", backup.Run)
	w.ready("app")
	w.SameFiles(before, w.appFiles())

	w.inApp(spoil)
	do("run", "direct", "deploy/app", "--from", backup.Run, "--blueprint", blueprint)
	w.SameFiles(before, w.appFiles())

	do("delete", "--from", backup.Run)

	r := w.Want(3, "run", "volume", "deploy/app", "--artifact", "backupIdentifier.id="+backup.Artifacts["backupIdentifier"].KeyValue["id"], "--blueprint", blueprint)
	w.Contains(r.Stderr, "no such snapshot", "--repository-server")

	w.Want(2, "backup", "deploy/app", "--blueprint", blueprint, "--repository-server", "nobody")
}
