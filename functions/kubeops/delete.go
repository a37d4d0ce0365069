package kubeops

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func (c call) delete(ctx context.Context) (map[string]any, error) {
	limit, err := c.timeout()
	if err != nil {
		return nil, err
	}

	o, err := c.referred(ctx)
	if err != nil {
		return nil, err
	}

	err = c.Kube.Retry(ctx, func(ctx context.Context) error {
		return c.client(o).Delete(ctx, o.name, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)})
	})

	switch {
	case apierrors.IsNotFound(err) && c.Attempt > 1:
		c.Journal.Event(o.String() + " is gone; the runner before may have deleted it")

		return o.outputs(), nil
	case err != nil:
		return nil, explain("deleting", o, err)
	}

	c.Journal.Event("asked for the deletion of " + o.String())

	if err := c.gone(ctx, o, limit); err != nil {
		return nil, err
	}

	return o.outputs(), nil
}

// gone waits until the object is gone. One of the same name that somebody has made since does not count.
func (c call) gone(ctx context.Context, o object, limit time.Duration) error {
	held := ""

	err := c.Kube.WaitFor(ctx, o.GroupVersionResource, o.namespace, o.name, limit, o.String()+" to be gone", func(u *unstructured.Unstructured) (bool, error) {
		if u == nil || u.GetDeletionTimestamp() == nil {
			return true, nil
		}

		if now := holds(u); now != held {
			held = now
			c.Journal.Progress(record.Progress{Message: fmt.Sprintf("%s is being deleted: %s", o, held)})
		}

		return false, nil
	}, func() string { return held })
	if err == nil {
		return nil
	}

	if kube.IsReason(err, kube.ReasonTimeout) {
		return &kube.Error{Reason: kube.ReasonTimeout, Message: err.Error(), Hint: o.command("get") + " -o yaml shows who holds it; the deletion itself goes on"}
	}

	if ctx.Err() != nil && held != "" {
		return fmt.Errorf("waiting for %s to be gone, which goes on being deleted (%s): %w", o, held, err)
	}

	return fmt.Errorf("waiting for %s to be gone: %w", o, err)
}

// holds says what keeps an object that is being deleted.
func holds(u *unstructured.Unstructured) string {
	if finalizers := u.GetFinalizers(); len(finalizers) > 0 {
		return "it is held by the finalizers " + strings.Join(finalizers, ", ")
	}

	if grace := u.GetDeletionGracePeriodSeconds(); grace != nil && *grace > 0 {
		return fmt.Sprintf("it has a grace period of %d s", *grace)
	}

	return "nothing holds it any more"
}
