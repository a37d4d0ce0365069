package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
)

// Every function's example, as its page shows it, is valid without a finding and plans; where it takes an output of a phase of
// another page, that page's example stands before it. The plan allows the runner what the function needs.
func TestExamples(t *testing.T) {
	for _, entry := range spec.All() {
		t.Run(entry.ID, func(t *testing.T) {
			bp := complete(t, entry.Example)

			for _, finding := range blueprint.Validate(bp, blueprint.Options{Functions: builtin.Functions()}) {
				t.Errorf("the example has a finding: %v", finding)
			}

			p, err := plan.New(t.Context(), upstreamRequest(bp, "example"))
			if err != nil {
				t.Fatalf("the example does not plan: %v", err)
			}

			at := slices.IndexFunc(p.Phases, func(phase plan.Phase) bool { return phase.Func == entry.ID })
			if at < 0 {
				t.Fatalf("the plan has no phase of %s:\n%s", entry.ID, text(t, p))
			}

			for _, argument := range p.Phases[at].Unknown {
				if !strings.Contains(fmt.Sprint(bp.Actions["example"].Phases[at].Args[argument]), ".Phases.") {
					t.Errorf("argument %q is known before the run, and the plan does not know it:\n%s", argument, text(t, p))
				}
			}
		})
	}
}

// complete is the example as a blueprint's action, behind the phase that it takes outputs of.
func complete(t *testing.T, example string) *blueprint.Blueprint {
	t.Helper()

	bp := exampleBlueprint(t, example)
	if valid(bp) {
		return bp
	}

	for _, other := range spec.All() {
		if together := exampleBlueprint(t, other.Example+example); other.Example != example && valid(together) {
			return together
		}
	}

	return bp
}

func valid(bp *blueprint.Blueprint) bool {
	return len(blueprint.Validate(bp, blueprint.Options{Functions: builtin.Functions()})) == 0
}

func exampleBlueprint(t *testing.T, phases string) *blueprint.Blueprint {
	t.Helper()

	const indent = "\n    "

	document := "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nmetadata: {name: example}\nactions:\n  example:\n    phases:" +
		indent + strings.ReplaceAll(phases, "\n", indent)

	bp, err := blueprint.Load("example.yaml", []byte(document))
	if err != nil {
		t.Fatalf("loading the example: %v", err)
	}

	return bp
}
