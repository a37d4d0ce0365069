// Package function holds the commands on Kanister Functions: get functions, explain function. They read function specs only,
// no cluster.
package function

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

func names() []string {
	var all []string
	for _, f := range spec.All() {
		all = append(all, f.ID)
	}

	return all
}

// Complete completes function names.
func Complete(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, f := range spec.All() {
		all = append(all, cobra.CompletionWithDesc(f.ID, f.Summary))
	}

	return all, cobra.ShellCompDirectiveNoFileComp
}

// lookup finds functions by name; the case of letters does not matter here.
func lookup(args []string) ([]spec.Function, error) {
	if len(args) == 0 {
		return spec.All(), nil
	}

	var found []spec.Function

	for _, arg := range args {
		at := -1

		all := spec.All()
		for i := range all {
			if strings.EqualFold(all[i].ID, arg) {
				at = i
			}
		}

		if at < 0 {
			hint := "kubectl kanister get functions"
			if near := suggest.Nearest(arg, names()); near != "" {
				hint = "did you mean " + near + "?"
			}

			return nil, exit.New(exit.Usage, fmt.Errorf("looking for function %q: there is none of this name", arg), hint)
		}

		found = append(found, all[at])
	}

	return found, nil
}

// NewCmdGet is `get functions`.
func NewCmdGet(streams genericiooptions.IOStreams) *cobra.Command {
	output := ui.NewOutput()
	cmd := &cobra.Command{
		Use:     "functions [NAME...] [-o FORMAT]",
		Aliases: []string{"function", "func"},
		Short:   "List the Kanister Functions that blueprints can use",
		Example: `  # All functions
  kubectl kanister get functions
  # Everything about one, for a machine
  kubectl kanister get functions KubeTask -o yaml`,
		ValidArgsFunction: Complete,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := output.Validate(); err != nil {
				return err
			}

			found, err := lookup(args)
			if err != nil {
				return err
			}

			if table, _ := output.Table(); table {
				return output.PrintTable(streams.Out, tabular(found))
			}

			var items []map[string]any

			for _, f := range found {
				object, err := object(f)
				if err != nil {
					return err
				}

				items = append(items, object)
			}

			return output.PrintList(streams.Out, items)
		},
	}
	output.AddFlags(cmd)

	return cmd
}

func tabular(found []spec.Function) *metav1.Table {
	table := &metav1.Table{ColumnDefinitions: ui.Columns("NAME", "FAMILY", "SUMMARY", "|", "ARGUMENTS", "OUTPUTS", "PROFILE")}

	for _, f := range found {
		var args, outputs []string

		for _, a := range f.Args {
			name := a.Name
			if a.Required {
				name += "*"
			}

			args = append(args, name)
		}

		for _, o := range f.Outputs {
			outputs = append(outputs, o.Name)
		}

		profile := "no"
		if f.NeedsProfile {
			profile = "yes"
		} else if f.NeedsServer {
			profile = "or server"
		}

		table.Rows = append(table.Rows, ui.Row(f.ID, f.Family, f.Summary, join(args), join(outputs), profile))
	}

	return table
}

func join(words []string) string {
	if len(words) == 0 {
		return "-"
	}

	return strings.Join(words, ",")
}

// object is a function as -o json prints it.
func object(f spec.Function) (map[string]any, error) {
	type arg struct {
		Name     string   `json:"name"`
		Aliases  []string `json:"aliases,omitempty"`
		Type     string   `json:"type"`
		Required bool     `json:"required"`
		Default  string   `json:"default,omitempty"`
		Values   []string `json:"values,omitempty"`
		Doc      string   `json:"doc,omitempty"`
	}

	type output struct {
		Name string `json:"name"`
		Type string `json:"type"`
		Doc  string `json:"doc,omitempty"`
	}

	shape := struct {
		APIVersion   string            `json:"apiVersion"`
		Kind         string            `json:"kind"`
		Metadata     map[string]string `json:"metadata"`
		Family       string            `json:"family"`
		Summary      string            `json:"summary"`
		Doc          string            `json:"doc,omitempty"`
		Args         []arg             `json:"args"`
		Outputs      []output          `json:"outputs"`
		OneOf        [][]string        `json:"oneOf,omitempty"`
		NeedsProfile bool              `json:"needsProfile"`
		NeedsServer  bool              `json:"needsServer,omitempty"`
		Repeatable   bool              `json:"repeatable"`
		Example      string            `json:"example,omitempty"`
	}{
		APIVersion: "kanister.io/v1", Kind: "Function", Metadata: map[string]string{"name": f.ID}, Family: f.Family,
		Summary: f.Summary, Doc: f.Doc, Args: []arg{}, Outputs: []output{}, OneOf: f.OneOf, NeedsProfile: f.NeedsProfile, NeedsServer: f.NeedsServer,
		Repeatable: f.Repeat, Example: f.Example,
	}

	for _, a := range f.Args {
		shape.Args = append(shape.Args, arg{a.Name, a.Aliases, string(a.Type), a.Required, a.Default, a.Values, a.Doc})
	}

	for _, o := range f.Outputs {
		shape.Outputs = append(shape.Outputs, output{o.Name, string(o.Type), o.Doc})
	}

	raw, err := json.Marshal(shape)
	if err != nil {
		return nil, fmt.Errorf("printing function %q: %w", f.ID, err)
	}

	object := map[string]any{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("printing function %q: %w", f.ID, err)
	}

	return object, nil
}
