package diagnose

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// silence is how long beyond its grace period a pod may take to go before its node counts as one that does not answer.
const silence = 15 * time.Second

// SilentAt is when a pod that was told to end is overdue; zero for one that was not, has ended, or never had a node.
func SilentAt(pod *corev1.Pod) time.Time {
	ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	if pod.DeletionTimestamp == nil || pod.Spec.NodeName == "" || ended {
		return time.Time{}
	}

	return pod.DeletionTimestamp.Add(silence)
}

// lostNode tells of a pod whose node does not answer. As long as the pod is there nobody takes its place: the Job starts no other runner,
// and a volume that the pod uses is not given to another.
func lostNode(pod *corev1.Pod, events Events, now time.Time) []Problem {
	var problems []Problem

	if event, found := events.last(NodeNotReady); found && pod.Status.Phase == corev1.PodRunning && !ready(pod) {
		problem := about(pod, event.Reason, fmt.Sprintf("its node %q does not answer; Kubernetes waits some minutes before it gives the pod up", pod.Spec.NodeName))
		problem.Hint = "kubectl describe node " + pod.Spec.NodeName
		problems = append(problems, problem)
	}

	if at := SilentAt(pod); !at.IsZero() && !now.Before(at) {
		problem := about(pod, NodeLost, fmt.Sprintf("its node %q does not answer; nothing takes the pod's place until it is gone", pod.Spec.NodeName))
		problem.Hint = fmt.Sprintf("kubectl get node %s; when it is down for sure, and only then: kubectl delete pod %s -n %s --force --grace-period=0",
			pod.Spec.NodeName, pod.Name, pod.Namespace)
		problems = append(problems, problem)
	}

	return problems
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}

	return false
}
