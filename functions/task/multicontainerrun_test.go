package task

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestSpread(t *testing.T) {
	t.Parallel()

	c := func(name, key string) map[string]any { return map[string]any{"name": name, "key": key} }

	for name, test := range map[string]struct {
		override, want map[string]any
		init           bool
	}{
		"none":                {nil, nil, true},
		"nothing for the pod": {map[string]any{"nodeName": "n"}, map[string]any{"nodeName": "n"}, true},
		"another container":   {map[string]any{"containers": []any{c("sidecar", "a")}}, map[string]any{"containers": []any{c("sidecar", "a")}}, true},
		"to all": {
			map[string]any{"containers": []any{c("container", "a"), c("sidecar", "b")}, "nodeName": "n"},
			map[string]any{
				"containers": []any{c("sidecar", "b"), c("output", "a"), c("background", "a")}, "initContainers": []any{c("init", "a")}, "nodeName": "n",
			}, true,
		},
		"to those that it does not name": {
			map[string]any{"containers": []any{c("background", "b"), c("container", "a")}, "initContainers": []any{c("init", "i")}},
			map[string]any{"containers": []any{c("background", "b"), c("output", "a")}, "initContainers": []any{c("init", "i")}}, true,
		},
		"without init": {
			map[string]any{"containers": []any{c("container", "a")}},
			map[string]any{"containers": []any{c("output", "a"), c("background", "a")}}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			in := &functions.Run{Input: &record.Input{PodOverride: test.override}}
			got := spread(in, test.init)

			if diff := cmp.Diff(test.want, got.Input.PodOverride); diff != "" {
				t.Error(diff)
			}

			if diff := cmp.Diff(test.override, in.Input.PodOverride); diff != "" {
				t.Errorf("the run's own was changed: %s", diff)
			}
		})
	}
}
