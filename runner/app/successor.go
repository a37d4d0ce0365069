package app

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// keepLimit bounds what is done before a run begins so that it could end well.
const keepLimit = 10 * time.Second

// orphaned says why the run's Job will start no other runner; "" when it will, or when that cannot be found out, for want of rights or of
// an API server.
func orphaned(ctx context.Context, client *kube.Client, owner *kube.Owner, log *logger) string {
	var job *batchv1.Job

	err := client.Retry(ctx, func(ctx context.Context) (err error) {
		job, err = client.Clientset.BatchV1().Jobs(owner.Namespace).Get(ctx, owner.Reference.Name, metav1.GetOptions{})

		return err
	})

	switch {
	case apierrors.IsNotFound(err):
		return "its Job was deleted"
	case err != nil:
		log.Error(fmt.Sprintf("looking whether job %q starts another runner: %v", owner.Reference.Name, err))

		return ""
	case job.UID != owner.Reference.UID || job.DeletionTimestamp != nil:
		return "its Job was deleted"
	}

	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobFailed || condition.Type == batchv1.JobFailureTarget) {
			return "its Job is at its end: " + condition.Message
		}
	}

	// The pod is told to go a moment before the Job says why.
	limit, started := job.Spec.ActiveDeadlineSeconds, job.Status.StartTime
	if limit != nil && started != nil && !client.Now().Before(started.Add(time.Duration(*limit)*time.Second)) {
		return fmt.Sprintf("its Job's deadline of %d s is over", *limit)
	}

	if job.Status.Failed >= ptr.Deref(job.Spec.BackoffLimit, 6) {
		return fmt.Sprintf("its Job starts no other runner after %d", job.Status.Failed+1)
	}

	return ""
}

// keepRights makes this pod, beside the Job, an owner of what gives the run its rights. When somebody deletes the Job, all that it owns
// goes at once; the pod still has its grace period then, and needs its rights to bring back what the run has changed. It returns what
// could not be kept, nil for all.
func keepRights(ctx context.Context, client *kube.Client, namespace, run string, pod metav1.OwnerReference) error {
	ctx, cancel := context.WithTimeout(ctx, keepLimit)
	defer cancel()

	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{pod}}})
	if err != nil {
		return err
	}

	core, rbac := client.Clientset.CoreV1(), client.Clientset.RbacV1()
	kinds := []struct {
		name string
		do   func(context.Context) error
	}{
		// Strategic: the reference is added to those that are there.
		{"serviceaccount", func(ctx context.Context) error {
			_, err := core.ServiceAccounts(namespace).Patch(ctx, run, types.StrategicMergePatchType, patch, metav1.PatchOptions{})

			return err
		}},
		{"role", func(ctx context.Context) error {
			_, err := rbac.Roles(namespace).Patch(ctx, run, types.StrategicMergePatchType, patch, metav1.PatchOptions{})

			return err
		}},
		{"rolebinding", func(ctx context.Context) error {
			_, err := rbac.RoleBindings(namespace).Patch(ctx, run, types.StrategicMergePatchType, patch, metav1.PatchOptions{})

			return err
		}},
	}
	errs := make([]error, len(kinds))

	var patching sync.WaitGroup

	for i, kind := range kinds {
		patching.Go(func() {
			if err := client.Retry(ctx, kind.do); err != nil {
				errs[i] = fmt.Errorf("making the runner pod an owner of %s %q: %w", kind.name, run, err)
			}
		})
	}

	patching.Wait()

	for _, err := range errs {
		if err != nil {
			return err // the others tell the same
		}
	}

	return nil
}
