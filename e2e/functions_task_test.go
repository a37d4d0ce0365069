//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

func bash(script string) []any { return []any{"bash", "-c", script} }

func TestFunctionKubeTask(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := w.Call("takeDump")
	out := c.MustDo("KubeTask", map[string]any{
		"image":     toolsImage,
		"command":   bash(`echo one; echo 'text ###Phase-output###: {"key":"size","value":"7 MiB"}'; echo two >&2; printf '###Phase-output###: {"key":"last","value":"no newline"}'`),
		"podLabels": map[string]any{"team": "a"}, "podAnnotations": map[string]any{"note": "b"},
	})

	if out["size"] != "7 MiB" || out["last"] != "no newline" {
		t.Errorf("outputs %v", out)
	}

	w.Contains(strings.Join(c.notes.lines, "\n"), "one", "two")
	c.NoPods()

	if len(c.notes.pods) != 1 {
		t.Errorf("pods noted: %v", c.notes.pods)
	}
}

// Outputs of megabytes, on one line each, and a hundred thousand lines of log, each exactly once.
func TestFunctionKubeTaskLargeOutput(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := w.Call("large")
	out := c.MustDo("KubeTask", map[string]any{"image": toolsImage, "command": bash(`
		seq 1 100000
		printf '###Phase-output###: {"key":"big","value":"'; head -c 1500000 /dev/zero | tr '\0' x; echo '"}'
		seq 100001 100100`)})

	if len(out["big"].(string)) != 1500000 {
		t.Errorf("big has %d bytes", len(out["big"].(string)))
	}

	for i, line := range c.notes.lines {
		if line != fmt.Sprint(i+1) {
			t.Fatalf("line %d of the log is %q", i+1, line)
		}
	}

	if len(c.notes.lines) != 100100 {
		t.Errorf("%d lines", len(c.notes.lines))
	}
}

func TestFunctionKubeTaskFailures(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)

	t.Run("all", func(t *testing.T) { taskFailures(t, w) })
	w.Call("x").NoPods()
}

func taskFailures(t *testing.T, w *World) {
	for name, tc := range map[string]struct {
		args   map[string]any
		reason string
		exit   int
		says   []string
		within time.Duration
	}{
		"exit": {
			args:   map[string]any{"image": toolsImage, "command": bash("echo before; echo the reason >&2; exit 3")},
			reason: kube.ReasonExit, exit: 3, says: []string{"exit code 3", "the reason"}, within: 15 * time.Second,
		},
		"noimage": {
			args:   map[string]any{"image": "registry.invalid/team/nothing:1", "command": bash("true"), "podOverride": map[string]any{"containers": []any{map[string]any{"name": "container", "imagePullPolicy": "Never"}}}},
			reason: kube.ReasonImagePull, says: []string{"registry.invalid/team/nothing:1"}, within: 10 * time.Second,
		},
		"badname": {
			args:   map[string]any{"image": "UPPER/case:::", "command": bash("true")},
			reason: kube.ReasonImagePull, says: []string{"UPPER/case:::"}, within: 10 * time.Second,
		},
		"nocommand": {
			args:   map[string]any{"image": toolsImage, "command": []any{"/no/such/program"}},
			reason: kube.ReasonContainerStart, says: []string{"/no/such/program", toolsImage}, within: 25 * time.Second,
		},
		"oom": {
			args: map[string]any{"image": toolsImage, "command": bash("echo eating; x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}"),
				"podOverride": map[string]any{"containers": []any{map[string]any{"name": "container", "resources": map[string]any{"limits": map[string]any{"memory": "20Mi"}}}}}},
			reason: kube.ReasonOOMKilled, exit: 137, says: []string{"memory", "20Mi"}, within: 25 * time.Second,
		},
		"invalidoutput": {
			args:   map[string]any{"image": toolsImage, "command": bash("echo '###Phase-output###: nonsense'; sleep 300")},
			reason: kube.ReasonOutput, says: []string{"nonsense"}, within: 15 * time.Second,
		},
		"missingclaim": {
			args: map[string]any{"image": toolsImage, "command": bash("true"), "podOverride": map[string]any{
				"volumes": []any{map[string]any{"name": "v", "persistentVolumeClaim": map[string]any{"claimName": "nowhere"}}}}},
			reason: kube.ReasonUnschedulable, says: []string{"nowhere"}, within: 30 * time.Second,
		},
		"missingsecret": {
			args: map[string]any{"image": toolsImage, "command": bash("true"), "podOverride": map[string]any{"containers": []any{map[string]any{
				"name": "container", "env": []any{map[string]any{"name": "X", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "absent", "key": "k"}}}}}}}},
			reason: kube.ReasonContainerConfig, says: []string{"absent"}, within: 40 * time.Second,
		},
		"privileged": {
			args: map[string]any{"image": toolsImage, "command": bash("true"), "podOverride": map[string]any{"containers": []any{map[string]any{
				"name": "container", "securityContext": map[string]any{"privileged": true}}}}},
			reason: kube.ReasonPodSecurity, says: []string{"PodSecurity", "privileged"}, within: 5 * time.Second,
		},
		"serviceaccount": {
			args:   map[string]any{"image": toolsImage, "command": bash("true"), "podOverride": map[string]any{"serviceAccountName": "ghost"}},
			reason: kube.ReasonServiceAccount, says: []string{"ghost"}, within: 5 * time.Second,
		},
		"namespace": {
			args:   map[string]any{"namespace": "no-such-namespace", "image": toolsImage, "command": bash("true")},
			reason: kube.ReasonNamespace, says: []string{"no-such-namespace"}, within: 5 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := w.Call("fails-" + name)
			c.World = &World{T: t, Namespace: w.Namespace, Client: w.Client, Dynamic: w.Dynamic, Config: w.Config}
			began := time.Now()
			_, err := c.Do(t.Context(), "KubeTask", tc.args)

			if err == nil {
				t.Fatal("no error")
			}

			f := failureOf(err)
			text := err.Error() + "\n" + pretty(f)

			if f.Reason != tc.reason {
				t.Errorf("reason %q, want %q", f.Reason, tc.reason)
			}

			if tc.exit != 0 && (f.Exit == nil || *f.Exit != tc.exit) {
				t.Errorf("exit %v, want %d", f.Exit, tc.exit)
			}

			for _, part := range tc.says {
				if !strings.Contains(text, part) {
					t.Errorf("%q is not in the failure", part)
				}
			}

			if took := time.Since(began); took > tc.within {
				t.Errorf("told after %s, want %s", took, tc.within)
			}

			t.Log(text)
		})
	}
}

// A quota that is used up is said at once.
func TestFunctionKubeTaskQuota(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none}\nspec: {hard: {pods: \"0\"}}")
	w.Eventually(20*time.Second, func() string {
		if w.Kubectl("get", "resourcequota", "none", "-o", "jsonpath={.status.hard.pods}") != "0" {
			return "the quota is not in force"
		}

		return ""
	})

	_, err := w.Call("quota").Do(t.Context(), "KubeTask", map[string]any{"image": toolsImage, "command": bash("true")})
	if !kube.IsReason(err, kube.ReasonQuota) {
		t.Error(err)
	}
}

// A secret in the command reaches the process unchanged and stands nowhere in the pod.
func TestFunctionKubeTaskSecrets(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := w.Call("secrets")
	// Every character that a shell, JSON or Kubernetes' expansion could trip over.
	secret := "pa$$w0rd'\"\\<&>$(HOME)`x`\nline two $"
	c.Run.Params = &params.TemplateParams{Secrets: map[string]corev1.Secret{"db": {Data: map[string][]byte{"password": []byte(secret), "username": []byte("postgres")}}}}

	want := sha256.Sum256([]byte(secret))

	go func() {
		// While it runs, the pod is looked at.
		for range 100 {
			list, err := w.Client.CoreV1().Pods(w.Namespace).List(context.Background(), metav1.ListOptions{})
			if err == nil && len(list.Items) == 1 {
				if text := pretty(list.Items[0]); strings.Contains(text, "w0rd") {
					t.Errorf("the pod shows the secret:\n%s", text)
				}

				return
			}

			time.Sleep(20 * time.Millisecond)
		}
	}()

	out := c.MustDo("KubeTask", map[string]any{"image": toolsImage, "command": []any{
		"bash", "-c", `sleep 1; h=$(printf %s "$1" | sha256sum | cut -c1-64); echo '###Phase-output###: {"key":"hash","value":"'$h'"}'; echo "$(printf %s "$2" | wc -c) $$HOME"`, "x", secret, "postgres://postgres:" + secret + "@db/x",
	}})

	if out["hash"] != hex.EncodeToString(want[:]) {
		t.Errorf("the process got something else: %v", out)
	}

	c.NoPods()
}

// A successor adopts the pod of an interrupted runner, and the command has run once.
func TestFunctionKubeTaskAdoption(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := w.Call("adopt")
	args := map[string]any{"image": toolsImage, "command": bash(`echo begin; sleep 4; echo '###Phase-output###: {"key":"who","value":"'$HOSTNAME'"}'`)}

	ctx, leave := context.WithCancelCause(t.Context())
	time.AfterFunc(2*time.Second, func() { leave(functions.ErrInterrupted) })

	if _, err := c.Do(ctx, "KubeTask", args); err == nil {
		t.Fatal("the interrupted call ended well")
	}

	successor := w.Call("adopt")
	successor.Run.Attempt = 2
	out := successor.MustDo("KubeTask", args)

	if out["who"] != successor.notes.pods[0].Name || strings.Join(successor.notes.lines, ",") != "begin" {
		t.Errorf("outputs %v, log %v", out, successor.notes.lines)
	}

	successor.NoPods()

	third := w.Call("adopt")
	third.Run.Attempt = 3

	if _, err := third.Do(t.Context(), "KubeTask", args); !kube.IsReason(err, kube.ReasonInterrupted) {
		t.Errorf("without a pod: %v", err)
	}
}

// A cancelled task leaves no pod; a deleted pod is told from a failed one.
func TestFunctionKubeTaskCancelAndDelete(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := w.Call("cancel")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(2*time.Second, cancel)

	began := time.Now()
	if _, err := c.Do(ctx, "KubeTask", map[string]any{"image": toolsImage, "command": bash("sleep 300")}); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}

	c.NoPods()

	d := w.Call("delete")

	go func() {
		time.Sleep(2 * time.Second)
		_ = w.Client.CoreV1().Pods(w.Namespace).DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: new(int64)}, metav1.ListOptions{})
	}()

	if _, err := d.Do(t.Context(), "KubeTask", map[string]any{"image": toolsImage, "command": bash("sleep 300")}); !kube.IsReason(err, kube.ReasonPodDeleted) {
		t.Errorf("deleted pod: %v", err)
	}
}

// An image that runs as root goes on doing so where the namespace allows it.
func TestFunctionKubeTaskRootImage(t *testing.T) {
	t.Parallel()

	w := NewWorld(t, "privileged")
	out := w.Call("root").MustDo("KubeTask", map[string]any{
		"image": toolsImage, "command": bash(`chown 12:34 /tmp && echo '###Phase-output###: {"key":"uid","value":"'$(id -u)'"}'`),
		"podOverride": map[string]any{"securityContext": map[string]any{"runAsUser": 0}},
	})

	if out["uid"] != "0" {
		t.Errorf("outputs %v", out)
	}
}

func TestFunctionPrepareData(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: one}
spec: {storageClassName: csi-btrfs, accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: two.odd}
spec: {storageClassName: local-path, accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
`)

	group := map[string]any{"securityContext": map[string]any{"fsGroup": 65532}}
	c := w.Call("prepare")
	c.Run.Params = &params.TemplateParams{Deployment: &params.DeploymentParams{PersistentVolumeClaims: map[string]map[string]string{
		"pod-1": {"one": "/data", "two.odd": "/other"},
	}}}
	out := c.MustDo("PrepareData", map[string]any{
		"namespace": w.Namespace, "image": toolsImage, "podOverride": group,
		"command": bash(`ls -d /mnt/prepare_data/*; echo hi > /mnt/prepare_data/one/x; echo '###Phase-output###: {"key":"done","value":"yes"}'; exit 4`),
	})

	if out["done"] != "yes" || !c.notes.said("exit code 4") {
		t.Errorf("outputs %v, warnings %v", out, c.notes.warnings)
	}

	w.Contains(strings.Join(c.notes.lines, "\n"), "/mnt/prepare_data/one", "/mnt/prepare_data/two.odd")

	_, err := w.Call("strict").Do(t.Context(), "PrepareData", map[string]any{
		"namespace": w.Namespace, "image": toolsImage, "failOnError": true, "volumes": map[string]any{"one": "/v"},
		"command": bash("cat /v/x; exit 5"),
	})
	if f := failureOf(err); f.Exit == nil || *f.Exit != 5 || len(f.LastLogs) != 1 || f.LastLogs[0] != "hi" {
		t.Errorf("%+v", f)
	}

	c.NoPods()
}
