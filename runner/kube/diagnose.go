package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"
)

// How long a pod may be in a state that usually, but not always, is final.
const (
	// DefaultStartLimit is upstream's (COMPAT §4.0.1).
	DefaultStartLimit = 15 * time.Minute
	// Registries have bad minutes, autoscalers need some to bring a node, ConfigMaps are created a moment late.
	imageGrace      = time.Minute
	scheduleGrace   = 5 * time.Minute
	containerGrace  = 15 * time.Second
	terminatedGrace = 30 * time.Second
)

// trouble is why a pod does not start: what to tell meanwhile, and how long to put up with it.
type trouble struct {
	reason  string
	message string
	hint    string
	grace   time.Duration
	// binds: it waits for its volumes to be made.
	binds bool
}

// pending judges a pod that has not started. Nil: nothing is wrong so far.
func pending(pod *corev1.Pod) *trouble {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason != corev1.PodReasonSchedulingGated {
			return unschedulable(pod, condition.Message)
		}
	}

	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if waiting := status.State.Waiting; waiting != nil {
			if t := containerWaiting(pod, status, waiting); t != nil {
				return t
			}
		}
	}

	return nil
}

func unschedulable(pod *corev1.Pod, message string) *trouble {
	t := &trouble{
		reason: ReasonUnschedulable, message: "no node takes it: " + message, grace: scheduleGrace,
		hint: fmt.Sprintf("kubectl describe pod -n %s %s; kubectl describe nodes", pod.Namespace, pod.Name),
	}

	// A class that binds at once, and one whose volume took longer than the scheduler waits for it.
	t.binds = strings.Contains(message, "unbound immediate PersistentVolumeClaims") || strings.Contains(message, "binding volumes")

	// Missing claims do not turn up by themselves.
	if strings.Contains(message, "persistentvolumeclaim") && strings.Contains(message, "not found") {
		t.grace = containerGrace
		t.hint = "kubectl get persistentvolumeclaims -n " + pod.Namespace
	}

	return t
}

func containerWaiting(pod *corev1.Pod, status corev1.ContainerStatus, waiting *corev1.ContainerStateWaiting) *trouble {
	t := &trouble{hint: fmt.Sprintf("kubectl describe pod -n %s %s", pod.Namespace, pod.Name)}

	switch waiting.Reason {
	case "ErrImageNeverPull", "InvalidImageName", "ImageInspectError":
		t.reason = ReasonImagePull
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed":
		t.reason = ReasonImagePull
		if !permanentPull(waiting.Message) {
			t.grace = imageGrace
		}
	case "CreateContainerConfigError":
		t.reason = ReasonContainerConfig

		switch {
		case strings.Contains(waiting.Message, "runAsNonRoot"), strings.Contains(waiting.Message, "non-numeric user"):
			t.hint = "the image runs as root, which the namespace forbids: choose a user by podOverride, e.g. {securityContext: {runAsUser: 1000}}"
		default:
			t.grace = containerGrace
		}
	case "CreateContainerError", "RunContainerError", "CrashLoopBackOff", "PostStartHookError":
		t.reason = ReasonContainerStart
		t.grace = containerGrace
	default:
		return nil
	}

	if t.reason == ReasonImagePull {
		t.message = fmt.Sprintf("image %q of container %q cannot be pulled: %s", status.Image, status.Name, text(waiting.Reason, waiting.Message))
		t.hint = "check the image's name and tag, the registry and imagePullSecrets; on a cluster without registry load the image onto the nodes"
	} else {
		t.message = fmt.Sprintf("container %q does not start: %s", status.Name, text(waiting.Reason, waiting.Message))
	}

	return t
}

// permanentPull tells whether a registry has given its final answer.
func permanentPull(message string) bool {
	lower := strings.ToLower(message)

	for _, final := range []string{
		"not found", "manifest unknown", "name unknown", "unauthorized", "denied", "forbidden", "does not exist",
		"invalid reference", "no match for platform", "no basic auth credentials", "insufficient_scope",
	} {
		if strings.Contains(lower, final) {
			return true
		}
	}

	return false
}

func text(reason, message string) string {
	if message == "" {
		return reason
	}

	return reason + ": " + message
}

// failed explains a pod that ended without success. container is the one whose exit code counts; logs are its last lines.
func failed(pod *corev1.Pod, container string, logs []string) *Error {
	e := &Error{LastLogs: logs, Reason: ReasonExit, Message: fmt.Sprintf("pod %q in namespace %q failed", pod.Name, pod.Namespace)}
	status, terminated := culprit(pod, container)

	if terminated != nil {
		e.Exit = ptr.To(int(terminated.ExitCode))
		e.Message = fmt.Sprintf("container %q of pod %q in namespace %q ended with exit code %d", status.Name, pod.Name, pod.Namespace, terminated.ExitCode)

		if len(logs) == 0 && terminated.Message != "" {
			e.LastLogs = strings.Split(strings.TrimRight(terminated.Message, "\n"), "\n")
		}

		switch terminated.Reason {
		case "OOMKilled":
			e.Reason = ReasonOOMKilled
			e.Message += ": it used more memory than it may"
			e.Hint = "raise resources.limits.memory of container " + status.Name + " by podOverride" + limitOf(pod, status.Name)
		case "StartError", "ContainerCannotRun":
			e.Reason = ReasonContainerStart
			e.Message = fmt.Sprintf("container %q of pod %q in namespace %q did not start: %s", status.Name, pod.Name, pod.Namespace, terminated.Message)
			e.LastLogs = nil
			e.Hint = fmt.Sprintf("the command must exist in image %q", status.Image)
		}
	}

	switch reason := pod.Status.Reason; {
	case reason == "Evicted":
		e.Reason = ReasonEvicted
	case reason == "DeadlineExceeded":
		e.Reason = ReasonDeadline
	case reason == "NodeLost", reason == "NodeAffinity", reason == "Shutdown", reason == "Terminated":
		e.Reason = ReasonNodeLost
	case reason == "Preempting":
		e.Reason = ReasonPreempted
	case strings.HasPrefix(reason, "OutOf"), reason == "UnexpectedAdmissionError":
		e.Reason = ReasonUnschedulable
	case e.Reason == ReasonExit && disrupted(pod) != "":
		e.Reason = disrupted(pod)
	case e.Reason == ReasonExit && pod.DeletionTimestamp != nil:
		e.Reason = ReasonPodDeleted
		e.Message += ": it was deleted while it ran"
	}

	if pod.Status.Reason != "" || pod.Status.Message != "" {
		e.Message += ": " + text(pod.Status.Reason, pod.Status.Message)
	}

	return e
}

// culprit is the container to blame: container itself if it failed, else the first that did.
func culprit(pod *corev1.Pod, container string) (corev1.ContainerStatus, *corev1.ContainerStateTerminated) {
	all := slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses)
	bad := func(s corev1.ContainerStatus) bool {
		return s.State.Terminated != nil && s.State.Terminated.ExitCode != 0
	}

	for _, status := range all {
		if status.Name == container && bad(status) {
			return status, status.State.Terminated
		}
	}

	for _, status := range all {
		if bad(status) {
			return status, status.State.Terminated
		}
	}

	return corev1.ContainerStatus{}, nil
}

// disrupted is the reason for which Kubernetes itself ended the pod; "" if it did not.
func disrupted(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type != corev1.DisruptionTarget || condition.Status != corev1.ConditionTrue {
			continue
		}

		switch condition.Reason {
		case "PreemptionByScheduler":
			return ReasonPreempted
		case "DeletionByTaintManager", "DeletionByPodGC":
			return ReasonNodeLost
		default:
			return ReasonEvicted
		}
	}

	return ""
}

func limitOf(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return " (it is " + limit.String() + ")"
		}
	}

	return " (it has none: the node or a LimitRange is the limit)"
}

// Warnings are the warning events about a pod, oldest first, at most ten. Best effort: without the right to read events there
// are none.
func (c *Client) Warnings(ctx context.Context, namespace, pod string) []string {
	list, err := c.Clientset.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: fields.AndSelectors(
		fields.OneTermEqualSelector("involvedObject.kind", "Pod"),
		fields.OneTermEqualSelector("involvedObject.name", pod),
		fields.OneTermEqualSelector("type", corev1.EventTypeWarning),
	).String()})
	if err != nil {
		return nil
	}

	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })

	var lines []string

	for _, event := range list.Items {
		line := event.Reason + ": " + strings.TrimSpace(event.Message)
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}

	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}

	return lines
}

func eventTime(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	default:
		return e.EventTime.Time
	}
}
