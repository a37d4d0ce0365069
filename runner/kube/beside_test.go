package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A pod with two containers that both have to end well, and a sidecar that does not.
func TestBeside(t *testing.T) {
	t.Parallel()

	now := time.Now()
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	ended := func(code int32, after time.Duration) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(now.Add(after)), StartedAt: metav1.NewTime(now)}}
	}

	for name, test := range map[string]struct {
		output, background corev1.ContainerState
		started            bool
		over               bool   // half a minute later
		blamed             string // "": it ended well
	}{
		"both run":                  {output: running, background: running, started: true},
		"one does not start":        {output: running, background: waiting},
		"one has ended":             {output: ended(0, 0), background: running, started: true},
		"both have ended":           {output: ended(0, 0), background: ended(0, 0), started: true, over: true},
		"one failed, one runs":      {output: running, background: ended(3, 0), started: true, over: true, blamed: "background"},
		"the other way round":       {output: ended(4, 0), background: running, started: true, over: true, blamed: "output"},
		"both failed, one before":   {output: ended(4, time.Minute), background: ended(3, 0), started: true, over: true, blamed: "background"},
		"both failed, the main one": {output: ended(4, 0), background: ended(3, time.Minute), started: true, over: true, blamed: "output"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", Annotations: map[string]string{annotationMain: "output"}},
				Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "aaa"}, {Name: "output"}, {Name: "background"}}},
				Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
					{Name: "aaa", State: running}, {Name: "background", State: test.background}, {Name: "output", State: test.output},
				}},
			}

			p := (&Client{}).handle(pod, false, false)
			p.Beside = []string{"background"}

			if p.container != "output" {
				t.Fatalf("the main container is %q", p.container)
			}

			if got := p.started(pod); got != test.started {
				t.Errorf("started: %t", got)
			}

			j := judge{pod: p}
			if over, err := j.alone(now); over || err != nil {
				t.Errorf("over at once: %t, %v", over, err)
			}

			over, err := j.alone(now.Add(terminatedGrace))
			if over != test.over || (err == nil) != (test.blamed == "") {
				t.Errorf("over: %t, %v", over, err)
			}

			if err != nil && !strings.Contains(err.Error(), `container "`+test.blamed+`"`) {
				t.Errorf("%q is to blame, not: %v", test.blamed, err)
			}
		})
	}
}

// Containers before and beside the main one have what every container of a run has, podOverride and hidden secrets included.
func TestBuildSeveralContainers(t *testing.T) {
	t.Parallel()

	pod, secret, err := PodOptions{
		Namespace: "n", Name: "p", Main: "output", Image: "a", Command: []string{"x"}, Material: NewMaterial("s3cret-value"),
		Before:   []corev1.Container{{Name: "init", Image: "b"}},
		Beside:   []corev1.Container{{Name: "background", Image: "c", Command: []string{"echo", "s3cret-value"}}},
		Override: map[string]any{"containers": []any{map[string]any{"name": "background", "imagePullPolicy": "Never"}}},
	}.Build()
	if err != nil {
		t.Fatal(err)
	}

	if len(pod.Spec.Containers) != 2 || len(pod.Spec.InitContainers) != 1 || pod.Annotations[annotationMain] != "output" {
		t.Fatalf("pod %+v", pod)
	}

	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		policy := corev1.PullIfNotPresent
		if c.Name == "background" {
			policy = corev1.PullNever
		}

		if c.ImagePullPolicy != policy || c.TerminationMessagePolicy == "" {
			t.Errorf("container %+v", c)
		}

		if strings.Contains(strings.Join(c.Command, " "), "s3cret") {
			t.Errorf("the secret shows in %q", c.Command)
		}
	}

	if secret == nil {
		t.Error("the secret was not hidden")
	}
}
