package kube

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
)

func TestProgram(t *testing.T) {
	t.Parallel()

	program := &Program{Image: "runner", PullPolicy: corev1.PullAlways, Path: "/usr/local/bin/kando", For: func(c corev1.Container) bool { return strings.Contains(strings.Join(c.Command, " "), "kando") }}
	build := func(t *testing.T, override map[string]any, command ...string) corev1.PodSpec {
		t.Helper()

		pod, _, err := PodOptions{
			Namespace: "n", Name: "p", Image: "postgres:17", Command: command, Override: override, Program: program,
			Beside:   []corev1.Container{{Name: "background", Image: "busybox", Command: []string{"sleep", "1"}}},
			Security: &corev1.SecurityContext{RunAsUser: ptr.To[int64](999), Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"CHOWN"}}},
		}.Build()
		if err != nil {
			t.Fatal(err)
		}

		return pod.Spec
	}

	t.Run("given to those that name it", func(t *testing.T) {
		t.Parallel()

		spec := build(t, parse(t, `{containers: [{name: container, resources: {limits: {cpu: 100m}}}], initContainers: [{name: own, image: i}]}`), "sh", "-c", "pg_dump | kando location push -")

		if len(spec.InitContainers) != 2 || len(spec.Containers) != 2 || len(spec.Volumes) != 1 {
			t.Fatalf("%+v", spec)
		}

		installer, main := spec.InitContainers[0], spec.Containers[0]
		if installer.Image != "runner" || installer.ImagePullPolicy != corev1.PullAlways || strings.Join(installer.Args, " ") != "install /kanister-program/kando" {
			t.Errorf("%+v", installer)
		}

		if s := installer.SecurityContext; *s.RunAsUser != 999 || len(s.Capabilities.Add) > 0 || !*s.ReadOnlyRootFilesystem {
			t.Errorf("security %+v", s)
		}

		if cpu := installer.Resources.Limits[corev1.ResourceCPU]; cpu.Cmp(resource.MustParse("100m")) != 0 {
			t.Errorf("resources %+v", installer.Resources)
		}

		if len(main.VolumeMounts) != 1 || main.VolumeMounts[0].MountPath != program.Path || main.VolumeMounts[0].SubPath != "kando" || !main.VolumeMounts[0].ReadOnly {
			t.Errorf("mounts %+v", main.VolumeMounts)
		}

		if mounts := append(spec.Containers[1].VolumeMounts, spec.InitContainers[1].VolumeMounts...); len(mounts) > 0 {
			t.Errorf("others got %+v", mounts)
		}
	})

	for name, spec := range map[string]corev1.PodSpec{
		"not called":                build(t, nil, "pg_dump"),
		"own kando in its place":    build(t, parse(t, `{volumes: [{name: own, emptyDir: {}}], containers: [{name: container, volumeMounts: [{name: own, mountPath: /usr/local/bin/kando}]}]}`), "kando"),
		"own programs in its place": build(t, parse(t, `{volumes: [{name: own, emptyDir: {}}], containers: [{name: container, volumeMounts: [{name: own, mountPath: /usr/local/bin/}]}]}`), "kando"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if len(spec.InitContainers) > 0 || len(spec.Containers[0].VolumeMounts) > 1 {
				t.Errorf("%+v", spec)
			}
		})
	}
}
