package functions

import (
	"fmt"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// Decode fills the struct that into points to from rendered arguments: aliases are renamed first, then the values are taken
// weakly typed, as upstream does (COMPAT §2.5). Fields are named by the tag `mapstructure:"name"`.
func Decode(f spec.Function, args map[string]any, into any) error {
	aliases := map[string]string{}

	for _, arg := range f.Args {
		for _, alias := range arg.Aliases {
			aliases[alias] = arg.Name
		}
	}

	args, err := template.Canonical(args, aliases)
	if err != nil {
		return fmt.Errorf("reading the arguments of %s: %w", f.ID, err)
	}

	if err := template.Decode(args, into); err != nil {
		return fmt.Errorf("reading the arguments of %s: %w", f.ID, err)
	}

	return nil
}
