package diagnose

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var now = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func pod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "demo"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}}}}
	change(p)

	return p
}

func stuck(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", Image: "i:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
}

func event(reason, message string) Events {
	return Events{{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p"}, Reason: reason, Message: message}}
}

func TestPod(t *testing.T) {
	for name, test := range map[string]struct {
		pod     *corev1.Pod
		events  Events
		reason  string // "" for no problem
		message string
		fatal   bool
	}{
		"back-off, cause in its message": {pod(stuck("ImagePullBackOff", `Back-off pulling image "i:1": ErrImagePull: no such host`)), nil, "ImagePull", "no such host", false},
		"back-off, cause in an event":    {pod(stuck("ImagePullBackOff", `Back-off pulling image "i:1"`)), event("Failed", "Failed to pull image: i/o timeout"), "ImagePull", "i/o timeout", false},
		"no such image":                  {pod(stuck("ErrImagePull", "docker.io/i:1: not found")), nil, ImageMissing, "not found", true},
		"pull secret wrong":              {pod(stuck("ErrImagePull", "401 Unauthorized")), nil, ImageMissing, "Unauthorized", true},
		"odd image name":                 {pod(stuck("InvalidImageName", "couldn't parse")), nil, ImageMissing, "couldn't parse", true},
		"root refused":                   {pod(stuck("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")), nil, "CreateContainerConfigError", "runAsNonRoot", true},
		"Secret missing":                 {pod(stuck("CreateContainerConfigError", `secret "s" not found`)), nil, "CreateContainerConfigError", `secret "s" not found`, false},
		"command missing":                {pod(stuck("RunContainerError", "executable file not found in $PATH")), nil, "RunContainerError", "executable", true},
		"volume not mounted":             {pod(stuck("ContainerCreating", "")), event("FailedMount", "MountVolume.SetUp failed:\n timeout"), "FailedMount", "MountVolume.SetUp failed: timeout", false},
		"slow":                           {pod(stuck("ContainerCreating", "")), nil, Starting, "not started yet", false},
		"evicted": {pod(func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
		}), nil, "Evicted", "low on resource", false},
		"preempted": {pod(func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "PreemptionByScheduler", Message: "preempted"}}
		}), nil, "PreemptionByScheduler", "preempted", false},
		"out of memory": {pod(func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}}}}
		}), nil, "OOMKilled", "limit of 64Mi", false},
		"gated": {pod(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated, Message: "gate"}}
		}), nil, corev1.PodReasonSchedulingGated, "gate", false},
		"its node does not answer": {pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning; p.Spec.NodeName = "n1" }), event("NodeNotReady", "Node is not ready"), NodeNotReady, `node "n1"`, false},
		"its node answers again": {pod(func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}), event("NodeNotReady", "Node is not ready"), "", "", false},
		"its node is lost": {pod(func(p *corev1.Pod) {
			p.Status.Phase, p.Spec.NodeName = corev1.PodRunning, "n1"
			p.DeletionTimestamp = &metav1.Time{Time: now.Add(-silence)}
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager", Message: "deleting due to NoExecute taint"}}
		}), nil, NodeLost, `node "n1" does not answer`, false},
		"takes its time to end": {pod(func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.DeletionTimestamp = &metav1.Time{Time: now.Add(time.Second - silence)}
		}), nil, "", "", false},
		"deleted before it had a node": {pod(func(p *corev1.Pod) {
			p.DeletionTimestamp = &metav1.Time{Time: now.Add(-silence)}
		}), nil, Starting, "", false},
		"ended by itself": {pod(func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1}}}}
		}), nil, "", "", false},
		"runs": {pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }), event("Unhealthy", "x"), "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			problems := Pod(test.pod, test.events, now)
			if test.reason == "" {
				if len(problems) > 0 {
					t.Errorf("problems %+v, want none", problems)
				}

				return
			}

			if len(problems) != 1 {
				t.Fatalf("problems %+v, want one", problems)
			}

			if p := problems[0]; p.Reason != test.reason || p.Fatal != test.fatal || !strings.Contains(p.Message, test.message) || p.Object != "pod/p" || p.Hint == "" {
				t.Errorf("problem %+v", p)
			}
		})
	}
}

func TestTheWayOutOfALostNode(t *testing.T) {
	lost := pod(func(p *corev1.Pod) {
		p.Status.Phase, p.Spec.NodeName = corev1.PodRunning, "n1"
		p.DeletionTimestamp = &metav1.Time{Time: now.Add(-time.Hour)}
	})

	problems := Pod(lost, nil, now)
	if len(problems) != 1 || !strings.Contains(problems[0].Hint, "kubectl delete pod p -n demo --force --grace-period=0") {
		t.Errorf("problems %+v", problems)
	}

	if at := SilentAt(lost); !at.Equal(now.Add(silence - time.Hour)) {
		t.Errorf("silent at %s", at)
	}
}

func TestEventsOfAnotherPodOfTheSameName(t *testing.T) {
	events := Events{{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p", UID: "older"}, Reason: "FailedMount"}}
	if got := events.Of("Pod", "p", "newer"); len(got) != 0 {
		t.Errorf("events %+v", got)
	}
}

func TestExitCode(t *testing.T) {
	for code, want := range map[int]string{0: "", 1: "", 3: "", 126: "not executable", 127: "not found", 137: "SIGKILL", 143: "SIGTERM", 139: "segmentation fault", 255: ""} {
		if got := ExitCode(code); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("ExitCode(%d) = %q, want %q in it", code, got, want)
		}
	}
}
