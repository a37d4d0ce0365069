package profile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/source"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/action"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/blueprint"
)

// validateOptions are the options of `validate profile`: of a file, or of a profile in the cluster.
type validateOptions struct {
	checkOptions

	Files blueprint.ValidateOptions
	// Elsewhere is the namespace of the profile, if it is another than that of the pod that checks it.
	Elsewhere string
	// FormOnly: the location is not asked.
	FormOnly bool
}

// NewCmdValidate is `validate profile`, in kanctl's words.
func NewCmdValidate(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &validateOptions{checkOptions: checkOptions{IOStreams: streams, Getter: getter}, Files: blueprint.ValidateOptions{IOStreams: streams}}
	cmd := &cobra.Command{
		Use:   "profile (NAME | -f FILE...)",
		Short: "Check a profile: its form, its Secrets and its location, or a file with one",
		Long: `Check a profile that is in the cluster: its form and the Secrets that it names, then, from a pod, its location, as
` + "`profile check`" + ` does. With -f it is a file that is checked, without a cluster.

EXIT STATUS
  0  nothing is wrong
  2  there is no such profile, or its form is wrong
  3  the location cannot be used as the profile says`,
		Example: `  # A Profile resource of upstream's, or a profile of ours
  kubectl kanister validate profile s3-profile-x7k2p -n kanister
  # Without asking the store
  kubectl kanister validate profile s3-profile-x7k2p -n kanister --schema-validation-only
  # A file
  kubectl kanister validate profile -f profile.yaml`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: complete.Profiles(getter),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Named(args); err != nil {
				return err
			}

			if o.Name == "" {
				return o.Files.Run()
			}

			if err := o.Complete([]string{o.Name}); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&o.Files.Files, "filename", "f", nil, "File to check; - is standard input. Repeatable")
	fs.StringVar(&o.Name, "name", "", "Name of the profile, as kanctl has it")
	fs.StringVar(&o.Elsewhere, "resource-namespace", "", "Namespace of the profile, if it is not that of --namespace, where the pod runs that checks the location")
	fs.BoolVar(&o.FormOnly, "schema-validation-only", false, "Do not ask the location")
	fs.StringVar(&o.Image, "runner-image", "", "Image of the runner; environment "+action.EnvRunnerImage)
	fs.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "How long the check of the location may take")

	return cmd
}

// Named takes the name, and refuses what cannot be meant.
func (o *validateOptions) Named(args []string) error {
	const hint = "kubectl kanister validate profile --help"

	if len(args) > 0 {
		if o.Name != "" && o.Name != args[0] {
			return exit.New(exit.Usage, fmt.Errorf("naming the profile: %q and --name %q are two", args[0], o.Name), hint)
		}

		o.Name = args[0]
	}

	switch {
	case o.Name == "" && len(o.Files.Files) == 0:
		return exit.New(exit.Usage, errors.New("naming what to validate: give the name of a profile, or a file with -f FILE"), hint)
	case o.Name != "" && len(o.Files.Files) > 0:
		return exit.New(exit.Usage, fmt.Errorf("naming what to validate: the profile %q and a file are two", o.Name), hint)
	case o.Elsewhere != "" && (o.Name == "" || strings.Contains(o.Name, "/")):
		return exit.New(exit.Usage, errors.New("flag --resource-namespace: it goes with the name of a profile"), hint)
	}

	if o.Elsewhere != "" {
		o.Name = o.Elsewhere + "/" + o.Name
	}

	return nil
}

// Run checks the form, then the location.
func (o *validateOptions) Run(ctx context.Context) error {
	profile, err := source.New(o.Session.Kubernetes, o.Session.Dynamic, o.In).Profile(ctx, o.Name, o.Session.Namespace)
	if err != nil {
		return err
	}

	fmt.Fprintf(o.ErrOut, "profile/%s: valid; location %s\n", o.Name, profile.Location.Type)

	if o.FormOnly {
		return nil
	}

	return o.checkOptions.Run(ctx)
}
