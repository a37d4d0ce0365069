package follow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// verdictOf finds the verdict in the newest runner pod that has one.
func verdictOf(pods []*corev1.Pod) (record.Verdict, bool) {
	for _, pod := range slices.Backward(pods) {
		if ended := diagnose.Ended(pod, RunnerContainer); ended != nil {
			if verdict, found := record.ParseVerdict(ended.Message); found && verdict.State.Finished() {
				return verdict, true
			}
		}
	}

	return record.Verdict{}, false
}

// conclude makes the final record of a run whose runner can write none any more, from what the cluster still knows. The
// record in the cluster stays as it is.
func conclude(last *record.Record, job *batchv1.Job, pods []*corev1.Pod, now time.Time) *record.Record {
	final := *last
	final.Ended = &now

	if v, found := verdictOf(pods); found {
		final.State = v.State

		switch {
		case v.State == record.Failed:
			final.Error = v.Error
		case v.State == record.Cancelled && v.Error != nil && last.CancelReason == "":
			final.CancelReason = v.Error.Message
		}

		final.Warnings = append(slices.Clone(last.Warnings),
			"the runner's verdict was taken from its pod: it could not be written to the run record")

		return &final
	}

	final.State = record.Failed
	final.Error = death(last, job, pods, now)

	return &final
}

// death is the failure of a run whose runner died without a verdict.
func death(last *record.Record, job *batchv1.Job, pods []*corev1.Pod, now time.Time) *record.Failure {
	failure := &record.Failure{Reason: "RunnerDied", Hint: "kubectl kanister describe " + last.Run + " -n " + last.Namespace}

	for _, phase := range last.Phases {
		if phase.State == record.Running {
			failure.Phase, failure.Func = phase.Name, phase.Func
		}
	}

	var words []string

	switch condition := jobEnd(job); {
	case job == nil:
		failure.Reason = "JobGone"
		words = append(words, "the Job was deleted before the run was finished")
	case condition != nil && condition.Type == batchv1.JobFailed && condition.Reason == "DeadlineExceeded":
		failure.Reason = "Timeout"
		words = append(words, "the Job's deadline is over: "+condition.Message)
	case condition != nil:
		words = append(words, "the runner "+times(int(job.Status.Failed))+" and wrote no verdict")
		if condition.Message != "" && condition.Type == batchv1.JobFailed {
			words = append(words, condition.Message)
		}
	}

	if len(pods) > 0 {
		pod := pods[len(pods)-1]
		failure.Pod = &record.PodRef{Namespace: pod.Namespace, Name: pod.Name}

		if problems := diagnose.Pod(pod, nil, now); len(problems) > 0 && problems[0].Reason != diagnose.Starting {
			words = append(words, problems[0].Message)
		}

		if ended := diagnose.Ended(pod, RunnerContainer); ended != nil {
			code := int(ended.ExitCode)
			failure.Exit = &code

			if text := strings.TrimSpace(ended.Message); text != "" && !strings.HasPrefix(text, "{") {
				failure.LastLogs = strings.Split(text, "\n")
			}
		}
	}

	failure.Message = strings.Join(words, ": ")

	return failure
}

func jobEnd(job *batchv1.Job) *batchv1.JobCondition {
	if job == nil {
		return nil
	}

	return diagnose.JobEnd(job)
}

func times(n int) string {
	switch n {
	case 0:
		return "ended"
	case 1:
		return "died once"
	default:
		return fmt.Sprintf("died %d times", n)
	}
}
