package diagnose

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Pod tells what keeps a pod from starting, and what ended it before its time. A container that failed by its own exit code
// is no problem here: the record says more about it. events are those of the namespace.
func Pod(pod *corev1.Pod, events Events, now time.Time) []Problem {
	events = events.Of("Pod", pod.Name, string(pod.UID))

	if problems := lostNode(pod, events, now); len(problems) > 0 {
		return problems
	}

	if problem, ended := killed(pod); ended {
		return []Problem{problem}
	}

	if pod.Status.Phase != corev1.PodPending {
		return nil
	}

	if problem, unscheduled := scheduling(pod, events); unscheduled {
		return []Problem{problem}
	}

	for _, status := range statuses(pod) {
		if problem, stuck := waiting(pod, status, events); stuck {
			return []Problem{problem}
		}
	}

	if event, found := events.last("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"); found {
		problem := about(pod, event.Reason, oneLine(event.Message))
		problem.Grace = graceMount

		return []Problem{problem}
	}

	problem := about(pod, Starting, "its containers are not started yet")
	problem.Grace = graceStart

	return []Problem{problem}
}

func about(pod *corev1.Pod, reason, message string) Problem {
	return Problem{
		Object: "pod/" + pod.Name, Namespace: pod.Namespace, Reason: reason, Message: message,
		Hint: "kubectl describe pod " + pod.Name + " -n " + pod.Namespace,
	}
}

func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
}

func scheduling(pod *corev1.Pod, events Events) (Problem, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type != corev1.PodScheduled || condition.Status != corev1.ConditionFalse {
			continue
		}

		message := condition.Message
		if event, found := events.last("FailedScheduling"); found && message == "" {
			message = event.Message
		}

		problem := about(pod, Unschedulable, oneLine(message))
		problem.Grace = graceSchedule

		if condition.Reason == corev1.PodReasonSchedulingGated {
			problem.Reason = condition.Reason
		}

		return problem, true
	}

	return Problem{}, false
}

// imageGone are the registries' ways to say that no later try will do.
var imageGone = []string{"not found", "notfound", "manifest unknown", "pull access denied", "repository does not exist", "unauthorized", "denied"}

func waiting(pod *corev1.Pod, status corev1.ContainerStatus, events Events) (Problem, bool) {
	if status.State.Waiting == nil {
		return Problem{}, false
	}

	message := oneLine(status.State.Waiting.Message)

	switch reason := status.State.Waiting.Reason; reason {
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable":
		problem := about(pod, "ImagePull", imageMessage(message, events))
		problem.Image = status.Image
		problem.Hint = "check the image " + status.Image + " and the namespace's pull secrets: kubectl describe pod " + pod.Name + " -n " + pod.Namespace

		text := strings.ToLower(problem.Message)
		for _, word := range imageGone {
			if strings.Contains(text, word) {
				problem.Reason, problem.Fatal = ImageMissing, true
			}
		}

		if reason == "ErrImageNeverPull" || reason == "InvalidImageName" {
			problem.Reason, problem.Fatal = ImageMissing, true
		}

		return problem, true
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "CrashLoopBackOff":
		problem := about(pod, reason, message)
		problem.Fatal = strings.Contains(message, "runAsNonRoot") || strings.Contains(message, "executable file not found")

		if reason == "CreateContainerConfigError" {
			problem.Grace = graceMount // a Secret that is created a moment later
		}

		return problem, true
	default:
		return Problem{}, false
	}
}

// imageMessage prefers the text that says why over "Back-off pulling image".
func imageMessage(message string, events Events) string {
	if message != "" && !strings.HasPrefix(message, "Back-off") {
		return message
	}

	for i := len(events) - 1; i >= 0; i-- {
		text := oneLine(events[i].Message)
		if events[i].Reason == "Failed" && text != "" && !strings.HasPrefix(text, "Error: ") {
			return text
		}
	}

	// Since 1.31 the waiting message carries the cause after the word "ErrImagePull".
	if _, cause, found := strings.Cut(message, "ErrImagePull: "); found {
		return cause
	}

	return message
}

// killed tells of a pod that was ended from outside: memory, eviction, preemption, a lost node.
func killed(pod *corev1.Pod) (Problem, bool) {
	for _, status := range statuses(pod) {
		for _, ended := range []*corev1.ContainerStateTerminated{status.State.Terminated, status.LastTerminationState.Terminated} {
			if ended != nil && ended.Reason == "OOMKilled" {
				problem := about(pod, "OOMKilled", "container "+status.Name+" was killed: it needed more memory than its limit"+limit(pod, status.Name))

				return problem, true
			}
		}
	}

	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return about(pod, condition.Reason, oneLine(condition.Message)), true
		}
	}

	if pod.Status.Phase == corev1.PodFailed && pod.Status.Reason != "" {
		return about(pod, pod.Status.Reason, oneLine(pod.Status.Message)), true
	}

	return Problem{}, false
}

func limit(pod *corev1.Pod, container string) string {
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			if memory, set := c.Resources.Limits[corev1.ResourceMemory]; set {
				return " of " + memory.String()
			}
		}
	}

	return ""
}

// Started tells whether one of the pod's containers has ever run.
func Started(pod *corev1.Pod) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running != nil || status.LastTerminationState.Terminated != nil || status.RestartCount > 0 {
			return true
		}

		if ended := status.State.Terminated; ended != nil && ended.Reason != "ContainerCannotRun" && ended.Reason != "StartError" {
			return true
		}
	}

	return false
}

// Ended is how the container ended, or nil while it has not.
func Ended(pod *corev1.Pod, container string) *corev1.ContainerStateTerminated {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name != container {
			continue
		}

		if status.State.Terminated != nil {
			return status.State.Terminated
		}

		return status.LastTerminationState.Terminated
	}

	return nil
}
