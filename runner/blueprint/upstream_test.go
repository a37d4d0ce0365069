package blueprint_test

import (
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/blueprinttest"
)

// faults are the true faults of upstream's blueprints: what validation must find, and nothing else of severity error.
var faults = map[string][]string{}

// All of upstream's blueprints load, and validate against the functions as upstream documents them. What they plan, and what
// validation against our own functions says, is in the golden table of package plan.
func TestUpstreamBlueprints(t *testing.T) {
	t.Parallel()

	files := blueprinttest.Upstream(t)
	if len(files) != 38 {
		t.Errorf("found %d blueprints, want 38", len(files))
	}

	for name, data := range files {
		b, err := blueprint.Load(name, data)
		if err != nil {
			t.Errorf("loading: %v", err)

			continue
		}

		checkFaults(t, name, blueprint.Validate(b, blueprint.Options{Functions: upstreamFunctions}))
	}
}

func checkFaults(t *testing.T, name string, findings blueprint.Findings) {
	t.Helper()

	want := faults[name]

	for _, f := range findings.Errors() {
		if len(want) > 0 && strings.Contains(f.String(), want[0]) {
			want = want[1:]

			continue
		}

		t.Errorf("%s", f)
	}

	for _, w := range want {
		t.Errorf("%s: no finding with %q", name, w)
	}
}
