package action

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// giveUp ends a run whose runner can never start: it writes the verdict, which only the runner does otherwise, and deletes the
// Job with all it owns. The record is written first and only if no runner has touched it since: a runner that starts after all
// finds a finished run and goes away.
func (o *Options) giveUp(ctx context.Context, result follow.Result) error {
	var cannot *follow.CannotStartError
	if !errors.As(result.Err, &cannot) {
		return nil
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()

	namespace, run := result.Ref.Namespace, result.Ref.Name

	held, err := o.client.CoreV1().ConfigMaps(namespace).Get(ctx, run, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("giving up run %q: %w", run, err)
	}

	begun, err := fail(held, cannot, metav1.NewTime(o.Now()))
	if err != nil {
		return fmt.Errorf("giving up run %q: %w", run, err)
	}

	if begun {
		fmt.Fprintf(o.talk(), "run/%s has begun after all; come back to it with: kubectl kanister logs -f %s -n %s\n", run, run, namespace)

		return nil
	}

	if _, err := o.client.CoreV1().ConfigMaps(namespace).Update(ctx, held, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("giving up run %q: writing its record: %w", run, err)
	}

	background := metav1.DeletePropagationBackground
	if err := o.client.BatchV1().Jobs(namespace).Delete(ctx, run, metav1.DeleteOptions{PropagationPolicy: &background}); ignoreGone(err) != nil {
		return fmt.Errorf("giving up run %q: deleting its Job: %w", run, err)
	}

	fmt.Fprintf(o.talk(), "run/%s given up: its runner never ran, nothing was changed; Job deleted, record kept\n", run)

	return nil
}

// fail turns the record of a run that has not begun into that of a failed one. begun says that a runner has written to it.
func fail(held *corev1.ConfigMap, cannot *follow.CannotStartError, now metav1.Time) (begun bool, err error) {
	r, err := record.Decode(held)
	if err != nil {
		return false, err
	}

	if r.State != record.Pending || r.Attempts > 0 {
		return true, nil
	}

	ended := now.UTC()
	r.State, r.Ended = record.Failed, &ended
	r.Error = &record.Failure{
		Message: "the runner pod cannot start: " + cannot.Problem.String(), Reason: cannot.Problem.Reason, Hint: cannot.Problem.Hint,
	}

	for i := range r.Phases {
		r.Phases[i].State = record.Skipped
	}

	if r.Defer != nil {
		r.Defer.State = record.Skipped
	}

	data, err := record.Encode(r)
	if err != nil {
		return false, fmt.Errorf("writing the record: %w", err)
	}

	maps.Copy(held.Data, data)
	maps.Copy(held.Labels, record.Labels(r))

	yes := true
	held.Immutable = &yes

	return false, nil
}
