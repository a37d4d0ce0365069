package kube

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An autoscaler may take over on the way up; nobody may on the way down.
func TestMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		want, set, has, ready int64
		missing               string
	}{
		"arrived":               {3, 3, 3, 3, ""},
		"on its way":            {3, 3, 3, 1, "1 of 3 ready"},
		"an autoscaler has it":  {2, 4, 4, 4, ""},
		"and it is on its way":  {2, 4, 4, 3, "3 of 4 ready"},
		"stopped":               {0, 0, 0, 0, ""},
		"somebody starts it":    {0, 2, 2, 2, "somebody else set it to 2"},
		"somebody has stopped":  {2, 0, 0, 0, "somebody else set it to 0"},
		"not all pods are gone": {0, 0, 1, 0, "it has 1"},
	} {
		s := &scaleState{workload: Workload{Kind: ReplicaSet}, replicas: int32(tc.want), ready: true, current: &unstructured.Unstructured{Object: map[string]any{
			"spec":   map[string]any{"replicas": tc.set},
			"status": map[string]any{"replicas": tc.has, "readyReplicas": tc.ready, "availableReplicas": tc.ready},
		}}}
		s.pods = podsOf(int(tc.has))

		if got := s.missing(); got != tc.missing && (tc.missing == "" || !strings.Contains(got, tc.missing)) {
			t.Errorf("%s: %q, want %q", name, got, tc.missing)
		}
	}
}

func podsOf(n int) map[string]*corev1.Pod {
	pods := map[string]*corev1.Pod{}
	for i := range n {
		pods[fmt.Sprint(i)] = &corev1.Pod{}
	}

	return pods
}
