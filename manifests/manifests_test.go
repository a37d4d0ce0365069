package manifests_test

import (
	"slices"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/manifests"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
)

// Every built-in blueprint is named as its file, loads strictly and validates without a word.
func TestBlueprintsAreValid(t *testing.T) {
	names := manifests.BlueprintNames()
	if !slices.Contains(names, "volumes") {
		t.Fatalf("built-in blueprints: %v", names)
	}

	for _, name := range names {
		text, ok := manifests.Blueprint(name)
		if !ok {
			t.Fatalf("blueprint %q is listed and not there", name)
		}

		bp, err := blueprint.Load(name+".yaml", text)
		if err != nil {
			t.Fatal(err)
		}

		if bp.Name != name {
			t.Errorf("file %s.yaml holds blueprint %q", name, bp.Name)
		}

		for _, problem := range blueprint.Validate(bp, blueprint.Options{Functions: builtin.Functions()}) {
			t.Errorf("%s: %v", name, problem)
		}
	}

	if _, ok := manifests.Blueprint("../manifests.go"); ok {
		t.Error("a path outside was read")
	}
}
