package params

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Annotations by which a workload's current ReplicaSet or ReplicationController is found.
const (
	revisionAnnotation      = "deployment.kubernetes.io/revision"
	latestVersionAnnotation = "openshift.io/deployment-config.latest-version"
)

// pageSize of lists.
const pageSize = 500

// workload makes the parameters of a workload: its running pods, their containers, and where they mount which claims
// (COMPAT §2.7). The claims are those that the pods really mount; upstream computes the names for StatefulSets and gets them wrong
// for volumes that do not come from a claim template.
func workload(ctx context.Context, c Cluster, kind string, object *unstructured.Unstructured) (*WorkloadParams, error) {
	pods, err := runningPods(ctx, c, kind, object)
	if err != nil {
		return nil, err
	}

	w := &WorkloadParams{
		Name: object.GetName(), Namespace: object.GetNamespace(), PersistentVolumeClaims: map[string]map[string]string{},
	}

	for i := range pods {
		w.Pods = append(w.Pods, pods[i].Name)
		w.Containers = append(w.Containers, containers(&pods[i]))

		if claims := mountedClaims(&pods[i].Spec); len(claims) > 0 {
			w.PersistentVolumeClaims[pods[i].Name] = claims
		}
	}

	return w, nil
}

// containers are the names that the kubelet reports.
func containers(pod *corev1.Pod) []string {
	names := make([]string, 0, len(pod.Status.ContainerStatuses))
	for _, status := range pod.Status.ContainerStatuses {
		names = append(names, status.Name)
	}

	return names
}

// mountedClaims maps the claims that regular containers mount to the mount path; of several the last one counts, as upstream.
func mountedClaims(spec *corev1.PodSpec) map[string]string {
	claims := map[string]string{}

	for _, container := range spec.Containers {
		for _, mount := range container.VolumeMounts {
			if claim := claimOf(spec, mount.Name); claim != "" {
				claims[claim] = mount.MountPath
			}
		}
	}

	return claims
}

// claimOf is the claim behind a volume of a pod, or "".
func claimOf(spec *corev1.PodSpec, volume string) string {
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.Name == volume && v.PersistentVolumeClaim != nil {
			return v.PersistentVolumeClaim.ClaimName
		}
	}

	return ""
}

// runningPods are the pods in phase Running that belong to the workload, by name. Readiness is not looked at.
func runningPods(ctx context.Context, c Cluster, kind string, object *unstructured.Unstructured) ([]corev1.Pod, error) {
	owner, err := podOwner(ctx, c, kind, object)
	if err != nil {
		return nil, err
	}

	pods, err := listPods(ctx, c, object.GetNamespace(), selector(object))
	if err != nil {
		return nil, fmt.Errorf("listing the pods of %s %q: %w", object.GetKind(), path(object), err)
	}

	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool {
		return p.Status.Phase != corev1.PodRunning || !ownedBy(p.OwnerReferences, owner)
	})

	return pods, nil
}

// podOwner is the UID that owns the workload's pods: the StatefulSet's own, or that of the Deployment's current ReplicaSet.
func podOwner(ctx context.Context, c Cluster, kind string, object *unstructured.Unstructured) (types.UID, error) {
	switch kind {
	case kindDeployment:
		return replicaSet(ctx, c, object)
	case kindDeploymentConfig:
		return replicationController(ctx, c, object)
	default:
		return object.GetUID(), nil
	}
}

func replicaSet(ctx context.Context, c Cluster, object *unstructured.Unstructured) (types.UID, error) {
	revision := object.GetAnnotations()[revisionAnnotation]

	list, err := c.Kubernetes.AppsV1().ReplicaSets(object.GetNamespace()).
		List(ctx, metav1.ListOptions{LabelSelector: selector(object)})
	if err != nil {
		return "", fmt.Errorf("listing the ReplicaSets of Deployment %q: %w", path(object), err)
	}

	for i := range list.Items {
		rs := &list.Items[i]
		if ownedBy(rs.OwnerReferences, object.GetUID()) && rs.Annotations[revisionAnnotation] == revision {
			return rs.UID, nil
		}
	}

	return "", fmt.Errorf("finding the pods of Deployment %q: it has no ReplicaSet of its revision %q; the Deployment controller has not "+
		"made it yet, or cannot (see kubectl describe)", path(object), revision)
}

func replicationController(ctx context.Context, c Cluster, object *unstructured.Unstructured) (types.UID, error) {
	version, _, err := unstructured.NestedInt64(object.Object, "status", "latestVersion")
	if err != nil {
		return "", fmt.Errorf("reading status.latestVersion of DeploymentConfig %q: %w", path(object), err)
	}

	list, err := c.Kubernetes.CoreV1().ReplicationControllers(object.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("listing the ReplicationControllers of DeploymentConfig %q: %w", path(object), err)
	}

	for i := range list.Items {
		rc := &list.Items[i]
		if ownedBy(rc.OwnerReferences, object.GetUID()) && rc.Annotations[latestVersionAnnotation] == fmt.Sprint(version) {
			return rc.UID, nil
		}
	}

	return "", fmt.Errorf("finding the pods of DeploymentConfig %q: it has no ReplicationController of its version %d", path(object), version)
}

// listPods lists in pages, sorted by name as the API server sorts them: web-10 before web-2.
func listPods(ctx context.Context, c Cluster, namespace, selector string) ([]corev1.Pod, error) {
	var pods []corev1.Pod

	options := metav1.ListOptions{LabelSelector: selector, Limit: pageSize}

	for {
		list, err := c.Kubernetes.CoreV1().Pods(namespace).List(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			// The server forgot the list between two pages: once more, in one piece.
			pods, options.Continue, options.Limit = nil, "", 0

			continue
		} else if err != nil {
			return nil, err
		}

		pods = append(pods, list.Items...)

		if list.Continue == "" {
			break
		}

		options.Continue = list.Continue
	}

	slices.SortFunc(pods, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })

	return pods, nil
}

func ownedBy(references []metav1.OwnerReference, uid types.UID) bool {
	return slices.ContainsFunc(references, func(r metav1.OwnerReference) bool { return r.UID == uid })
}

// selector is the label selector of a workload, as text; "" selects everything, where ownership decides alone.
func selector(object *unstructured.Unstructured) string {
	raw, ok, err := unstructured.NestedMap(object.Object, "spec", "selector")
	if !ok || err != nil {
		return ""
	}

	// A DeploymentConfig's selector is a plain map of labels.
	_, matchLabels := raw["matchLabels"]
	_, matchExpressions := raw["matchExpressions"]

	if !matchLabels && !matchExpressions {
		plain := labels.Set{}

		for key, value := range raw {
			if text, ok := value.(string); ok {
				plain[key] = text
			}
		}

		return plain.String()
	}

	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &s); err != nil {
		return ""
	}

	all, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return ""
	}

	return all.String()
}

func path(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetName()
	}

	return object.GetNamespace() + "/" + object.GetName()
}
