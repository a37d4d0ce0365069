//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func task(name, script string) string {
	return fmt.Sprintf(`      - func: KubeTask
        name: %s
        args:
          image: %s
          command:
            - bash
            - -euo
            - pipefail
            - -c
            - |
%s
`, name, toolsImage, indent(script, 14))
}

func indent(text string, by int) string {
	pad := strings.Repeat(" ", by)

	return pad + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+pad)
}

const output = `echo '###Phase-output###: {"key":"%s","value":"%s"}'`

func TestRunCarriesOutputsToArtifacts(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint(`    outputArtifacts:
      result:
        keyValue:
          second: "{{ .Phases.second.Output.b }}"
    phases:
` + task("first", fmt.Sprintf(output, "a", "from {{ .Deployment.Name }} {{ index .Options \"word\" }}")) +
		task("second", `echo "talk" >&2; `+fmt.Sprintf(output, "b", "{{ .Phases.first.Output.a }}!")))

	r := w.Want(0, "run", "test", "deploy/app", "--blueprint", file, "--option", "word=odd $(id) {{x}} =, ü", "-o", "json")
	run := w.Finished(r)

	if got := run.Artifacts["result"].KeyValue["second"]; got != "from app odd $(id) {{x}} =, ü!" {
		t.Errorf("artifact = %q", got)
	}

	w.NothingLeft(run.Run)

	if got := w.Kubectl("get", "cm", run.Run, "-o", "jsonpath={.data.state}"); got != "complete" {
		t.Errorf("flat key state = %q", got)
	}
}

func TestRunKubeExecOutputsAndFailure(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	pod := w.Deployment()
	exec := func(script string) string {
		return fmt.Sprintf(`    phases:
      - func: KubeExec
        name: inside
        args:
          namespace: "{{ .Deployment.Namespace }}"
          pod: "{{ index .Deployment.Pods 0 }}"
          container: main
          command: [bash, -c, %q]
    deferPhase:
      func: KubeTask
      name: after
      args:
        image: %s
        command: [bash, -c, "echo '###Phase-output###: {\"key\":\"ran\",\"value\":\"yes\"}'"]
`, script, toolsImage)
	}

	good := w.Finished(w.Want(0, "run", "test", "deploy/app", "--blueprint", w.Blueprint(exec(`hostname; `+fmt.Sprintf(output, "host", "$(hostname)"))), "-o", "json"))
	if got := good.Phases[0].Output["host"]; got != "$(hostname)" {
		t.Errorf("output = %q: single quotes must keep it as it is", got)
	}

	r := w.Want(3, "run", "test", "deploy/app", "--blueprint", w.Blueprint(exec("echo on stdout; echo broken pipe dream >&2; exit 42")), "-o", "json")
	w.Contains(r.Stderr, "inside", "KubeExec", "42", "broken pipe dream", pod)

	bad := w.Finished(r)
	if bad.State != record.Failed || bad.Defer == nil || bad.Defer.State != record.Complete || bad.Defer.Output["ran"] != "yes" {
		t.Errorf("state %s, deferPhase %+v; want failed, and the deferPhase complete", bad.State, bad.Defer)
	}

	if bad.Error == nil || bad.Error.Exit == nil || *bad.Error.Exit != 42 {
		t.Errorf("error = %+v, want exit code 42", bad.Error)
	}
}

func TestRunScalesBackWhatAFailureLeftDown(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint(`    phases:
      - func: ScaleWorkload
        name: stop
        args: {namespace: "{{ .Deployment.Namespace }}", name: app, kind: deployment, replicas: 0}
` + task("break", "exit 7"))

	bad := w.Finished(w.Want(3, "run", "test", "deploy/app", "--blueprint", file, "-o", "json"))
	if got := bad.Phases[0].Output["originalReplicaCount"]; fmt.Sprint(got) != "1" {
		t.Errorf("originalReplicaCount = %v", got)
	}

	w.Kubectl("rollout", "status", "deploy/app", "--timeout=30s")

	if got := w.Kubectl("get", "deploy", "app", "-o", "jsonpath={.spec.replicas}"); got != "1" {
		t.Errorf("replicas = %s after a failed run, want 1", got)
	}
}

func TestRunPrepareDataSeesTheVolumes(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.StatefulSet("csi-btrfs")
	w.Bash("echo precious > /data/x")
	file := w.Blueprint(fmt.Sprintf(`    phases:
      - func: ScaleWorkload
        name: stop
        args: {replicas: 0}
      - func: PrepareData
        name: change
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          image: %s
          volumes: {data-app-0: /there}
          command: [bash, -c, "cat /there/x; echo changed > /there/x"]
          podOverride: {securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000}}
      - func: ScaleWorkload
        name: start
        args: {replicas: "{{ .Phases.stop.Output.originalReplicaCount }}"}
`, toolsImage))
	w.Want(0, "run", "test", "sts/app", "--blueprint", file)

	if got := w.Bash("cat /data/x"); got != "changed\n" {
		t.Errorf("file holds %q", got)
	}
}

func TestRunCancelRunsDeferPhaseAndUndo(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint(`    phases:
      - func: ScaleWorkload
        name: stop
        args: {replicas: 0}
` + task("long", "trap 'exit 1' TERM; sleep 600 & wait") + `    deferPhase:
      func: KubeTask
      name: after
      args: {image: ` + toolsImage + `, command: [bash, -c, "echo swept"]}
`)

	r := w.Want(0, "run", "test", "deploy/app", "--blueprint", file, "--detach", "-o", "name")
	run := strings.TrimPrefix(strings.TrimSpace(r.Stdout), "run/")
	w.Eventually(60*time.Second, func() string {
		if phase := w.Kubectl("get", "cm", run, "-o", "jsonpath={.data.phase}"); phase != "long" {
			return "in phase " + phase
		}

		return ""
	})
	w.Want(5, "wait", run, "--timeout", "1s")
	w.Want(0, "cancel", run)
	w.Want(3, "wait", run, "--timeout", "60s")

	rec := w.Record(run)
	if rec.State != record.Cancelled || rec.Defer == nil || rec.Defer.State != record.Complete {
		t.Errorf("state %s, deferPhase %+v", rec.State, rec.Defer)
	}

	w.Kubectl("rollout", "status", "deploy/app", "--timeout=30s")
	w.NothingLeft(run)
}

func TestRunDryRunChangesNothingAndAppliesToTheSame(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	file := w.Blueprint("    phases:\n" + task("only", fmt.Sprintf(output, "a", "b")))
	before := w.Kubectl("get", "all,cm,secret,sa,role,rolebinding", "-o", "name")

	for _, how := range []string{"client", "server"} {
		w.Contains(w.Want(0, "run", "test", "deploy/app", "--blueprint", file, "--dry-run="+how, "-o", "yaml").Stdout, "kind: Job", "kind: Role", "kind: Secret")
	}

	if after := w.Kubectl("get", "all,cm,secret,sa,role,rolebinding", "-o", "name"); after != before {
		t.Errorf("--dry-run changed the cluster\nbefore: %s\nafter: %s", before, after)
	}

	w.Apply(w.Want(0, "run", "test", "deploy/app", "--blueprint", file, "--name", "by-apply", "--dry-run=client", "-o", "yaml").Stdout)
	w.Want(0, "wait", "by-apply", "--timeout", "60s")

	if got := w.Record("by-apply").Phases[0].Output["a"]; got != "b" {
		t.Errorf("output = %v", got)
	}
	// What was applied without an owner goes with the Job all the same.
	w.Kubectl("delete", "job", "by-apply", "--wait")
	w.Eventually(30*time.Second, func() string {
		return strings.TrimSpace(w.Kubectl("get", "secret,sa,role,rolebinding", "-l", "kanister.io/run=by-apply", "-o", "name"))
	})
}
