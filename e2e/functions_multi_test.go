//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// A named pipe between two containers, as the blueprints of that function use it, through the plugin.
func TestMultiContainerRunThroughThePlugin(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()

	run := w.Exactly(0, "run", "test", "deploy/app", "--blueprint", w.Blueprint(`    phases:
      - func: MultiContainerRun
        name: dump
        args:
          namespace: "{{ .Deployment.Namespace }}"
          sharedVolumeMedium: Memory
          sharedVolumeSizeLimit: 16Mi
          sharedVolumeDir: /shared
          initImage: `+toolsImage+`
          initCommand: [bash, -c, "echo from init; mkfifo /shared/pipe"]
          backgroundImage: `+toolsImage+`
          backgroundCommand: [bash, -c, "echo from background; head -c 3000000 /dev/zero > /shared/pipe"]
          outputImage: `+toolsImage+`
          outputCommand:
            - bash
            - -c
            - |
              size=$(wc -c < /shared/pipe)
              echo '###Phase-output###: {"key":"size","value":"'$size'"}'
              echo '###Phase-output###: {"key":"medium","value":"'$(stat -f -c %T /shared)'"}'
          podLabels: {team: a}
          podAnnotations: {note: b}
`))

	out := run.Phases[0].Output
	if out["size"] != "3000000" || out["medium"] != "tmpfs" || len(out) != 2 {
		t.Errorf("outputs %v", out)
	}

	log := w.Kubectl("logs", "-l", "batch.kubernetes.io/job-name="+run.Run, "--tail=-1")
	w.Contains(log, "from background", "/background]", "from init", "/init]")
	w.NothingLeft(run.Run)
}

func TestFunctionMultiContainerRunFailures(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)

	t.Run("all", func(t *testing.T) { multiFailures(t, w) })
	w.Call("x").NoPods()
}

func multiFailures(t *testing.T, w *World) {
	args := func(background, output string, more ...any) map[string]any {
		all := map[string]any{
			"backgroundImage": toolsImage, "backgroundCommand": bash(background), "outputImage": toolsImage, "outputCommand": bash(output),
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i].(string)] = more[i+1]
		}

		return all
	}

	for name, tc := range map[string]struct {
		args   map[string]any
		reason string
		says   []string
	}{
		"background":  {args("echo why it broke; exit 3", "sleep 2"), kube.ReasonExit, []string{`"background"`, "exit code 3", "why it broke"}},
		"output":      {args("sleep 1", "echo output broke; exit 4"), kube.ReasonExit, []string{`"output"`, "exit code 4", "output broke"}},
		"the first":   {args("echo first; exit 5", "sleep 3; echo second; exit 6"), kube.ReasonExit, []string{`"background"`, "exit code 5", "first"}},
		"init":        {args("true", "true", "initImage", toolsImage, "initCommand", bash("echo init broke; exit 7")), kube.ReasonExit, []string{`"init"`, "exit code 7", "init broke"}},
		"init image":  {args("true", "true", "initCommand", bash("true")), "", []string{"initImage"}},
		"size":        {args("true", "true", "sharedVolumeSizeLimit", "big"), "", []string{"sharedVolumeSizeLimit", "big"}},
		"dir":         {args("true", "true", "sharedVolumeDir", "tmp"), "", []string{"sharedVolumeDir", "absolute"}},
		"other image": {args("true", "true", "backgroundImage", "UPPER/case:::"), kube.ReasonImagePull, []string{"UPPER/case:::"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := w.Call("fails-" + name)
			c.World = &World{T: t, Namespace: w.Namespace, Client: w.Client, Dynamic: w.Dynamic, Config: w.Config}

			_, err := c.Do(t.Context(), "MultiContainerRun", tc.args)
			if err == nil {
				t.Fatal("no error")
			}

			f := failureOf(err)
			text := err.Error() + "\n" + pretty(f)

			if tc.reason != "" && f.Reason != tc.reason {
				t.Errorf("reason %q, want %q", f.Reason, tc.reason)
			}

			for _, part := range tc.says {
				if !strings.Contains(text, strings.ReplaceAll(part, `"`, "")) && !strings.Contains(text, part) {
					t.Errorf("%q is not in %s", part, text)
				}
			}
		})
	}
}

// The run's podOverride for "container" reaches all containers but those it names; a cancel leaves nothing.
func TestFunctionMultiContainerRunOverrideAndCancel(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := w.Call("override")
	value := func(name, value string) map[string]any {
		return map[string]any{"name": name, "env": []any{map[string]any{"name": "WHO", "value": value}}}
	}
	c.Input.PodOverride = map[string]any{"containers": []any{value("container", "all"), value("background", "itself")}}

	out := c.MustDo("MultiContainerRun", map[string]any{
		"initImage": toolsImage, "initCommand": bash("echo $WHO > /tmp/init"),
		"backgroundImage": toolsImage, "backgroundCommand": bash("echo $WHO > /tmp/b; mv /tmp/b /tmp/background"),
		"outputImage": toolsImage, "outputCommand": bash(`until [ -e /tmp/background ]; do sleep 0.1; done; echo '###Phase-output###: {"key":"who","value":"'$WHO $(cat /tmp/init /tmp/background)'"}'`),
	})
	if out["who"] != "all all itself" {
		t.Errorf("outputs %v", out)
	}

	c.NoPods()

	c = w.Call("cancel")
	ctx, cancel := context.WithCancel(t.Context())

	go func() {
		for ctx.Err() == nil {
			list, err := w.Client.CoreV1().Pods(w.Namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelPhase + "=cancel"})
			if err == nil && len(list.Items) == 1 && list.Items[0].Status.Phase == corev1.PodRunning {
				break
			}

			time.Sleep(20 * time.Millisecond)
		}

		cancel()
	}()

	began := time.Now()
	if _, err := c.Do(ctx, "MultiContainerRun", map[string]any{
		"backgroundImage": toolsImage, "backgroundCommand": bash("sleep 300"), "outputImage": toolsImage, "outputCommand": bash("sleep 300"),
	}); err == nil || time.Since(began) > time.Minute {
		t.Errorf("cancelled after %s: %v", time.Since(began), err)
	}

	c.NoPods()
}
