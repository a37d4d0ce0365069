package profile

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/action"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// checkOptions are the options of `profile check`.
type checkOptions struct {
	genericiooptions.IOStreams

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Name    string
	Image   string
	Timeout time.Duration
	// run starts the check and follows it.
	run func(ctx context.Context, name string) (follow.Result, error)
}

func newCmdCheck(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &checkOptions{IOStreams: streams, Getter: getter}
	cmd := &cobra.Command{
		Use:   "check [NAME]",
		Short: "Put, read, list and delete one small object in a profile's location",
		Long: `Put, read, list and delete one small object in a profile's location, from a pod in the cluster, as a backup would. What
fails is told with its reason: wrong key, no bucket, TLS, DNS, clock. Without a name the default profile is checked.

EXIT STATUS
  0  all of it worked
  2  there is no such profile
  3  the location cannot be used as the profile says`,
		Example: `  kubectl kanister profile check offsite`,
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: complete.Profiles(getter),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.Image, "runner-image", "", "Image of the runner; environment "+action.EnvRunnerImage)
	cmd.Flags().DurationVar(&o.Timeout, "timeout", 3*time.Minute, "How long the check may take")

	return cmd
}

// Complete makes the clients and finds the default profile.
func (o *checkOptions) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	if len(args) > 0 {
		o.Name = args[0]
	}

	o.run = o.start

	return nil
}

// start runs the built-in blueprint profile on the namespace, silently.
func (o *checkOptions) start(ctx context.Context, name string) (follow.Result, error) {
	a := action.NewOptions(o.Getter, genericiooptions.IOStreams{In: o.In, Out: o.ErrOut, ErrOut: o.ErrOut}, "check", os.LookupEnv)
	a.Blueprint, a.Profile, a.Mode = "builtin/profile", name, ui.None
	a.Timeout, a.Deadline, a.StartTimeout, a.TTL = o.Timeout, o.Timeout, time.Minute, time.Minute

	if o.Image != "" {
		a.RunnerImage = o.Image
	}

	if err := a.Complete(nil, nil); err != nil {
		return follow.Result{}, err
	}

	return a.Single(ctx, target.Namespaced(o.Session.Namespace))
}

// Run checks and tells step by step.
func (o *checkOptions) Run(ctx context.Context) error {
	if o.Name == "" {
		name, err := o.standard(ctx)
		if err != nil {
			return err
		}

		o.Name = name
	}

	fmt.Fprintf(o.ErrOut, "checking profile/%s from a pod in namespace %s\n", o.Name, o.Session.Namespace)

	result, err := o.run(ctx, o.Name)
	if result.Record == nil || !result.Record.State.Finished() {
		return unreported(result, err)
	}

	palette := ui.PaletteFor(o.ErrOut)

	for _, step := range steps(result.Record) {
		line := "  " + palette.Good("✓") + " " + step.name
		if !step.ok {
			line = "  " + palette.Bad("✗") + " " + step.name + ": " + ui.Clean(step.text)
		}

		fmt.Fprintln(o.ErrOut, line)
	}

	if result.Record.State == record.Complete {
		fmt.Fprintf(o.ErrOut, "profile/%s works\n", o.Name)

		return nil
	}

	return o.failure(result.Record)
}

// unreported is the error of a check that came to no end: it was silent until now, so it must be told.
func unreported(result follow.Result, err error) error {
	if result.Err != nil {
		return exit.New(exit.Of(err), fmt.Errorf("checking the profile: %w", result.Err), exit.HintOf(err))
	}

	return err
}

func (o *checkOptions) failure(r *record.Record) error {
	if r.Error == nil {
		return exit.New(exit.RunFailed, fmt.Errorf("checking profile %q: %s", o.Name, r.State), "")
	}

	text := r.Error.Message
	if r.Error.Reason != "" && !strings.Contains(text, r.Error.Reason) {
		text = r.Error.Reason + ": " + text
	}

	return exit.New(exit.RunFailed, fmt.Errorf("checking profile %q: %s", o.Name, text), r.Error.Hint)
}

// standard is the name of the namespace's default profile.
func (o *checkOptions) standard(ctx context.Context) (string, error) {
	places, err := list(ctx, o.Session, o.Session.Namespace)
	if err != nil {
		return "", err
	}

	for _, p := range places {
		if p.isDefault() || len(places) == 1 {
			return p.secret.Name, nil
		}
	}

	return "", exit.New(exit.Usage, fmt.Errorf("looking for the default profile of namespace %q: there is none", o.Session.Namespace),
		"name one: kubectl kanister profile check NAME"+o.Session.Commands.Suffix(o.Session.Namespace))
}

// step is one thing that was tried.
type step struct {
	name string
	ok   bool
	text string
}

// words are the steps as one says them.
var words = map[string]string{"put": "put an object", "get": "read it back", "list": "list it", "delete": "delete it"}

// steps reads what was tried from the history of the run: LocationCheck writes "step put: ok" or "step put: failed: WHY".
func steps(r *record.Record) []step {
	var tried []step

	for _, event := range r.Events {
		_, text, found := strings.Cut(event.Message, "step ")
		if !found {
			continue
		}

		name, text, found := strings.Cut(text, ": ")
		if !found || words[name] == "" {
			continue
		}

		tried = append(tried, step{name: words[name], ok: text == "ok", text: strings.TrimPrefix(text, "failed: ")})
	}

	return tried
}
