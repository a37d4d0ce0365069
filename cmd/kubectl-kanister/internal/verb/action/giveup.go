package action

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// giveUp ends a run whose runner can never start: it writes the verdict, which only the runner does otherwise, and deletes the
// Job with all it owns. The record is written first and only if no runner has touched it since: a runner that starts after all
// finds a finished run and goes away. begun says that one has touched it: the run goes on.
func (o *Options) giveUp(ctx context.Context, result follow.Result) (begun bool, err error) {
	var cannot *follow.CannotStartError
	if !errors.As(result.Err, &cannot) {
		return false, nil
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()

	namespace, run := result.Ref.Namespace, result.Ref.Name

	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		held, err := o.client.CoreV1().ConfigMaps(namespace).Get(ctx, run, metav1.GetOptions{})
		if err != nil {
			return err
		}

		if begun, err = fail(held, cannot, metav1.NewTime(o.Now())); begun || err != nil {
			return err
		}

		_, err = o.client.CoreV1().ConfigMaps(namespace).Update(ctx, held, metav1.UpdateOptions{})

		return err
	})
	if begun || err != nil {
		return begun, wrapGiveUp(run, "writing its record", err)
	}

	background := metav1.DeletePropagationBackground
	if err := ignoreGone(o.client.BatchV1().Jobs(namespace).Delete(ctx, run, metav1.DeleteOptions{PropagationPolicy: &background})); err != nil {
		return false, wrapGiveUp(run, "deleting its Job", err)
	}

	fmt.Fprintf(o.talk(), "run/%s given up: its runner never ran, nothing was changed; Job deleted, record kept\n", run)

	return false, nil
}

func wrapGiveUp(run, doing string, err error) error {
	if err == nil {
		return nil
	}

	return fmt.Errorf("giving up run %q: %s: %w", run, doing, err)
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

	data, err := record.Encode(r) //nolint:contextcheck // without a location it waits for nobody
	if err != nil {
		return false, fmt.Errorf("writing the record: %w", err)
	}

	maps.Copy(held.Data, data)
	maps.Copy(held.Labels, record.Labels(r))

	yes := true
	held.Immutable = &yes

	return false, nil
}
