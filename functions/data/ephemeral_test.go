package data

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestEphemeral(t *testing.T) {
	for name, test := range map[string]struct {
		state   map[string]any
		runs    bool
		refused bool // another way may lead to the data
	}{
		"runs":           {map[string]any{"running": map[string]any{"startedAt": "now"}}, true, false},
		"is being made":  {map[string]any{"waiting": map[string]any{"reason": "ContainerCreating"}}, false, false},
		"no such image":  {map[string]any{"waiting": map[string]any{"reason": "ErrImagePull"}}, false, true},
		"still no image": {map[string]any{"waiting": map[string]any{"reason": "ImagePullBackOff"}}, false, true},
		"no user":        {map[string]any{"waiting": map[string]any{"reason": "CreateContainerConfigError"}}, false, true},
		"ended":          {map[string]any{"terminated": map[string]any{"reason": "Error"}}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"ephemeralContainerStatuses": []any{
				map[string]any{"name": "other", "state": map[string]any{"running": map[string]any{}}},
				map[string]any{"name": "ours", "state": test.state},
			}}}}

			runs, _, err := ephemeral(pod, "ours")
			if runs != test.runs || (err != nil) != test.refused || err != nil && !refused(err) {
				t.Errorf("runs %t, %v", runs, err)
			}
		})
	}
}
