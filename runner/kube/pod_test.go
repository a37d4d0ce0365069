package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()

	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}

	return out
}

// The semantics of COMPAT §4.0.2.
func TestPodOverride(t *testing.T) {
	build := func(t *testing.T, override map[string]any) *corev1.Pod {
		t.Helper()

		pod, _, err := PodOptions{
			Namespace: "n", Name: "p", Image: "i", Command: []string{"a", "b"}, Env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}},
			Claims: []ClaimMount{{Claim: "c", MountPath: "/c"}}, Override: override,
		}.Build()
		if err != nil {
			t.Fatal(err)
		}

		return pod
	}

	pod := build(t, parse(t, `
nodeSelector: {disk: ssd}
tolerations: [{key: x}]
unknownField: ignored
containers:
  - name: zidecar
    image: s
  - name: container
    imagePullPolicy: Always
    command: [c]
    env: [{name: B, value: "3"}, {name: C, value: "4"}]
    volumeMounts: [{name: extra, mountPath: /extra}]
  - name: another
    image: s
volumes: [{name: extra, emptyDir: {}}]
`))

	c := pod.Spec.Containers[0]
	if c.Name != ContainerName || c.ImagePullPolicy != corev1.PullAlways || len(pod.Spec.Containers) != 3 {
		t.Errorf("containers %+v", pod.Spec.Containers)
	}

	if diff := cmp.Diff([]string{"c"}, c.Command); diff != "" {
		t.Error(diff)
	}

	env := map[string]string{}
	for _, v := range c.Env {
		env[v.Name] = v.Value
	}

	if diff := cmp.Diff(map[string]string{"A": "1", "B": "3", "C": "4"}, env); diff != "" {
		t.Error(diff)
	}

	if len(c.VolumeMounts) != 2 || len(pod.Spec.Volumes) != 2 || pod.Spec.NodeSelector["disk"] != "ssd" || len(pod.Spec.Tolerations) != 1 {
		t.Errorf("%+v", pod.Spec)
	}

	gone := build(t, parse(t, `volumes: [{name: claim-0, $patch: delete}]`))
	if len(gone.Spec.Volumes) != 0 {
		t.Errorf("volumes %+v", gone.Spec.Volumes)
	}

	_, _, err := PodOptions{Namespace: "n", Name: "p", Image: "i", Override: parse(t, "containers: [{image: x}]")}.Build()
	if err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("an element without its name: %v", err)
	}
}

func TestMergeOverrideTheRunWins(t *testing.T) {
	merged, err := MergeOverride(
		parse(t, "nodeSelector: {a: blueprint, b: blueprint}\ncontainers: [{name: container, image: x, imagePullPolicy: Always}]"),
		parse(t, "nodeSelector: {a: run}\ncontainers: [{name: container, image: yy}, {name: more, image: z}]"))
	if err != nil {
		t.Fatal(err)
	}

	text, err := json.Marshal(merged)
	if err != nil {
		t.Fatal(err)
	}

	spec, err := ApplyOverride(corev1.PodSpec{Containers: []corev1.Container{{Name: ContainerName, Image: "own"}}}, merged)
	if err != nil {
		t.Fatal(err)
	}

	c := spec.Containers[0]
	if spec.NodeSelector["a"] != "run" || spec.NodeSelector["b"] != "blueprint" || c.Image != "yy" || c.ImagePullPolicy != corev1.PullAlways || len(spec.Containers) != 2 {
		t.Errorf("%s\n%+v", text, spec)
	}
}

func TestHarden(t *testing.T) {
	yes := true
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}, {Name: "b", SecurityContext: &corev1.SecurityContext{Privileged: &yes}}}}
	soft, full := spec.DeepCopy(), spec.DeepCopy()

	harden(soft, false)
	harden(full, true)

	a := soft.Containers[0].SecurityContext
	if *a.AllowPrivilegeEscalation || a.Capabilities != nil || soft.SecurityContext.RunAsNonRoot != nil || soft.SecurityContext.SeccompProfile == nil {
		t.Errorf("soft %+v %+v", soft.SecurityContext, a)
	}

	if soft.Containers[1].SecurityContext.AllowPrivilegeEscalation != nil {
		t.Error("a privileged container may not forbid escalation")
	}

	a = full.Containers[0].SecurityContext
	if *a.AllowPrivilegeEscalation || a.Capabilities.Drop[0] != "ALL" || !*full.SecurityContext.RunAsNonRoot {
		t.Errorf("full %+v %+v", full.SecurityContext, a)
	}
}

func TestBuildRefusesWhatLinuxCannotStart(t *testing.T) {
	_, _, err := PodOptions{Namespace: "n", Name: "p", Image: "i", Command: []string{"sh", "-c", strings.Repeat("x", 200_000)}}.Build()
	if !IsReason(err, ReasonTooLong) || !strings.Contains(err.Error(), "element 2") {
		t.Errorf("%v", err)
	}
}

func TestSecretFilesStayOutOfThePod(t *testing.T) {
	pod, secret, err := PodOptions{
		Namespace: "n", Name: "p", Image: "i", SecretFiles: map[string][]byte{"request.json": []byte("needle")}, SecretDir: "/etc/x",
	}.Build()
	if err != nil {
		t.Fatal(err)
	}

	text, err := json.Marshal(pod)
	if err != nil || strings.Contains(string(text), "needle") || string(secret.Data["request.json"]) != "needle" || pod.Spec.Containers[0].VolumeMounts[0].MountPath != "/etc/x" {
		t.Errorf("%s %v", text, err)
	}
}

// The kubelet copies the last lines of a failed command's log into the pod's status if it is told to.
func TestLogsOfCommandsWithSecretsStayOutOfTheStatus(t *testing.T) {
	for command, want := range map[string]corev1.TerminationMessagePolicy{
		"echo needle-in-hay": corev1.TerminationMessageReadFile,
		"echo hay":           corev1.TerminationMessageFallbackToLogsOnError,
	} {
		pod, _, err := PodOptions{
			Namespace: "n", Name: "p", Image: "i", Command: []string{"sh", "-c", command}, Material: NewMaterial("needle-in-hay"),
			Beside: []corev1.Container{{Name: "beside"}}, Before: []corev1.Container{{Name: "before"}},
		}.Build()
		if err != nil {
			t.Fatal(err)
		}

		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			if container.TerminationMessagePolicy != want {
				t.Errorf("%q: container %q has policy %s, want %s", command, container.Name, container.TerminationMessagePolicy, want)
			}
		}
	}
}
