package kube

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Claim reads a PersistentVolumeClaim.
func (c *Client) Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	var claim *corev1.PersistentVolumeClaim

	err := c.Retry(ctx, func(ctx context.Context) (err error) {
		claim, err = c.Clientset.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})

		return err
	})
	if err != nil {
		return nil, &Error{
			Reason: apiReason(err), Message: fmt.Sprintf("reading persistentvolumeclaim %q in namespace %q", name, namespace), Err: err,
			Hint: "kubectl get persistentvolumeclaims -n " + namespace,
		}
	}

	return claim, nil
}

// Consumers are the pods of a namespace that use a PersistentVolumeClaim and have not ended, in name order: a pod that is
// being deleted still counts. Ephemeral claims are found too. Needs list on pods.
func (c *Client) Consumers(ctx context.Context, namespace, claim string) ([]corev1.Pod, error) {
	all, err := c.ConsumersOf(ctx, namespace)
	if err != nil {
		return nil, err
	}

	return all[claim], nil
}

// ConsumersOf is Consumers for all claims of a namespace at once, by claim.
func (c *Client) ConsumersOf(ctx context.Context, namespace string) (map[string][]corev1.Pod, error) {
	var list *corev1.PodList

	err := c.Retry(ctx, func(ctx context.Context) (err error) {
		list, err = c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})

		return err
	})
	if err != nil {
		return nil, &Error{Reason: apiReason(err), Message: fmt.Sprintf("listing the pods of namespace %q", namespace), Err: err}
	}

	users := map[string][]corev1.Pod{}

	for _, pod := range list.Items {
		if finished(&pod) {
			continue
		}

		for _, claim := range ClaimsOf(&pod) {
			users[claim] = append(users[claim], pod)
		}
	}

	return users, nil
}

// ClaimsOf are the names of the claims that a pod uses, each once, in the order of its volumes.
func ClaimsOf(pod *corev1.Pod) []string {
	var claims []string

	for _, volume := range pod.Spec.Volumes {
		name := ""

		switch {
		case volume.PersistentVolumeClaim != nil:
			name = volume.PersistentVolumeClaim.ClaimName
		case volume.Ephemeral != nil:
			name = pod.Name + "-" + volume.Name
		}

		if name != "" && !slices.Contains(claims, name) {
			claims = append(claims, name)
		}
	}

	return claims
}

// NodeOf is the node on which a claim is in use, and the tolerations of the pod that uses it: where a worker that mounts a
// ReadWriteOnce claim has to go. "" if it is not in use, or may be used on several nodes.
func NodeOf(claim *corev1.PersistentVolumeClaim, consumers []corev1.Pod) (string, []corev1.Toleration) {
	for _, mode := range claim.Spec.AccessModes {
		if mode == corev1.ReadWriteMany {
			return "", nil
		}
	}

	for _, pod := range consumers {
		if pod.Spec.NodeName != "" {
			return pod.Spec.NodeName, pod.Spec.Tolerations
		}
	}

	return "", nil
}
