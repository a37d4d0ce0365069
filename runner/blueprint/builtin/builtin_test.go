package builtin_test

import (
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/manifests"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
)

// Every example that the reference shows must be a phase that loads and validates.
func TestExamplesValidate(t *testing.T) {
	t.Parallel()

	for _, f := range spec.All() {
		if f.Example == "" {
			continue
		}

		text := strings.TrimRight(f.Example, "\n")
		if !strings.HasPrefix(strings.TrimLeft(text, " \n"), "- ") {
			continue // more than phases: tested where it is shown
		}

		file := "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions:\n  example:\n    phases:\n" + indent(text)

		b, err := blueprint.Load(f.ID, []byte(file))
		if err != nil {
			t.Errorf("loading the example of %s: %v\n%s", f.ID, err, file)

			continue
		}

		for _, finding := range blueprint.Validate(b, blueprint.Options{Functions: builtin.Functions()}).Errors() {
			// An example may show how the output of a phase before it is used.
			if !strings.Contains(finding.Message, "no earlier phase of action") {
				t.Errorf("the example: %s", finding)
			}
		}
	}
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.Trim(text, "\n"), "\n", "\n    ") + "\n"
}

// The blueprints that come with the plugin must be without a finding, warnings included.
func TestManifestsValidate(t *testing.T) {
	t.Parallel()

	for _, name := range manifests.BlueprintNames() {
		data, _ := manifests.Blueprint(name)

		b, err := blueprint.Load(name, data)
		if err != nil {
			t.Errorf("loading: %v", err)

			continue
		}

		if findings := blueprint.Validate(b, blueprint.Options{Functions: builtin.Functions()}); len(findings) > 0 {
			t.Errorf("validating: %v", findings)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()

	table := builtin.Functions()

	if len(table.Names()) != len(spec.All()) {
		t.Errorf("names %v", table.Names())
	}

	for _, f := range spec.All() {
		got, ok := table.Lookup(f.ID)
		if !ok || got.Name != f.ID || len(got.Arguments) != len(f.Args) || got.OpenOutputs != f.OpenOutputs || got.RawArgs != f.Raw {
			t.Errorf("%s becomes %+v", f.ID, got)
		}

		for _, a := range f.Args {
			switch string(a.Type) {
			case blueprint.TypeString, blueprint.TypeInt, blueprint.TypeBool, blueprint.TypeStrings, blueprint.TypeStringMap, blueprint.TypeMap:
			default:
				t.Errorf("argument %s of %s has the type %q, which validation does not know", a.Name, f.ID, a.Type)
			}
		}
	}

	if _, ok := table.Lookup("kubetask"); ok {
		t.Error("names are compared without case")
	}
}
