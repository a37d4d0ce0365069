//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// Application with two replicas of two containers.
const execApp = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: app}
spec:
  serviceName: app
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - {name: main, image: "` + toolsImage + `", imagePullPolicy: Never, command: [sleep, "100000"], securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
        - {name: side, image: "` + toolsImage + `", imagePullPolicy: Never, command: [bash, -c, "trap 'exit 9' TERM; while :; do sleep 0.2; done"], securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
`

func TestFunctionKubeExec(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(execApp)
	w.Kubectl("rollout", "status", "sts/app", "--timeout=90s")

	exec := func(c *call, command ...any) (map[string]any, error) {
		return c.Do(t.Context(), "KubeExec", map[string]any{"namespace": w.Namespace, "pod": "app-0", "container": "main", "command": command})
	}

	t.Run("outputs", func(t *testing.T) {
		c := w.Call("exec")

		out, err := exec(c, "bash", "-c", `echo log; echo err >&2; echo '###Phase-output###: {"key":"a","value":"b"}'; echo '###Phase-output###: {"key":"no","value":"x"}' >&2`)
		if err != nil || len(out) != 1 || out["a"] != "b" {
			t.Errorf("%v, %v", out, err)
		}

		w.Contains(strings.Join(c.notes.lines, "\n"), "log", "err")
	})

	t.Run("large", func(t *testing.T) {
		out, err := exec(w.Call("exec"), "bash", "-c", `printf '###Phase-output###: {"key":"big","value":"'; head -c 3000000 /dev/zero | tr '\0' x; echo '"}'`)
		if err != nil || len(out["big"].(string)) != 3000000 {
			t.Errorf("%v", err)
		}
	})

	t.Run("exit", func(t *testing.T) {
		_, err := exec(w.Call("exec"), "bash", "-c", "echo out; echo why >&2; exit 7")

		f := failureOf(err)
		if f.Reason != kube.ReasonExit || *f.Exit != 7 || strings.Join(f.LastLogs, ",") != "stdout: out,stderr: why" {
			t.Errorf("%s", pretty(f))
		}
	})

	t.Run("secret", func(t *testing.T) {
		c := w.Call("exec")
		secret := "it's a \"needle\"\n$(in) `the` hay$$ \\ ä"
		c.Run.Params = &params.TemplateParams{Secrets: map[string]corev1.Secret{"db": {Data: map[string][]byte{"password": []byte(secret)}}}}

		out, err := exec(c, "bash", "-c", `v=$(printf %s "$1" | base64 -w0); echo '###Phase-output###: {"key":"a","value":"'$v'"}'; cat; echo "$#"`, "x", secret, "", "-n")
		if err != nil {
			t.Fatalf("%v %s", err, pretty(failureOf(err)))
		}

		if got := strings.Join(c.notes.lines, ""); got != "3" {
			t.Errorf("log %q", got)
		}

		if out["a"] != "aXQncyBhICJuZWVkbGUiCiQoaW4pIGB0aGVgIGhheSQkIFwgw6Q=" {
			t.Errorf("got %v", out)
		}
	})

	t.Run("invalid output", func(t *testing.T) {
		began := time.Now()
		if _, err := exec(w.Call("exec"), "bash", "-c", "echo '###Phase-output###: {'; sleep 60"); !kube.IsReason(err, kube.ReasonOutput) || time.Since(began) > 10*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})

	for name, tc := range map[string]struct{ pod, container, command, reason string }{
		"no pod":       {"nobody", "main", "true", kube.ReasonPodMissing},
		"no container": {"app-0", "nobody", "true", kube.ReasonContainerMissing},
		"no choice":    {"app-0", "", "true", kube.ReasonContainerMissing},
		"no command":   {"app-0", "main", "/no/such/thing", kube.ReasonContainerStart},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Call("exec").Do(t.Context(), "KubeExec", map[string]any{"namespace": w.Namespace, "pod": tc.pod, "container": tc.container, "command": tc.command})
			if !kube.IsReason(err, tc.reason) {
				t.Errorf("%s, want %s", pretty(failureOf(err)), tc.reason)
			}
		})
	}

	t.Run("all", func(t *testing.T) {
		c := w.Call("exec")

		out, err := c.Do(t.Context(), "KubeExecAll", map[string]any{
			"namespace": w.Namespace, "pods": "app-0 app-1", "containers": "main side",
			"command": []any{"bash", "-c", `echo '###Phase-output###: {"key":"'${HOSTNAME/-/_}'","value":"x"}'; echo '###Phase-output###: {"key":"last","value":"'$HOSTNAME'"}'`},
		})
		if err != nil || out["app_0"] != "x" || out["app_1"] != "x" || out["last"] != "app-1" {
			t.Errorf("%v, %v", out, err)
		}

		_, err = c.Do(t.Context(), "KubeExecAll", map[string]any{
			"namespace": w.Namespace, "pods": "app-0 app-1", "containers": "main", "command": []any{"bash", "-c", `[ $HOSTNAME = app-0 ]`},
		})
		if f := failureOf(err); f.Reason != kube.ReasonExit || !strings.Contains(err.Error(), "app-1") || !strings.Contains(err.Error(), "1 of 2") {
			t.Errorf("%s", pretty(f))
		}
	})

	t.Run("container restarted", func(t *testing.T) {
		_, err := w.Call("exec").Do(t.Context(), "KubeExec", map[string]any{"namespace": w.Namespace, "pod": "app-0", "container": "side", "command": []any{"bash", "-c", "sleep 1; kill -TERM 1; sleep 60"}})
		if f := failureOf(err); f.Reason != kube.ReasonInterrupted || !strings.Contains(f.Message, "exit code 9") {
			t.Error(pretty(f))
		}
	})

	t.Run("pod deleted", func(t *testing.T) {
		time.AfterFunc(time.Second, func() {
			w.run(t.Context(), nil, "kubectl", "-n", w.Namespace, "delete", "pod", "app-1", "--wait=false", "--grace-period=1")
		})

		_, err := w.Call("exec").Do(t.Context(), "KubeExec", map[string]any{"namespace": w.Namespace, "pod": "app-1", "container": "main", "command": []any{"sleep", "60"}})

		t.Log(pretty(failureOf(err)))

		if !kube.IsReason(err, kube.ReasonPodDeleted) && !kube.IsReason(err, kube.ReasonInterrupted) {
			t.Error(err)
		}
	})
}

func TestFunctionScaleWorkload(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(execApp)
	w.Apply(strings.NewReplacer("StatefulSet", "Deployment", "name: app", "name: dep", "app: app", "dep: dep", "  serviceName: app\n", "", "  podManagementPolicy: Parallel\n", "").Replace(execApp))
	w.Kubectl("rollout", "status", "sts/app", "--timeout=90s")

	c := w.Call("down")
	out := c.MustDo("ScaleWorkload", map[string]any{"namespace": w.Namespace, "name": "app", "kind": "StatefulSet", "replicas": "0"})

	if out["originalReplicaCount"] != int32(2) {
		t.Errorf("outputs %v", out)
	}

	if pods := w.Kubectl("get", "pods", "-l", "app=app", "-o", "name"); pods != "" {
		t.Errorf("pods are left: %s", pods)
	}

	if len(c.notes.undo) != 1 || c.notes.undo[0].Func != "ScaleWorkload" {
		t.Fatalf("undo %+v", c.notes.undo)
	}

	// The way back is what the engine would call.
	c.MustDo(c.notes.undo[0].Func, c.notes.undo[0].Args)

	if len(c.notes.undo) != 0 {
		t.Errorf("undo %+v", c.notes.undo)
	}

	c.MustDo("ScaleWorkload", map[string]any{"namespace": w.Namespace, "name": "app", "kind": "statefulset", "replicas": 2})

	if ready := w.Kubectl("get", "sts", "app", "-o", "jsonpath={.status.readyReplicas}"); ready != "2" {
		t.Errorf("%s ready", ready)
	}

	// Defaults come from the target.
	d := w.Call("dep")
	d.Run.Params = &params.TemplateParams{Deployment: &params.DeploymentParams{Name: "dep", Namespace: w.Namespace}}
	d.MustDo("ScaleWorkload", map[string]any{"replicas": 1})

	if pods := strings.Fields(w.Kubectl("get", "pods", "-l", "dep=dep", "-o", "name")); len(pods) != 1 {
		t.Errorf("pods %v", pods)
	}

	d.MustDo("ScaleWorkload", map[string]any{"replicas": 3})

	if _, err := w.Call("none").Do(t.Context(), "ScaleWorkload", map[string]any{"namespace": w.Namespace, "name": "nobody", "kind": "deployment", "replicas": 1}); !kube.IsReason(err, kube.ReasonNotFound) {
		t.Error(err)
	}

	if _, err := w.Call("kind").Do(t.Context(), "ScaleWorkload", map[string]any{"namespace": w.Namespace, "name": "app", "kind": "daemonset", "replicas": 1}); err == nil || !strings.Contains(err.Error(), "daemonset") {
		t.Error(err)
	}
}
