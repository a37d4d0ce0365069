// Package builtin tells blueprint validation about the functions that come with the runner.
package builtin

import (
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Functions is the table of the built-in functions.
func Functions() blueprint.FunctionTable { return table{} }

type table struct{}

// Lookup finds a built-in function by its exact name.
func (table) Lookup(name string) (blueprint.Function, bool) {
	f, ok := spec.Lookup(name)
	if !ok {
		return blueprint.Function{}, false
	}

	out := blueprint.Function{Name: f.ID, OneOf: f.OneOf, OpenOutputs: f.OpenOutputs, RawArgs: f.Raw}

	for _, a := range f.Args {
		out.Arguments = append(out.Arguments, blueprint.Argument{
			Name: a.Name, Aliases: a.Aliases, Type: string(a.Type), Required: a.Required, Values: a.Values, Check: checks[a.Form],
		})
	}

	for _, o := range f.Outputs {
		out.Outputs = append(out.Outputs, o.Name)
	}

	return out, true
}

// Names are the built-in functions, sorted.
func (table) Names() []string {
	all := spec.All()
	names := make([]string, len(all))

	for i := range all {
		names[i] = all[i].ID
	}

	return names
}
