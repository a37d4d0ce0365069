package blueprint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// ValidateOptions are the options of `validate`.
type ValidateOptions struct {
	genericiooptions.IOStreams

	Files        []string
	Strict       bool
	AllowUnknown bool
	Output       string
}

// NewCmdValidate is `validate`.
func NewCmdValidate(streams genericiooptions.IOStreams) *cobra.Command {
	o := &ValidateOptions{IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "validate -f FILE...",
		Short: "Check files with blueprints, profiles, ActionSets",
		Long: `Check files with blueprints, profiles, ActionSets or repository servers, without a cluster: unknown fields, unknown
functions, missing and unknown arguments, templates that do not parse, references to outputs that no earlier phase
gives. Each finding names file, line and column, and what was probably meant.

EXIT STATUS
  0  nothing is wrong
  2  there are errors; with --strict, or warnings`,
		Example: `  # A blueprint
  kubectl kanister validate -f postgres-blueprint.yaml
  # In CI: warnings count as well, findings as JSON on standard output
  kubectl kanister validate -f blueprints/a.yaml -f blueprints/b.yaml --strict -o json
  # Before it is stored in the cluster
  kustomize build . | kubectl kanister validate -f -`,
		RunE: func(_ *cobra.Command, args []string) error {
			// kanctl's words: validate blueprint -f FILE.
			if len(o.Files) > 0 && len(args) > 0 && args[0] == "blueprint" {
				args = args[1:]
			}

			o.Files = append(o.Files, args...)

			if err := o.Validate(); err != nil {
				return err
			}

			return o.Run()
		},
	}
	cmd.Flags().StringArrayVarP(&o.Files, "filename", "f", nil, "File to check; - is standard input. Repeatable")
	cmd.Flags().BoolVar(&o.Strict, "strict", false, "Warnings are errors")
	cmd.Flags().BoolVar(&o.AllowUnknown, "allow-unknown-functions", false, "Unknown functions are warnings: the runner image has functions of its own")
	cmd.Flags().StringVarP(&o.Output, "output", "o", "", "Output format: json prints the findings on standard output")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveNoFileComp)) // only fails without the flag

	return cmd
}

// Validate refuses what cannot be meant.
func (o *ValidateOptions) Validate() error {
	if len(o.Files) == 0 {
		return exit.New(exit.Usage, errors.New("naming what to validate: give a file with -f FILE, or - for standard input"), "kubectl kanister validate --help")
	}

	if o.Output != "" && o.Output != "json" {
		return exit.New(exit.Usage, fmt.Errorf("flag --output: %q is not json", o.Output), "")
	}

	return nil
}

// Run checks all files and tells all findings.
func (o *ValidateOptions) Run() error {
	findings := blueprint.Findings{}

	for _, file := range o.Files {
		found, what, err := o.check(file)
		if err != nil {
			return err
		}

		findings = append(findings, found...)

		if o.Output == "" && len(found.Errors()) == 0 {
			fmt.Fprintf(o.ErrOut, "%s: %s\n", file, what)
		}
	}

	if o.Output == "json" {
		encoder := json.NewEncoder(o.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")

		if err := encoder.Encode(findings); err != nil {
			return fmt.Errorf("printing the findings: %w", err)
		}
	} else {
		palette := ui.PaletteFor(o.ErrOut)

		for _, finding := range findings {
			text := finding.String()
			if finding.Severity == blueprint.Warning {
				text = palette.Warn(text)
			}

			fmt.Fprintln(o.ErrOut, text)
		}
	}

	bad := len(findings.Errors())
	if o.Strict {
		bad = len(findings)
	}

	if bad == 0 {
		return nil
	}

	hint := ""
	if slices.ContainsFunc(findings, func(f blueprint.Finding) bool {
		return strings.Contains(f.Path, ".args") || strings.HasSuffix(f.Path, ".func")
	}) {
		hint = "kubectl kanister explain function NAME tells what a function takes"
	}

	return exit.New(exit.Usage, fmt.Errorf("validating: %s", plural(bad, "fault")), hint)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}

	return fmt.Sprintf("%d %ss", n, word)
}

// check gives the findings of a file, and what is in it in words.
func (o *ValidateOptions) check(file string) (blueprint.Findings, string, error) {
	data, err := o.read(file)
	if err != nil {
		return nil, "", exit.New(exit.Usage, fmt.Errorf("reading %q: %w", file, err), "")
	}

	documents, err := blueprint.LoadAll(file, data)

	var findings blueprint.Findings
	if err != nil && !errors.As(err, &findings) {
		return nil, "", exit.New(exit.Usage, fmt.Errorf("reading %q: %w", file, err), "")
	}

	if documents == nil || len(findings.Errors()) > 0 {
		return findings, "", nil
	}

	for _, b := range documents.Blueprints {
		findings = append(findings, blueprint.Validate(b, blueprint.Options{Functions: builtin.Functions(), AllowUnknownFunctions: o.AllowUnknown})...)
	}

	for _, profile := range documents.Profiles {
		findings = append(findings, checkProfile(file, profile, documents)...)
	}

	count := len(documents.Blueprints) + len(documents.Profiles) + len(documents.ActionSets) + len(documents.RepositoryServers)
	for i := range documents.Secrets {
		if documents.Secrets[i].Labels[params.LabelProfile] == "true" {
			count++

			if _, err := params.ProfileFromSecret(&documents.Secrets[i]); err != nil {
				findings = append(findings, blueprint.Finding{File: file, Path: "Secret " + documents.Secrets[i].Name, Message: err.Error(), Severity: blueprint.Error})
			}
		}
	}

	if count == 0 {
		findings = append(findings, blueprint.Finding{File: file, Message: "it holds no Blueprint, Profile, ActionSet or RepositoryServer", Severity: blueprint.Error})
	}

	return findings, summary(documents), nil
}

func (o *ValidateOptions) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(o.In)
	}

	return os.ReadFile(file) // the user's own file, named on his command line
}

// errNotHere: a Secret is not in the file; whether it is in the cluster is not asked.
var errNotHere = errors.New("it is not in this file")

// checkProfile checks a profile as far as its Secrets are in the same file.
func checkProfile(file string, profile *blueprint.Profile, documents *blueprint.Documents) blueprint.Findings {
	_, err := params.ResolveProfile(context.Background(), func(_ context.Context, _, name string) (*corev1.Secret, error) {
		for i := range documents.Secrets {
			if documents.Secrets[i].Name == name {
				return &documents.Secrets[i], nil
			}
		}

		return nil, errNotHere
	}, profile)
	if err == nil {
		return nil
	}

	finding := blueprint.Finding{File: file, Path: "profile " + profile.Name, Message: err.Error(), Severity: blueprint.Error}

	var where *params.ProfileError
	if errors.As(err, &where) {
		finding.Path, finding.Message = where.Field, where.Message
	}

	if errors.Is(err, errNotHere) {
		finding.Severity = blueprint.Warning
		finding.Message = "the Secret of the credential is not in this file, so it was not checked"
	}

	return blueprint.Findings{finding}
}

func summary(d *blueprint.Documents) string {
	text := "valid"

	for _, b := range d.Blueprints {
		phases := 0
		for _, action := range b.Actions {
			phases += len(action.Phases)
		}

		text += fmt.Sprintf("; blueprint %q, %s, %s", b.Name, plural(len(b.Actions), "action"), plural(phases, "phase"))
	}

	for _, p := range d.Profiles {
		text += fmt.Sprintf("; profile %q", p.Name)
	}

	for _, a := range d.ActionSets {
		text += fmt.Sprintf("; actionset %q", a.Name)
	}

	for _, r := range d.RepositoryServers {
		text += fmt.Sprintf("; repository server %q", r.Name)
	}

	return text
}
