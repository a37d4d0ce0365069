package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
)

// cleanup is how long taking back a half-made run may take, after the user may have pressed Ctrl-C.
const cleanup = 20 * time.Second

// create makes a run: first its Job, suspended; then everything else, owned by the Job; last the Job is let go. Whenever this
// is interrupted, nothing is left that is not owned by the Job, and the Job has not begun. What was made is taken back.
func create(ctx context.Context, client kubernetes.Interface, objects *pack.Objects, free func(context.Context) error) error {
	job := objects.Job
	objects.Suspend()

	created, err := client.BatchV1().Jobs(job.Namespace).Create(ctx, job, metav1.CreateOptions{})
	if err != nil {
		return errors.Join(refused("job", job.Name, job.Namespace, err), takeBackJob(ctx, client, job, err))
	}

	objects.Own(created)

	err = createRest(ctx, client, objects)
	if err == nil {
		err = free(ctx)
	}

	if err == nil {
		_, err = client.BatchV1().Jobs(job.Namespace).Patch(ctx, job.Name, types.StrategicMergePatchType, []byte(`{"spec":{"suspend":false}}`), metav1.PatchOptions{})
		if err != nil {
			err = refused("job", job.Name, job.Namespace, err)
		}
	}

	if err == nil {
		return nil
	}

	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()

	return errors.Join(err, takeBack(back, client, objects, created.UID))
}

// createRest makes everything but the Job, side by side where order does not matter. A binding follows its Role: the API
// server looks at the Role to see whether the user may grant it.
func createRest(ctx context.Context, client kubernetes.Interface, objects *pack.Objects) error {
	group, ctx := errgroup.WithContext(ctx)
	run, namespace := objects.Job.Name, objects.Job.Namespace

	group.Go(func() error {
		_, err := client.CoreV1().Secrets(namespace).Create(ctx, objects.Input, metav1.CreateOptions{})

		return refused("secret", run, namespace, err)
	})
	group.Go(func() error {
		_, err := client.CoreV1().ConfigMaps(namespace).Create(ctx, objects.Record, metav1.CreateOptions{})

		return refused("configmap", run, namespace, err)
	})

	if objects.ServiceAccount != nil {
		group.Go(func() error {
			_, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, objects.ServiceAccount, metav1.CreateOptions{})

			return refused("serviceaccount", run, namespace, err)
		})
	}

	for i := range objects.Roles {
		role, binding := objects.Roles[i], objects.Bindings[i]

		group.Go(func() error {
			if _, err := client.RbacV1().Roles(role.Namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
				return refused("role", run, role.Namespace, err)
			}

			_, err := client.RbacV1().RoleBindings(binding.Namespace).Create(ctx, binding, metav1.CreateOptions{})

			return refused("rolebinding", run, binding.Namespace, err)
		})
	}

	for i := range objects.ClusterRoles {
		role, binding := objects.ClusterRoles[i], objects.ClusterBindings[i]

		group.Go(func() error {
			if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
				return refused("clusterrole", role.Name, "", err)
			}

			_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})

			return refused("clusterrolebinding", binding.Name, "", err)
		})
	}

	return group.Wait()
}

// takeBackJob removes the Job if it was made although its creation seems to have failed: the answer was lost on its way.
func takeBackJob(ctx context.Context, client kubernetes.Interface, job *batchv1.Job, cause error) error {
	if answer := apierrors.APIStatus(nil); errors.As(cause, &answer) && !apierrors.IsServerTimeout(cause) && !apierrors.IsTimeout(cause) {
		return nil // the API server has said no
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()

	made, err := client.BatchV1().Jobs(job.Namespace).Get(ctx, job.Name, metav1.GetOptions{})
	if err == nil && made.Annotations[pack.AnnotationCreated] == job.Annotations[pack.AnnotationCreated] {
		background := metav1.DeletePropagationBackground
		err = client.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{
			PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &made.UID},
		})
	}

	if ignoreGone(err) != nil {
		return fmt.Errorf("taking back job %q, which may have been created: %w", job.Name, err)
	}

	return nil
}

// takeBack removes a run that was not let go: the Job with all it owns, the record, and what lies elsewhere. The record is
// only deleted if its run is ours: another run of the same name may have made it.
func takeBack(ctx context.Context, client kubernetes.Interface, objects *pack.Objects, job types.UID) error {
	namespace, run := objects.Job.Namespace, objects.Job.Name
	background := metav1.DeletePropagationBackground

	errs := []error{
		ignoreGone(client.BatchV1().Jobs(namespace).Delete(ctx, run, metav1.DeleteOptions{
			PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &job},
		})),
		removeElsewhere(ctx, client, objects),
	}

	held, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, run, metav1.GetOptions{})
	if err == nil && held.Data["record"] == objects.Record.Data["record"] {
		err = client.CoreV1().ConfigMaps(namespace).Delete(ctx, run, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &held.UID}})
	}

	errs = append(errs, ignoreGone(err))

	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("taking back run %q, which has not begun: %w", run, err)
	}

	return nil
}

// removeElsewhere removes what the Job cannot own: roles and bindings in other namespaces and in the cluster. Bindings go
// first: a role alone grants nothing.
func removeElsewhere(ctx context.Context, client kubernetes.Interface, objects *pack.Objects) error {
	var errs []error

	now := metav1.DeleteOptions{}

	for i, binding := range objects.Bindings {
		if binding.Namespace == objects.Job.Namespace {
			continue
		}

		errs = append(errs,
			ignoreGone(client.RbacV1().RoleBindings(binding.Namespace).Delete(ctx, binding.Name, now)),
			ignoreGone(client.RbacV1().Roles(binding.Namespace).Delete(ctx, objects.Roles[i].Name, now)))
	}

	for i, binding := range objects.ClusterBindings {
		errs = append(errs,
			ignoreGone(client.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, now)),
			ignoreGone(client.RbacV1().ClusterRoles().Delete(ctx, objects.ClusterRoles[i].Name, now)))
	}

	return errors.Join(errs...)
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}

	return err
}

// refused says what the API server would not make, and gives the error its exit code. A nil err gives nil.
func refused(kind, name, namespace string, err error) error {
	if err == nil {
		return nil
	}

	wrapped := fmt.Errorf("creating %s %q in namespace %q: %w", kind, name, namespace, err)

	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return exit.New(exit.ToolFailed, wrapped, "kubectl describe quota -n "+namespace)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return exit.New(exit.NotPermitted, wrapped, "")
	case apierrors.IsAlreadyExists(err):
		return exit.New(exit.Usage, wrapped, fmt.Sprintf("a run of this name exists: kubectl kanister describe %s -n %s; choose another --name", name, namespace))
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), "namespaces"):
		return exit.New(exit.Usage, wrapped, "kubectl get namespaces")
	default:
		return wrapped
	}
}
