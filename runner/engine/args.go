package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// aliased is what functions are that embed a spec.Function.
type aliased interface {
	Arg(name string) (spec.Arg, bool)
}

// checkArgs gives the arguments as Exec gets them: spelt as the function's main spelling has it, without nulls, all known, none
// missing (COMPAT §2.6).
func checkArgs(f functions.Func, args map[string]any) (map[string]any, error) {
	aliases := map[string]string{}

	if a, ok := f.(aliased); ok {
		for name := range args {
			if arg, known := a.Arg(name); known && arg.Name != name {
				aliases[name] = arg.Name
			}
		}
	}

	present := maps.Clone(args)
	maps.DeleteFunc(present, func(_ string, value any) bool { return value == nil })

	canonical, err := template.Canonical(present, aliases)
	if err != nil {
		return nil, err
	}

	known := f.Arguments()

	for _, name := range slices.Sorted(maps.Keys(canonical)) {
		if !slices.Contains(known, name) {
			return nil, unknownArgument(f.Name(), name, known)
		}
	}

	var missing []string

	for _, name := range f.RequiredArgs() {
		if _, given := canonical[name]; !given {
			missing = append(missing, fmt.Sprintf("%q", name))
		}
	}

	if len(missing) > 0 {
		return nil, fmt.Errorf("function %s needs the argument %s", f.Name(), strings.Join(missing, ", "))
	}

	return canonical, nil
}

func unknownArgument(function, name string, known []string) error {
	if meant := suggest.Nearest(name, known); meant != "" {
		return fmt.Errorf("function %s has no argument %q; did you mean %q?", function, name, meant)
	}

	known = slices.Sorted(slices.Values(known))

	return fmt.Errorf("function %s has no argument %q; it has %s", function, name, strings.Join(known, ", "))
}

// checkNames is checkArgs before anything is rendered. Names that are templates themselves are left to checkArgs.
func checkNames(f functions.Func, args map[string]any) error {
	for name := range args {
		if strings.Contains(name, "{{") {
			return nil
		}
	}

	_, err := checkArgs(f, args)

	return err
}

// raw tells whether f wants its arguments unrendered. Upstream goes by the names Wait and WaitV2, whatever their case.
func raw(f functions.Func) bool {
	r, ok := f.(functions.RawArgs)

	return ok && r.RawArgs() || strings.EqualFold(f.Name(), "wait") || strings.EqualFold(f.Name(), "waitv2")
}

func repeatable(f functions.Func) bool {
	r, ok := f.(functions.Repeatable)

	return ok && r.Repeatable()
}
