package params

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// VolumeClaim is one PersistentVolumeClaim of a target.
type VolumeClaim struct {
	Namespace string
	Name      string
	// Pod is a pod that has the claim as a volume and has not ended; it is empty when there is none, as after scaling to zero. A
	// running pod is preferred. Node is where it runs, or empty.
	Pod, Node string
	// Container and MountPath are where it is mounted: the first regular container that mounts it whole, else the first that mounts a
	// part of it (SubPath); empty for a claim that nothing mounts. They are known without pods too, from the pod template.
	Container, MountPath, SubPath string
	// Claim is the object; nil if it does not exist or may not be read.
	Claim *corev1.PersistentVolumeClaim
}

// Block tells whether the claim is a raw block device. Unknown counts as no.
func (v VolumeClaim) Block() bool {
	return v.Claim != nil && v.Claim.Spec.VolumeMode != nil && *v.Claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// Volumes lists the claims of a target, sorted by name: of a workload of any kind with a pod template those of the template, and of a
// StatefulSet those that its claim templates made, whether pods run or not; of a pod, its own; a claim itself; all claims of a
// namespace. namespace stands in for one that target does not name. Pods that may not be listed are passed over; claims that
// may not be listed are named where their names are known.
func Volumes(ctx context.Context, c Cluster, target blueprint.ObjectReference, namespace string) ([]VolumeClaim, error) {
	if target.Namespace == "" {
		target.Namespace = namespace
		if kindOf(target) == kindNamespace && target.Name != "" {
			target.Namespace = target.Name
		}
	}

	v := &volumes{namespace: target.Namespace, found: map[string]*VolumeClaim{}}

	claims, listError := listClaims(ctx, c, v.namespace)
	if listError != nil && !apierrors.IsForbidden(listError) {
		return nil, fmt.Errorf("listing the PersistentVolumeClaims of namespace %q: %w", v.namespace, listError)
	}

	v.claims = claims

	if kindOf(target) == kindNamespace {
		if listError != nil {
			return nil, fmt.Errorf("listing the PersistentVolumeClaims of namespace %q: %w", v.namespace, listError)
		}

		for name := range v.claims {
			v.add(name)
		}
	} else {
		object, err := fetchTarget(ctx, c, target)
		if err != nil {
			return nil, err
		}

		if err := v.target(kindOf(target), object); err != nil {
			return nil, err
		}
	}

	if err := v.pods(ctx, c); err != nil {
		return nil, err
	}

	return v.list(ctx, c, listError != nil)
}

type volumes struct {
	namespace string
	claims    map[string]*corev1.PersistentVolumeClaim
	found     map[string]*VolumeClaim
}

func (v *volumes) add(claim string) *VolumeClaim {
	if v.found[claim] == nil {
		v.found[claim] = &VolumeClaim{Namespace: v.namespace, Name: claim}
	}

	return v.found[claim]
}

// target adds the claims that an object names.
func (v *volumes) target(kind string, object *unstructured.Unstructured) error {
	if kind == kindPVC {
		v.add(object.GetName())

		return nil
	}

	spec, err := podSpec(object)
	if err != nil || spec == nil {
		return err
	}

	for i := range spec.Volumes {
		if claim := spec.Volumes[i].PersistentVolumeClaim; claim != nil {
			v.add(claim.ClaimName).mount(spec, spec.Volumes[i].Name)
		}
	}

	templates, _, err := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates")
	if err != nil {
		return fmt.Errorf("reading spec.volumeClaimTemplates of %s %q: %w", object.GetKind(), path(object), err)
	}

	for _, template := range templates {
		fields, _ := template.(map[string]any)
		name, _, _ := unstructured.NestedString(fields, "metadata", "name")
		made := regexp.MustCompile("^" + regexp.QuoteMeta(name+"-"+object.GetName()) + "-[0-9]+$")

		for claim := range v.claims {
			if made.MatchString(claim) {
				v.add(claim).mount(spec, name)
			}
		}
	}

	return nil
}

// podSpec is the pod template of any workload, or a pod's own spec; nil if the object has none.
func podSpec(object *unstructured.Unstructured) (*corev1.PodSpec, error) {
	at := []string{"spec", "template", "spec"}

	switch object.GetKind() {
	case "Pod":
		at = []string{"spec"}
	case "CronJob":
		at = []string{"spec", "jobTemplate", "spec", "template", "spec"}
	}

	raw, ok, err := unstructured.NestedMap(object.Object, at...)
	if err != nil || !ok {
		return nil, nil //nolint:nilerr // what has no pod template has no volumes
	}

	var spec corev1.PodSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &spec); err != nil {
		return nil, fmt.Errorf("reading %s of %s %q: %w", strings.Join(at, "."), object.GetKind(), path(object), err)
	}

	return &spec, nil
}

// mount notes where volume is mounted, if that is not known yet.
func (v *VolumeClaim) mount(spec *corev1.PodSpec, volume string) {
	for _, container := range spec.Containers {
		for _, mount := range container.VolumeMounts {
			if mount.Name == volume && (v.MountPath == "" || v.SubPath != "" && mount.SubPath == "" && mount.SubPathExpr == "") {
				v.Container, v.MountPath, v.SubPath = container.Name, mount.MountPath, mount.SubPath+mount.SubPathExpr
			}
		}
	}
}

// pods finds who uses the claims. A StatefulSet's pods also tell its claims where those may not be listed.
func (v *volumes) pods(ctx context.Context, c Cluster) error {
	pods, err := listPods(ctx, c, v.namespace, "")
	if apierrors.IsForbidden(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("listing the pods of namespace %q: %w", v.namespace, err)
	}

	// Running pods first.
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return rank(a) - rank(b) })

	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}

		for j := range pod.Spec.Volumes {
			claim := pod.Spec.Volumes[j].PersistentVolumeClaim
			if claim == nil || v.found[claim.ClaimName] == nil {
				continue
			}

			found := v.found[claim.ClaimName]
			if found.Pod == "" {
				found.Pod, found.Node = pod.Name, pod.Spec.NodeName
				found.Container, found.MountPath, found.SubPath = "", "", ""
				found.mount(&pod.Spec, pod.Spec.Volumes[j].Name)
			}
		}
	}

	return nil
}

func rank(pod corev1.Pod) int {
	switch {
	case pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil:
		return 0
	case pod.Status.Phase == corev1.PodRunning:
		return 1
	default:
		return 2
	}
}

// list gives the claims by name, each with its object.
func (v *volumes) list(ctx context.Context, c Cluster, unlisted bool) ([]VolumeClaim, error) {
	out := make([]VolumeClaim, 0, len(v.found))

	for name, found := range v.found {
		found.Claim = v.claims[name]

		if unlisted {
			claim, err := c.Kubernetes.CoreV1().PersistentVolumeClaims(v.namespace).Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				found.Claim = claim
			} else if !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
				return nil, reading("PersistentVolumeClaim", v.namespace, name, "", err)
			}
		}

		out = append(out, *found)
	}

	slices.SortFunc(out, func(a, b VolumeClaim) int { return strings.Compare(a.Name, b.Name) })

	return out, nil
}

func listClaims(ctx context.Context, c Cluster, namespace string) (map[string]*corev1.PersistentVolumeClaim, error) {
	list, err := c.Kubernetes.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}

	claims := make(map[string]*corev1.PersistentVolumeClaim, len(list.Items))
	for i := range list.Items {
		claims[list.Items[i].Name] = &list.Items[i]
	}

	return claims, nil
}
