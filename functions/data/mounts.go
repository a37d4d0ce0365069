package data

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
)

// templateOf is the pod template of the run's target, or the target itself if it is a pod; nil if it has none.
func templateOf(run *functions.Run) *corev1.PodSpec {
	if run.Params == nil || run.Params.Object == nil {
		return nil
	}

	at := []string{"spec", "template", "spec"}
	if kind, _ := run.Params.Object["kind"].(string); kind == "Pod" {
		at = at[:1]
	}

	fields, found, err := unstructured.NestedMap(run.Params.Object, at...)
	if err != nil || !found {
		return nil
	}

	var spec corev1.PodSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &spec); err != nil {
		return nil
	}

	return &spec
}

// claimOf is the claim behind a volume of a pod; "" if it is another kind of volume.
func claimOf(pod *corev1.Pod, volume string) string {
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.Name != volume:
		case v.PersistentVolumeClaim != nil:
			return v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil:
			return pod.Name + "-" + v.Name
		}
	}

	return ""
}

// mountsOf are the claims that a pod mounts, in one of its containers or in all. A claim that several containers mount counts
// once for each path.
func mountsOf(pod *corev1.Pod, only *corev1.Container) []mount {
	containers := pod.Spec.Containers
	if only != nil {
		containers = []corev1.Container{*only}
	}

	var mounts []mount

	for _, c := range containers {
		for _, m := range c.VolumeMounts {
			subPath, known := subPath(pod, &c, m)

			claim := claimOf(pod, m.Name)
			if claim == "" || !known {
				continue
			}

			found := mount{claim: claim, path: path.Clean(m.MountPath), subPath: subPath}
			// Two containers may have different things at one path: the first wins, as in upstream's parameters.
			if !slices.ContainsFunc(mounts, func(other mount) bool { return other.path == found.path }) {
				mounts = append(mounts, found)
			}
		}
	}

	return mounts
}

// subPath of a mount, with its variables put in; false if one of them is not known from the pod.
func subPath(pod *corev1.Pod, c *corev1.Container, m corev1.VolumeMount) (string, bool) {
	if m.SubPathExpr == "" {
		return m.SubPath, true
	}

	text := m.SubPathExpr

	for _, env := range c.Env {
		value := env.Value

		if env.ValueFrom != nil {
			if env.ValueFrom.FieldRef == nil {
				continue
			}

			switch env.ValueFrom.FieldRef.FieldPath {
			case "metadata.name":
				value = pod.Name
			case "metadata.namespace":
				value = pod.Namespace
			case "metadata.uid":
				value = string(pod.UID)
			case "spec.nodeName":
				value = pod.Spec.NodeName
			default:
				continue
			}
		}

		text = strings.ReplaceAll(text, "$("+env.Name+")", value)
	}

	return text, !strings.Contains(text, "$(")
}

// subPathOf finds which part of a claim a pod template mounts at a path. A StatefulSet's claim is <template>-<set>-<ordinal>.
func subPathOf(template *corev1.PodSpec, claim, at string) string {
	if template == nil {
		return ""
	}

	for _, c := range template.Containers {
		for _, m := range c.VolumeMounts {
			if path.Clean(m.MountPath) != at || m.SubPath == "" {
				continue
			}

			name := m.Name // a volumeClaimTemplate is mounted by its own name
			for _, v := range template.Volumes {
				if v.Name == m.Name && v.PersistentVolumeClaim != nil {
					name = v.PersistentVolumeClaim.ClaimName
				}
			}

			if name == claim || strings.HasPrefix(claim, name+"-") {
				return m.SubPath
			}
		}
	}

	return ""
}

// within tells whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}
