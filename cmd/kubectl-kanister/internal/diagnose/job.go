package diagnose

import (
	"regexp"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// How long a state must last before it is a problem.
const (
	graceSchedule = 2 * time.Second
	graceMount    = 2 * time.Second
	graceJob      = 5 * time.Second
	graceStart    = 15 * time.Second
)

// Job tells what keeps the Job of a run from having a pod. pods is how many it has or had; eventsKnown that events could be read.
func Job(job *batchv1.Job, pods int, events Events, eventsKnown bool) []Problem {
	if job == nil || pods > 0 || JobEnd(job) != nil {
		return nil
	}

	problem := Problem{Object: "job/" + job.Name, Namespace: job.Namespace}

	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		problem.Reason, problem.Grace = Suspended, graceJob
		problem.Message = "the Job is suspended: whoever started the run was interrupted, or a queue controller holds it"
		problem.Hint = "kubectl patch job " + job.Name + " -n " + job.Namespace + ` -p '{"spec":{"suspend":false}}'`

		return []Problem{problem}
	}

	if event, found := events.Of("Job", job.Name, string(job.UID)).last("FailedCreate"); found {
		return []Problem{refusal(problem, event)}
	}

	problem.Reason, problem.Grace = NoPod, graceJob
	problem.Message = "the Job has no pod yet"

	if !eventsKnown {
		problem.Message += "; its events may not be read with your rights"
	}

	problem.Hint = "kubectl describe job " + job.Name + " -n " + job.Namespace

	return []Problem{problem}
}

var podOfRefusal = regexp.MustCompile(`^Error creating: (pods "[^"]*" is forbidden: )?`)

// refusal reads a FailedCreate event: the API server's answer to the Job controller's request for a pod.
func refusal(problem Problem, event corev1.Event) Problem {
	text := oneLine(event.Message)
	problem.Message = podOfRefusal.ReplaceAllString(text, "")

	switch {
	case strings.Contains(text, "exceeded quota"), strings.Contains(text, "failed quota"):
		problem.Reason = Quota
		problem.Hint = "kubectl describe quota -n " + problem.Namespace
		// A quota that wants requests or limits named is never satisfied by waiting.
		problem.Fatal = strings.Contains(text, "must specify")
	case strings.Contains(text, "violates PodSecurity"):
		problem.Reason, problem.Fatal = PodSecurity, true
		problem.Hint = "kubectl get namespace " + problem.Namespace + " --show-labels"
	case strings.Contains(text, "denied the request"):
		problem.Reason, problem.Fatal = Refused, true
		problem.Hint = "ask the owners of the admission webhook or policy that is named in the message"
	case strings.Contains(text, "error looking up service account"):
		problem.Reason, problem.Grace = Refused, graceJob
		problem.Hint = "kubectl get serviceaccounts -n " + problem.Namespace
	case strings.Contains(text, "is forbidden"):
		problem.Reason, problem.Fatal = Refused, true
		problem.Hint = "kubectl describe limitrange,quota -n " + problem.Namespace
	default:
		problem.Reason, problem.Grace = event.Reason, graceJob
		problem.Hint = "kubectl describe " + strings.Replace(problem.Object, "/", " ", 1) + " -n " + problem.Namespace
	}

	return problem
}

// JobEnd is the condition that ended the Job (Complete or Failed), or nil while it goes on.
func JobEnd(job *batchv1.Job) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		condition := &job.Status.Conditions[i]
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			return condition
		}
	}

	return nil
}
