package kube

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Resources that this package waits for.
var (
	PodResource   = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	ClaimResource = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
)

// cleanupLimit bounds each clean-up that outlives its caller's context.
const cleanupLimit = 30 * time.Second

// Pod is a worker pod that this run started or adopted.
type Pod struct {
	Namespace, Name string
	// Adopted: an earlier runner of the same run had started it.
	Adopted bool
	// Waiting, if set, is told what the pod waits for while it has not started, and "" once it has.
	Waiting func(message string)
	// StartLimit bounds the way from created to started; 0 is DefaultStartLimit. Volumes get all of it to be made if it is set, and
	// otherwise as long as a node.
	StartLimit time.Duration
	// Beside are the containers that have to end well, too; others than these and the main one are sidecars.
	Beside []string
	// Logs are where Run copies the logs of further containers to, by container name.
	Logs map[string]io.Writer

	client    *Client
	container string
	secret    bool
	created   time.Time
	latest    *corev1.Pod
}

// Ref names the pod in the run record.
func (p *Pod) Ref() record.PodRef { return record.PodRef{Namespace: p.Namespace, Name: p.Name} }

// Start creates the pod, or adopts it if an earlier runner of the same run and phase had. A namespace that enforces
// PodSecurity "restricted" gets a pod that satisfies it. Errors are of type *Error.
//
// Needs create and get on pods; create, delete and get on secrets when something has to be hidden.
func (c *Client) Start(ctx context.Context, o PodOptions) (*Pod, error) {
	pod, secret, err := o.Build()
	if err != nil {
		return nil, err
	}

	if secret != nil {
		if running, err := c.createSecret(ctx, secret, o); err != nil || running != nil {
			return running, err
		}
	}

	soft := pod.DeepCopy()
	harden(&soft.Spec, o.Restricted)

	created, adopted, err := c.createPod(ctx, soft, o)
	if err != nil && strings.Contains(err.Error(), "violates PodSecurity") && !o.Restricted {
		harden(&pod.Spec, true)

		created, adopted, err = c.createPod(ctx, pod, o)
	}

	if err != nil {
		if secret != nil {
			c.deleteSecret(ctx, o.Namespace, o.Name)
		}

		return nil, err
	}

	if secret != nil && len(secret.OwnerReferences) == 0 {
		c.giveSecret(ctx, created)
	}

	return c.handle(created, adopted, secret != nil), nil
}

// TakeBack deletes the pod of these options if it is there, and its Secret. It works after ctx has ended.
func (c *Client) TakeBack(ctx context.Context, o PodOptions) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()

	pod, err := c.Adopt(ctx, o.Namespace, o.Name, o.Labels)
	if err != nil || pod == nil {
		return err
	}

	return pod.Delete(ctx)
}

// Adopt finds the pod that an earlier runner of this run started under this name; nil if there is none. labels must agree
// in run and phase.
func (c *Client) Adopt(ctx context.Context, namespace, name string, labels map[string]string) (*Pod, error) {
	var pod *corev1.Pod

	err := c.Retry(ctx, func(ctx context.Context) (err error) {
		pod, err = c.Clientset.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})

		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}

	if err != nil {
		return nil, &Error{Reason: apiReason(err), Message: fmt.Sprintf("looking for pod %q in namespace %q", name, namespace), Err: err}
	}

	if err := sameRun(pod, labels); err != nil {
		return nil, err
	}

	if pod.DeletionTimestamp != nil {
		return nil, nil
	}

	return c.handle(pod, true, true), nil
}

func (c *Client) handle(pod *corev1.Pod, adopted, secret bool) *Pod {
	container := ContainerName
	if len(pod.Spec.Containers) > 0 {
		container = pod.Spec.Containers[0].Name
	}

	if main := pod.Annotations[annotationMain]; slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == main }) {
		container = main
	}

	return &Pod{
		Namespace: pod.Namespace, Name: pod.Name, Adopted: adopted,
		client: c, container: container, secret: secret, created: c.clock().Now(), latest: pod,
	}
}

// createPod creates the pod or gives the one that is there.
func (c *Client) createPod(ctx context.Context, pod *corev1.Pod, o PodOptions) (*corev1.Pod, bool, error) {
	pods := c.Clientset.CoreV1().Pods(o.Namespace)

	for {
		var created *corev1.Pod

		err := c.Retry(ctx, func(ctx context.Context) (err error) {
			created, err = pods.Create(ctx, pod, metav1.CreateOptions{})

			return err
		})
		if err == nil {
			return created, false, nil
		}

		if !apierrors.IsAlreadyExists(err) {
			return nil, false, createError("pod", o.Namespace, o.Name, err)
		}

		var there *corev1.Pod

		err = c.Retry(ctx, func(ctx context.Context) (err error) {
			there, err = pods.Get(ctx, o.Name, metav1.GetOptions{})

			return err
		})
		if apierrors.IsNotFound(err) {
			continue
		}

		if err != nil {
			return nil, false, &Error{Reason: apiReason(err), Message: fmt.Sprintf("looking at pod %q in namespace %q, which exists already", o.Name, o.Namespace), Err: err}
		}

		if err := sameRun(there, o.Labels); err != nil {
			return nil, false, err
		}

		if there.DeletionTimestamp == nil {
			return there, true, nil
		}

		if err := c.WaitGone(ctx, PodResource, o.Namespace, o.Name, cleanupLimit+time.Duration(ptr.Deref(there.DeletionGracePeriodSeconds, 0))*time.Second); err != nil {
			return nil, false, err
		}
	}
}

// sameRun refuses a pod that only happens to have the name.
func sameRun(pod *corev1.Pod, labels map[string]string) error {
	for _, key := range []string{record.LabelRun, record.LabelPhase} {
		if want, has := labels[key], pod.Labels[key]; want != has {
			return &Error{
				Reason:  ReasonInvalid,
				Message: fmt.Sprintf("pod %q in namespace %q exists and is not of this run: its label %s is %q, not %q", pod.Name, pod.Namespace, key, has, want),
				Hint:    fmt.Sprintf("kubectl delete pod -n %s %s, if nobody needs it", pod.Namespace, pod.Name),
			}
		}
	}

	return nil
}

// createSecret creates the pod's Secret. One that is there already either belongs to a running pod, which is then adopted, or
// is a left-over with perhaps older content and is replaced.
func (c *Client) createSecret(ctx context.Context, secret *corev1.Secret, o PodOptions) (*Pod, error) {
	secrets := c.Clientset.CoreV1().Secrets(o.Namespace)

	for range 3 {
		err := c.Retry(ctx, func(ctx context.Context) error {
			_, err := secrets.Create(ctx, secret, metav1.CreateOptions{})

			return err
		})
		if err == nil {
			return nil, nil
		}

		if !apierrors.IsAlreadyExists(err) {
			return nil, createError("secret", o.Namespace, o.Name, err)
		}

		pod, err := c.Adopt(ctx, o.Namespace, o.Name, o.Labels)
		if err != nil || pod != nil {
			return pod, err
		}

		c.deleteSecret(ctx, o.Namespace, o.Name)
	}

	return nil, &Error{Reason: ReasonInvalid, Message: fmt.Sprintf("secret %q in namespace %q keeps coming back", o.Name, o.Namespace)}
}

// giveSecret makes the pod the owner of its Secret, where the run's Job cannot be (another namespace). Best effort: Delete
// removes both.
func (c *Client) giveSecret(ctx context.Context, pod *corev1.Pod) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
	}}}})
	if err != nil {
		return
	}

	_, _ = c.Clientset.CoreV1().Secrets(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
}

func (c *Client) deleteSecret(ctx context.Context, namespace, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()

	_ = c.Retry(ctx, func(ctx context.Context) error {
		return c.Clientset.CoreV1().Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	})
}

// Delete asks for the deletion of the pod and of its Secret and does not wait for the end; containers that still run get one
// second. It works after ctx has ended. A pod that is gone is no error.
func (p *Pod) Delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()

	err := p.client.Retry(ctx, func(ctx context.Context) error {
		return p.client.Clientset.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](1)})
	})

	if p.secret {
		p.client.deleteSecret(ctx, p.Namespace, p.Name)
	}

	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}

	return &Error{
		Reason: apiReason(err), Message: fmt.Sprintf("deleting pod %q in namespace %q", p.Name, p.Namespace), Pod: ptr.To(p.Ref()), Err: err,
		Hint: fmt.Sprintf("kubectl delete pod -n %s %s", p.Namespace, p.Name),
	}
}

// DeleteAndWait deletes the pod and waits, at most limit long, until the node has let go of it, so that its volumes can be
// used or deleted. It works after ctx has ended.
func (p *Pod) DeleteAndWait(ctx context.Context, limit time.Duration) error {
	if err := p.Delete(ctx); err != nil {
		return err
	}

	return p.client.WaitGone(context.WithoutCancel(ctx), PodResource, p.Namespace, p.Name, limit)
}
