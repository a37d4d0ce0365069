//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// start runs an action detached and returns the run's name.
func (w *World) start(args ...string) string {
	w.Helper()

	r := w.Want(0, append(args, "--detach", "-o", "name")...)

	return strings.TrimPrefix(strings.TrimSpace(r.Stdout), "run/")
}

// inPhase waits until a run is in a phase.
func (w *World) inPhase(run, phase string) {
	w.Helper()
	w.Eventually(90*time.Second, func() string {
		if now := w.Kubectl("get", "cm", run, "--ignore-not-found", "-o", "jsonpath={.data.phase}/{.data.state}"); now != phase+"/running" {
			return "in " + now
		}

		return ""
	})
}

// workers are the pods of a run that are not its runner.
func (w *World) workers(run string) []string {
	w.Helper()

	return strings.Fields(w.Kubectl("get", "pods", "-l", "kanister.io/run="+run+",!batch.kubernetes.io/job-name", "-o", "jsonpath={.items[*].metadata.name}"))
}

func (w *World) runner(run string) string {
	w.Helper()

	return strings.TrimSpace(w.Kubectl("get", "pods", "-l", "batch.kubernetes.io/job-name="+run, "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}"))
}

func TestBadTargets(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Contains(w.Want(2, "backup", "deploy/nope").Stderr, "nope", w.Namespace, "hint:")
	w.Deployment()
	w.Contains(w.Want(2, "backup", "deploy/app").Stderr, "hint:", "profile")
	w.FileProfile()
	w.Contains(w.Want(2, "backup", "deploy/app").Stderr, "app", "volume")
	w.Contains(w.Want(2, "backup", "widget/app").Stderr, "widget")
	w.Contains(w.Want(2, "restore", "--from", "no-such-run").Stderr, "no-such-run")

	if left := w.Kubectl("get", "jobs,cm", "-l", "kanister.io/run", "-o", "name"); left != "" {
		t.Errorf("refused runs left %s", left)
	}
}

func TestBadBlueprintsAreRefusedWithFileAndLine(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()

	for name, c := range map[string]struct{ phases, want string }{
		"unknown function": {"    phases:\n      - {func: KubeTusk, name: a, args: {}}\n", "KubeTask"},
		"unknown field":    {"    phases:\n      - {func: KubeTask, nmae: a, args: {image: x, command: [x]}}\n", "name"},
		"unknown argument": {"    phases:\n      - {func: KubeTask, name: a, args: {imgae: x, command: [x]}}\n", "image"},
		"missing argument": {"    phases:\n      - {func: KubeTask, name: a, args: {image: x}}\n", "command"},
		"duplicate phase":  {"    phases:\n" + task("a", "true") + task("a", "true"), "a"},
		"broken template":  {"    phases:\n" + task("a", "echo {{ .Deployment.Name"), "blueprint.yaml:"},
		"later phase":      {"    phases:\n" + task("a", "echo {{ .Phases.b.Output.x }}") + task("b", "true"), "b"},
	} {
		file := w.Blueprint(c.phases)
		r := w.Kanister("run", "test", "deploy/app", "--blueprint", file)

		if r.Code != 2 || !strings.Contains(r.Stderr, "blueprint.yaml:") || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%s: exit code %d, want 2 with file, line and %q:\n%s", name, r.Code, c.want, r.Stderr)
		}

		if v := w.Kanister("validate", "-f", file); v.Code != 2 || !strings.Contains(v.Stdout+v.Stderr, c.want) {
			t.Errorf("%s: validate: exit code %d:\n%s%s", name, v.Code, v.Stdout, v.Stderr)
		}
	}

	if left := w.Kubectl("get", "jobs,cm", "-l", "kanister.io/run", "-o", "name"); left != "" {
		t.Errorf("refused runs left %s", left)
	}
}

func TestBadStores(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.StatefulSet("csi-btrfs")
	w.Bash("echo precious > /data/x")
	w.Contains(w.Want(0, "profile", "check", "store").Stderr, "put", "list", "delete")

	profile := func(name string, args ...string) {
		w.Want(0, append([]string{"profile", "create", "s3", name, "--bucket", bucket, "--endpoint", env(t, "S3_ENDPOINT"),
			"--region", env(t, "S3_REGION")}, args...)...)
	}
	key, secret, ca := env(t, "AWS_ACCESS_KEY_ID"), env(t, "AWS_SECRET_ACCESS_KEY"), env(t, "S3_CA_FILE")

	profile("wrong-secret", "--ca-bundle", ca, "--access-key", key, "--secret-key", secret+"x")
	profile("no-ca", "--access-key", key, "--secret-key", secret)
	profile("no-bucket", "--ca-bundle", ca, "--access-key", key, "--secret-key", secret, "--bucket", "no-such-bucket-at-all")
	profile("no-host", "--ca-bundle", ca, "--access-key", key, "--secret-key", secret, "--endpoint", "https://s3.nowhere.svc")

	for name, want := range map[string]string{
		"wrong-secret": "secret", "no-ca": "certificate", "no-bucket": "no-such-bucket-at-all", "no-host": "s3.nowhere.svc",
	} {
		for _, args := range [][]string{{"profile", "check", name}, {"backup", "sts/app", "--profile", name}} {
			r := w.Want(3, args...)
			w.Contains(r.Stderr, want, "hint:")

			if strings.Contains(r.Stderr, secret) {
				t.Errorf("%q shows the secret key", args)
			}
		}
	}

	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))
	// A lost password: the repository is there and must stay untouched.
	profile("wrong-password", "--ca-bundle", ca, "--access-key", key, "--secret-key", secret, "--prefix", "some/prefix",
		"--repository-password-file", w.File("password", "not the one"))
	keys := len(w.Keys(bucket))
	w.Contains(w.Want(3, "restore", "--from", backup.Run, "--profile", "wrong-password").Stderr, "password", "hint:")
	w.Contains(w.Want(3, "backup", "sts/app", "--profile", "wrong-password").Stderr, "password", "hint:")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	if now := len(w.Keys(bucket)); now != keys {
		t.Errorf("%d objects after runs with a wrong password, %d before", now, keys)
	}

	if got := w.Bash("cat /data/x"); got != "precious\n" {
		t.Errorf("a failed restore changed the data: %q", got)
	}

	w.dropBucket(bucket)
	w.Contains(w.Want(3, "restore", "--from", backup.Run).Stderr, bucket, "hint:")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")
	// So that the clean-up finds what it expects.
	if _, err := w.S3().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
}

func TestBadRunnerImageIsSaidWithinSeconds(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint("    phases:\n" + task("only", "true"))
	r := w.Want(3, "run", "test", "deploy/app", "--blueprint", file, "--runner-image", "kubectl-kanister/missing:v9", "--image-pull-policy", "Never")
	w.Contains(r.Stderr, "kubectl-kanister/missing:v9", "hint:")

	if r.Took > 20*time.Second {
		t.Errorf("took %s to say so", r.Took)
	}

	run := strings.TrimSpace(w.Kubectl("get", "cm", "-l", "kanister.io/run", "-o", "jsonpath={.items[0].metadata.name}"))
	if rec := w.Record(run); rec.State != record.Failed {
		t.Errorf("record says %s", rec.State)
	}

	w.Eventually(30*time.Second, func() string {
		return strings.TrimSpace(w.Kubectl("get", "jobs,pods,secrets,roles", "-l", "kanister.io/run="+run, "-o", "name"))
	})
}

func TestBadTaskImageIsSaidWithinSeconds(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint(`    phases:
      - func: KubeTask
        name: only
        args: {image: "kubectl-kanister/missing:v9", command: ["true"], podOverride: {containers: [{name: container, imagePullPolicy: Never}]}}
`)
	r := w.Want(3, "run", "test", "deploy/app", "--blueprint", file, "-o", "json")
	w.Contains(r.Stderr, "kubectl-kanister/missing:v9", "only")

	if r.Took > 30*time.Second {
		t.Errorf("took %s to say so", r.Took)
	}

	w.NothingLeft(w.Finished(r).Run)
}

func TestBadRecordOverItsBudgetLosesNothing(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Deployment()
	// 1.5 MiB that do not compress below the budget, in one output, and an artifact made of it.
	file := w.Blueprint(`    outputArtifacts:
      big: {keyValue: {size: "{{ len .Phases.big.Output.big }}"}}
    phases:
` + task("big", `v=$(head -c 1200000 /dev/urandom | base64 -w0); echo "###Phase-output###: {\"key\":\"big\",\"value\":\"$v\"}"`))

	run := w.Finished(w.Want(0, "run", "test", "deploy/app", "--blueprint", file, "--profile", "store", "-o", "json"))
	if got := run.Artifacts["big"].KeyValue["size"]; got != "1600000" {
		t.Errorf("size = %s, want 1600000", got)
	}

	if len(w.Keys(bucket)) == 0 {
		t.Error("nothing was spilled to the location")
	}

	w.Contains(w.Want(3, "run", "test", "deploy/app", "--blueprint", file, "--name", "no-place").Stderr, "big", "profile")
}

func TestBadTwoBackupsOfOneTargetAtOnce(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash("head -c 5000000 /dev/urandom > /data/x")

	before := w.Fingerprint()
	results := make([]Result, 2)

	var wait sync.WaitGroup
	for i := range results {
		wait.Go(func() { results[i] = w.Kanister("backup", "sts/app", "-o", "json") })
	}

	wait.Wait()

	for _, r := range results {
		if r.Code != 0 {
			t.Fatalf("exit code %d:\n%s", r.Code, r.Stderr)
		}

		run := w.Finished(r).Run
		w.Bash("rm /data/x")
		w.Want(0, "restore", "--from", run)
		w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

		if w.Fingerprint() != before {
			t.Errorf("restored from %s: files differ", run)
		}
	}
}

func TestBadRunnerDeletedIsResumed(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint("    phases:\n" +
		task("first", `echo "###Phase-output###: {\"key\":\"id\",\"value\":\"$RANDOM$RANDOM\"}"`) +
		task("second", `sleep 12; echo "###Phase-output###: {\"key\":\"id\",\"value\":\"{{ .Phases.first.Output.id }}\"}"`))
	run := w.start("run", "test", "deploy/app", "--blueprint", file)
	w.inPhase(run, "second")
	w.Eventually(30*time.Second, func() string {
		if len(w.workers(run)) == 0 {
			return "no worker pod"
		}

		return ""
	})

	worker, id := w.workers(run), w.Record(run).Phases[0].Output["id"]
	w.Kubectl("delete", "pod", w.runner(run), "--grace-period=0", "--force")
	w.Want(0, "wait", run, "--timeout", "120s")

	rec := w.Record(run)
	if rec.Attempts < 2 || rec.Phases[0].Output["id"] != id || rec.Phases[1].Output["id"] != id {
		t.Errorf("attempts %d, outputs %v and %v, want 2 or more and %v", rec.Attempts, rec.Phases[0].Output, rec.Phases[1].Output, id)
	}

	if pods := rec.Phases[1].Pods; len(pods) != 1 || pods[0].Name != worker[0] {
		t.Errorf("pods of the interrupted phase: %v, want only the adopted %v", pods, worker)
	}

	w.NothingLeft(run)
}

func TestBadWorkerOutOfMemory(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint(`    phases:
      - func: KubeTask
        name: greedy
        args:
          image: ` + toolsImage + `
          command: [bash, -c, "echo eating; x=$(yes | head -c 500000000); echo ${#x}"]
          podOverride: {containers: [{name: container, resources: {limits: {memory: 64Mi}}}]}
`)
	r := w.Want(3, "run", "test", "deploy/app", "--blueprint", file, "-o", "json")
	w.Contains(r.Stderr, "greedy", "OOMKilled", "memory")

	if rec := w.Finished(r); rec.Error == nil || rec.Error.Reason != "OOMKilled" {
		t.Errorf("error = %+v", rec.Error)
	}
}

func TestBadApplicationRestartedDuringKubeExec(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	pod := w.Deployment()
	file := w.Blueprint(`    phases:
      - func: KubeExec
        name: inside
        args: {namespace: "{{ .Deployment.Namespace }}", pod: "{{ index .Deployment.Pods 0 }}", container: main, command: [bash, -c, "echo begun; sleep 300"]}
`)
	run := w.start("run", "test", "deploy/app", "--blueprint", file)
	w.inPhase(run, "inside")
	time.Sleep(time.Second)
	w.Kubectl("delete", "pod", pod, "--grace-period=1")
	w.Contains(w.Want(3, "wait", run, "--timeout", "60s").Stderr, "inside", pod)
}

func TestBadPluginInterruptedDetaches(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint("    phases:\n" + task("only", "sleep 8"))

	cmd := exec.CommandContext(t.Context(), "timeout", "--preserve-status", "--signal=INT", "4", env(t, "KANISTER_PLUGIN"), "-n", w.Namespace,
		"run", "test", "deploy/app", "--blueprint", file, "--name", "left-alone")

	said, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("exit code %d (%v), want 130:\n%s", cmd.ProcessState.ExitCode(), err, said)
	}

	w.Contains(string(said), "kubectl kanister wait left-alone", "kubectl kanister cancel left-alone")
	w.Want(0, "wait", "left-alone", "--timeout", "60s")
}

func TestBadQuotaIsSaid(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	w.Apply(`
apiVersion: v1
kind: ResourceQuota
metadata: {name: full}
spec: {hard: {pods: "1"}}
`)
	file := w.Blueprint("    phases:\n" + task("only", "true"))
	r := w.Kanister("run", "test", "deploy/app", "--blueprint", file, "--start-timeout", "10s")

	if r.Code != 3 {
		t.Errorf("exit code %d, want 3", r.Code)
	}

	w.Contains(r.Stderr, "quota")
}

// Not parallel: it takes the API server away from everybody.
func TestBadAPIServerRestartedDuringARun(t *testing.T) {
	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint("    phases:\n" + task("long", "sleep 10") + task("last", fmt.Sprintf(output, "a", "b")))

	var r Result

	done := make(chan struct{})

	go func() {
		defer close(done)

		r = w.Kanister("run", "test", "deploy/app", "--blueprint", file, "--name", "over-restart", "-o", "json")
	}()

	w.inPhase("over-restart", "long")

	restart := exec.CommandContext(t.Context(), "go", "run", "./cluster", "restart", "kube-apiserver")
	restart.Dir = "../hack"

	if out, err := restart.CombinedOutput(); err != nil {
		t.Fatalf("restarting the API server: %v\n%s", err, out)
	}

	<-done

	if r.Code != 0 {
		t.Fatalf("exit code %d:\n%s", r.Code, r.Stderr)
	}

	if rec := w.Finished(r); rec.State != record.Complete || rec.Phases[1].Output["a"] != "b" {
		t.Errorf("record = %+v", rec)
	}

	if _, err := w.Client.CoreV1().ConfigMaps(w.Namespace).Get(t.Context(), "over-restart", metav1.GetOptions{}); err != nil {
		t.Errorf("record: %v", err)
	}
}
