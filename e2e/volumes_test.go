//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// odd fills /data with what backups get wrong: odd names, modes, links, holes, empty directories, many files.
const odd = `cd /data
mkdir -p "with blank/ünïcode" empty deep/$(printf 'd/%.0s' $(seq 40)) many
echo one > "with blank/ünïcode/new
line"
printf 'two' > 'quote'"'"'s $HOME *.txt'
: > zero
ln -s "with blank/ünïcode" link; ln -s /nowhere dangling
echo secret > private; chmod 600 private; echo tool > tool; chmod 750 tool; chmod 2770 empty
truncate -s 20M hole; head -c 3000000 /dev/urandom > random
for i in $(seq 1500); do echo "$i" > "many/$i"; done
touch -d 2001-02-03T04:05:06Z zero`

func TestVolumesOnSnapshotsAndFileProfile(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash(odd)
	before := w.Fingerprint()

	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))
	if backup.State != record.Complete || len(backup.Warnings) > 0 {
		t.Errorf("state %s, warnings %q; want complete without warnings", backup.State, backup.Warnings)
	}

	w.NothingLeft(backup.Run)
	w.Bash(`cd /data; rm -rf many random; echo changed > tool; echo extra > extra; chmod 777 private`)

	restore := w.Finished(w.Want(0, "restore", "--from", backup.Run, "-o", "json"))
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	w.SameFiles(before, w.Fingerprint())

	w.NothingLeft(restore.Run)
	w.Contains(w.Want(0, "get", "backups").Stdout, backup.Run)
	w.Contains(w.Want(0, "describe", backup.Run).Stdout, "complete", "backups", "statefulset/app")

	// The second backup of unchanged data stores next to nothing.
	again := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))
	for _, p := range again.Phases {
		if p.Progress != nil && p.Progress.BytesNew > 500_000 {
			t.Errorf("phase %s stored %d new bytes of unchanged data", p.Name, p.Progress.BytesNew)
		}
	}

	w.Want(0, "delete", "--from", backup.Run)

	if r := w.Kanister("restore", "--from", backup.Run); r.Code == 0 {
		t.Errorf("restoring a deleted backup succeeded:\n%s", r.Stderr)
	}

	if r := w.Want(0, "restore", "--from", "latest"); !strings.Contains(r.Stderr, again.Run) {
		t.Errorf("the latest backup is %s, restored was\n%s", again.Run, r.Stderr)
	}
}

func TestVolumesLiveAndS3(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.StatefulSet("local-path")
	w.Bash(odd)
	before := w.Fingerprint()

	backup := w.Finished(w.Want(0, "backup", "statefulset", "app", "-o", "json"))
	if !strings.Contains(strings.Join(backup.Warnings, "\n"), "live") {
		t.Errorf("warnings %q do not say that the volume was copied live", backup.Warnings)
	}

	keys := w.Keys(bucket)
	if len(keys) == 0 || !strings.HasPrefix(keys[0], "some/prefix/") {
		t.Errorf("keys %.10q are not below the profile's prefix", keys)
	}

	// The cluster's memory is lost: what lies beside the data is enough.
	w.Bash(`rm -rf /data/*`)
	w.Want(0, "forget", "--force", backup.Run)
	w.Want(2, "restore", "--from", backup.Run)

	entry := w.Object(bucket, "some/prefix/kanister-catalogue/"+w.Namespace+"/"+backup.Run+".json")
	w.Want(0, "restore", "--from", w.File("entry.json", string(entry)))
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	w.SameFiles(before, w.Fingerprint())
}

func TestVolumesQuiesceBringsTheWorkloadBack(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("local-path")
	w.Bash(`echo precious > /data/x`)

	uid := w.Kubectl("get", "pod", "app-0", "-o", "jsonpath={.metadata.uid}")
	backup := w.Finished(w.Want(0, "backup", "sts/app", "--quiesce=scale-down", "-o", "json"))
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	if w.Kubectl("get", "pod", "app-0", "-o", "jsonpath={.metadata.uid}") == uid {
		t.Error("the pod was not stopped during the backup")
	}

	if backup.State != record.Complete {
		t.Errorf("state %s", backup.State)
	}
}

func TestVolumesOfAClaimAndOfANamespace(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash(`echo precious > /data/x`)

	claim := w.Finished(w.Want(0, "backup", "pvc/data-app-0", "-o", "json"))
	namespace := w.Finished(w.Want(0, "backup", "ns/"+w.Namespace, "-o", "json"))

	if strings.Contains(fmt.Sprint(namespace.Artifacts), `"backups"`) {
		t.Errorf("the backup of the namespace holds the backups' own volume: %v", namespace.Artifacts)
	}

	for _, run := range []string{claim.Run, namespace.Run} {
		w.Bash(`echo broken > /data/x`)
		w.Want(0, "restore", "--from", run)
		w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

		if got := w.Bash(`cat /data/x`); got != "precious\n" {
			t.Errorf("restored from %s: %q", run, got)
		}
	}
}

// A volume that is gone with its claim comes back as it was.
func TestVolumesRestoreRecreatesAClaim(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash(`echo precious > /data/x`)

	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))

	w.Kubectl("scale", "sts/app", "--replicas=0")
	w.Kubectl("delete", "pvc", "data-app-0", "--wait")
	w.Want(0, "restore", "--from", backup.Run)
	w.Kubectl("scale", "sts/app", "--replicas=1")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	if got := w.Bash(`cat /data/x`); got != "precious\n" {
		t.Errorf("restored %q", got)
	}
}

// The worker that copies runs as the workload's user and has no more rights, in a namespace that enforces "restricted".
func TestVolumesUnreadableFilesAreCounted(t *testing.T) {
	t.Parallel()

	w := NewWorld(t, "baseline")
	w.FileProfile()
	w.StatefulSet("local-path")
	w.Bash(`echo precious > /data/x`)
	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: root}
spec:
  restartPolicy: Never
  containers:
    - {name: c, image: %s, imagePullPolicy: IfNotPresent, securityContext: {runAsUser: 0}, command: [bash, -c, "echo hidden > /data/hidden && chown 0:0 /data/hidden && chmod 600 /data/hidden"], volumeMounts: [{name: d, mountPath: /data}]}
  volumes: [{name: d, persistentVolumeClaim: {claimName: data-app-0}}]
`, toolsImage))
	w.Eventually(60*time.Second, func() string {
		if phase := w.Kubectl("get", "pod", "root", "-o", "jsonpath={.status.phase}"); phase != "Succeeded" {
			return "pod root is " + phase
		}

		return ""
	})

	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))
	if warnings := strings.Join(backup.Warnings, "\n"); !strings.Contains(warnings, "hidden") && backup.State == record.Complete {
		// Either the file was read with more rights, or its loss was said.
		w.Bash(`rm -f /data/hidden /data/x`)
		w.Want(0, "restore", "--from", backup.Run)
		w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")
		w.Contains(w.Bash(`ls -l /data`), "hidden")
	}
}
