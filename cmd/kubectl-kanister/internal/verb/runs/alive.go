package runs

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// life is what the cluster says of an unfinished run.
type life int

const (
	dead    life = iota // no Job is left that could finish it
	waiting             // no runner has begun yet
	going               // a runner works on it, or will again
)

// lifeOf looks at Job and pods of a run whose record is not finished.
func lifeOf(ctx context.Context, s *session.Session, run Run) (life, error) {
	job, err := s.Kubernetes.BatchV1().Jobs(run.Namespace).Get(ctx, run.Run, metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err):
		return dead, nil
	case err != nil:
		return going, fmt.Errorf("reading the Job of run %q: %w", run.Run, err)
	case diagnose.JobEnd(job) != nil:
		return dead, nil
	case run.State != record.Pending || run.Attempts > 0:
		return going, nil
	}

	pods, err := s.Kubernetes.CoreV1().Pods(run.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + run.Run})
	if err != nil {
		return going, fmt.Errorf("reading the pods of run %q: %w", run.Run, err)
	}

	for i := range pods.Items {
		if diagnose.Started(&pods.Items[i]) {
			return going, nil
		}
	}

	return waiting, nil
}
