package function

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// NewCmdExplain is `explain function`.
func NewCmdExplain(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:     "function NAME...",
		Aliases: []string{"functions", "func"},
		Short:   "Explain a Kanister Function: arguments, outputs, effects, permissions, an example",
		Example: `  # What KubeTask wants and gives
  kubectl kanister explain function KubeTask`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: Complete,
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := lookup(args)
			if err != nil {
				return err
			}

			for i, f := range found {
				if i > 0 {
					fmt.Fprintln(streams.Out)
				}

				if _, err := io.WriteString(streams.Out, Page(f)); err != nil {
					return err
				}
			}

			return nil
		},
	}
}

// width that the prose of a page is wrapped at.
const width = 100

// Page is all about one function, as text.
func Page(f spec.Function) string {
	var b strings.Builder

	fmt.Fprintf(&b, "%s (%s)\n\n", f.ID, f.Family)
	prose(&b, "  ", f.Summary)

	if f.Doc != "" {
		b.WriteString("\n")

		for paragraph := range strings.SplitSeq(strings.TrimSpace(f.Doc), "\n\n") {
			prose(&b, "  ", paragraph)
		}
	}

	b.WriteString("\nARGUMENTS\n")

	if len(f.Args) == 0 {
		b.WriteString("  none\n")
	}

	for _, a := range f.Args {
		argument(&b, a)
	}

	for _, group := range f.OneOf {
		fmt.Fprintf(&b, "  Exactly one of %s must be given.\n", strings.Join(group, ", "))
	}

	b.WriteString("\nOUTPUTS\n")

	if len(f.Outputs) == 0 && !f.OpenOutputs {
		b.WriteString("  none\n")
	}

	for _, o := range f.Outputs {
		fmt.Fprintf(&b, "  %s  <%s>\n", o.Name, o.Type)
		prose(&b, "      ", o.Doc)
	}

	if f.OpenOutputs {
		b.WriteString("  whatever its command writes with `kando output KEY VALUE`\n")
	}

	effects(&b, f)

	if f.Example != "" {
		b.WriteString("\nEXAMPLE\n")

		for line := range strings.SplitSeq(strings.TrimRight(f.Example, "\n"), "\n") {
			b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
		}
	}

	return b.String()
}

func argument(b *strings.Builder, a spec.Arg) {
	words := []string{"<" + string(a.Type) + ">"}
	if a.Required {
		words = append(words, "required")
	}

	if a.Default != "" {
		words = append(words, "default: "+a.Default)
	}

	if len(a.Values) > 0 {
		words = append(words, "one of: "+strings.Join(a.Values, ", "))
	}

	if len(a.Aliases) > 0 {
		words = append(words, "also spelt: "+strings.Join(a.Aliases, ", "))
	}

	fmt.Fprintf(b, "  %s  %s\n", a.Name, strings.Join(words, "; "))
	prose(b, "      ", a.Doc)
}

func effects(b *strings.Builder, f spec.Function) {
	b.WriteString("\nBEHAVIOUR\n")

	needs := []string{}
	if f.NeedsProfile {
		needs = append(needs, "It needs a profile.")
	}

	for _, name := range f.ProfileFor {
		if absent, ok := strings.CutPrefix(name, "!"); ok {
			needs = append(needs, "Without "+absent+" it needs a profile.")
		} else {
			needs = append(needs, "With "+name+" it needs a profile.")
		}
	}

	if f.NeedsServer {
		needs = append(needs, "It needs a repository server (--repository-server), or a profile in its place.")
	}

	if f.NeedsRunnerImage {
		needs = append(needs, "It starts pods from the runner image.")
	}

	if f.Repeat {
		needs = append(needs, "It is repeated when the runner died in the middle.")
	} else {
		needs = append(needs, "It is not repeated: when the runner died in the middle, the phase fails.")
	}

	prose(b, "  ", strings.Join(needs, " "))

	for _, effect := range f.Effects {
		prose(b, "  - ", effect)
	}

	b.WriteString("\nPERMISSIONS of the run's ServiceAccount\n")

	if len(f.Rules) == 0 {
		b.WriteString("  none\n")
	}

	for _, rule := range f.Rules {
		resources := strings.Join(rule.Resources, ",")
		if rule.Group != "" {
			resources += " (" + rule.Group + ")"
		}

		if rule.Where == spec.InDocument {
			resources = "what argument " + rule.DocumentArg + " names"
		}

		line := strings.Join(rule.Verbs, ",") + " " + resources + place(rule)
		if rule.Why != "" {
			line += ": " + rule.Why
		}

		prose(b, "  - ", line)
	}
}

func place(rule spec.Rule) string {
	var where string

	switch rule.Where {
	case spec.InArg:
		where = " in the run's namespace"
		if rule.NamespaceArg != "" {
			where = " in the namespace of argument " + rule.NamespaceArg
		}
	case spec.InTarget:
		where = " in the target's namespace"
	case spec.InRun:
		where = " in the run's namespace"
	case spec.InCluster:
		where = " in the cluster"
	case spec.InDocument:
		where = ", in its namespace"
	}

	if rule.KindArg != "" {
		where += ", with " + rule.KindArg + " " + strings.Join(rule.Kinds, " or ")
	}

	if rule.NamesArg != "" {
		where += ", only the object of argument " + rule.NamesArg
	}

	if len(rule.Workers) > 0 {
		where += ", only what the phase itself makes"
	}

	for _, when := range strings.Fields(rule.When) {
		if given, negated := strings.CutPrefix(when, "!"); negated {
			where += ", without argument " + given
		} else {
			where += ", with argument " + when
		}
	}

	if rule.Spare {
		where += ", not in every run"
	}

	if rule.Optional {
		where += ", if you may grant it"
	}

	return where
}

// prose wraps text at width; first is the indent of the first line, later lines are indented as far.
func prose(b *strings.Builder, first, text string) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return
	}

	line := first + words[0]
	indent := strings.Repeat(" ", len(first))

	for _, word := range words[1:] {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent + word

			continue
		}

		line += " " + word
	}

	b.WriteString(line + "\n")
}
