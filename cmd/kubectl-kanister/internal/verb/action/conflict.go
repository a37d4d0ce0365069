package action

import (
	"context"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// conflict refuses a run that would pull the rug from under another one: a restore beside any run on the same target,
// anything beside a running restore. A namespace and what is in it are the same target. Two backups of one target may run side by side.
//
// It is asked twice: before anything is created, and when the run's own record is there but its Job does not run yet. The second time a younger
// record is no obstacle, for its run asks again as well and sees this one. Of two that were made in the same second neither begins.
func (o *Options) conflict(ctx context.Context, p *plan.Plan) error {
	list, err := o.client.CoreV1().ConfigMaps(p.Namespace()).List(ctx, metav1.ListOptions{LabelSelector: strings.Join([]string{
		record.LabelRecord + "=true",
		record.LabelState + " in (" + string(record.Pending) + "," + string(record.Running) + ")",
	}, ",")})
	if apierrors.IsForbidden(err) {
		fmt.Fprintf(o.talk(), "warning: whether another run works on %s cannot be checked: %v\n", target.Name(p.Input.Target), err)

		return nil
	}

	if err != nil {
		return fmt.Errorf("looking for other runs on %s: %w", target.Name(p.Input.Target), err)
	}

	var own *corev1.ConfigMap

	for i := range list.Items {
		if list.Items[i].Name == p.Run() {
			own = &list.Items[i]
		}
	}

	for i := range list.Items {
		other := &list.Items[i]

		switch {
		case other == own || p.Input.Action != Restore && other.Labels[record.LabelAction] != Restore || !overlap(p, other):
			continue
		case own != nil && own.CreationTimestamp.Before(&other.CreationTimestamp):
			continue
		}

		alive, err := o.alive(ctx, other)
		if err != nil {
			return err
		}

		if alive {
			return exit.New(exit.ToolFailed, fmt.Errorf("starting %s of %s: run %q (%s) works on it now",
				p.Input.Action, target.Name(p.Input.Target), other.Name, other.Labels[record.LabelAction]),
				fmt.Sprintf("kubectl kanister wait %s -n %s, or cancel it: kubectl kanister cancel %s -n %s", other.Name, other.Namespace, other.Name, other.Namespace))
		}
	}

	return nil
}

// overlap tells whether the other run, in the same namespace, works on the same objects.
func overlap(p *plan.Plan, other *corev1.ConfigMap) bool {
	const namespace = "namespace"

	kind, name := other.Labels[record.LabelTargetKind], other.Labels[record.LabelTargetName]

	return kind == namespace || p.Input.Target.Kind == namespace ||
		kind == record.LabelValue(p.Input.Target.Kind) && name == record.LabelValue(p.Input.Target.Name)
}

// alive tells whether an unfinished record still has a Job that may finish it.
func (o *Options) alive(ctx context.Context, held *corev1.ConfigMap) (bool, error) {
	job, err := o.client.BatchV1().Jobs(held.Namespace).Get(ctx, held.Name, metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading the Job of run %q: %w", held.Name, err)
	}

	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			return false, nil
		}
	}

	return true, nil
}
