package runs

import (
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// restorable tells whether a backup can be restored: "yes", "no", "deleted", or "unknown" when its record has no blueprint.
func (r Run) restorable(deleted deletions) string {
	switch {
	case deleted.of(r):
		return "deleted"
	case r.Broken != nil:
		return "unknown"
	case r.State != record.Complete:
		return "no"
	}

	actions, known := r.actions()

	switch {
	case !known:
		return "unknown"
	case actions["restore"]:
		return "yes"
	default:
		return "no"
	}
}

// actions are the names of the actions of the blueprint that the record keeps.
func (r Run) actions() (map[string]bool, bool) {
	text := r.ConfigMap.Data[record.KeyBlueprint]
	if text == "" {
		return nil, false
	}

	var shape struct {
		Actions map[string]any `json:"actions"`
	}

	if err := yaml.Unmarshal([]byte(text), &shape); err != nil {
		return nil, false
	}

	actions := map[string]bool{}
	for name := range shape.Actions {
		actions[name] = true
	}

	return actions, true
}
