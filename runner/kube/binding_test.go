package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestVolumesThatTakeTime: a claim of a class that binds at once leaves its pod unschedulable for as long as the driver copies.
func TestVolumesThatTakeTime(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		message string
		limit   time.Duration
		after   time.Duration
		fails   bool
	}{
		"a clone":                           {"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", 2 * time.Hour, 119 * time.Minute, false},
		"a clone that never comes":          {"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", 2 * time.Hour, 2 * time.Hour, true},
		"a clone on its first node":         {`running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded`, 2 * time.Hour, time.Hour, false},
		"another pod's":                     {"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", 0, scheduleGrace, true},
		"no room, though its limit is long": {"0/1 nodes are available: 1 Insufficient memory.", 2 * time.Hour, scheduleGrace, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}, Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: test.message},
			}}}
			p := (&Client{Clientset: fake.NewClientset()}).handle(pod, false, false)
			p.StartLimit = test.limit
			j := judge{pod: p}

			began := p.created
			if err := j.pending(t.Context(), began); err != nil {
				t.Fatalf("at once: %v", err)
			}

			if err := j.pending(t.Context(), began.Add(test.after)); (err != nil) != test.fails {
				t.Errorf("after %s: %v", test.after, err)
			}
		})
	}
}
