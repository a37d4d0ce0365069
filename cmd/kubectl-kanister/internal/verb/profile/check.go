package profile

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

	o.forget(ctx, result)

	palette := ui.PaletteFor(o.ErrOut)

	for _, step := range steps(result.Record) {
		line := "  " + palette.Good("✓") + " " + step.name
		if !step.ok {
			line = "  " + palette.Bad("✗") + " " + step.name
			if step.reason != "" {
				line += ": " + ui.Clean(step.reason)
			}
		}

		fmt.Fprintln(o.ErrOut, line)
	}

	if result.Record.State == record.Complete {
		fmt.Fprintf(o.ErrOut, "profile/%s works\n", o.Name)

		return nil
	}

	return o.failure(result.Record)
}

// forget removes the run: all it has found out is told below. What cannot be removed now goes with the Job's time to live.
func (o *checkOptions) forget(ctx context.Context, result follow.Result) {
	background := metav1.DeletePropagationBackground

	for _, err := range []error{
		o.Session.Kubernetes.CoreV1().ConfigMaps(result.Ref.Namespace).Delete(ctx, result.Ref.Name, metav1.DeleteOptions{}),
		o.Session.Kubernetes.BatchV1().Jobs(result.Ref.Namespace).Delete(ctx, result.Ref.Name, metav1.DeleteOptions{PropagationPolicy: &background}),
	} {
		if err != nil && !apierrors.IsNotFound(err) {
			fmt.Fprintf(o.ErrOut, "warning: run/%s of the check is left behind: %v\n", result.Ref.Name, err)
		}
	}
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
	// reason is one word: WrongKey, NoBucket, TLS, DNS, ClockSkew, …
	reason string
}

// words are the steps as one says them.
var words = map[string]string{"put": "put an object", "get": "read it back", "list": "list it", "delete": "delete it"}

// steps are what was tried. Of a check that worked they are the output of its phase; of one that failed, whose outputs are not
// kept, the lines "step put: ok" and "step put: failed: WHY" of its history.
func steps(r *record.Record) []step {
	var tried []step

	for _, phase := range r.Phases {
		given, _ := phase.Output["steps"].([]any)
		for _, one := range given {
			fields, _ := one.(map[string]any)
			name, _ := fields["name"].(string)
			ok, _ := fields["ok"].(bool)
			reason, _ := fields["reason"].(string)
			tried = append(tried, step{name: said(name), ok: ok, reason: reason})
		}
	}

	if len(tried) > 0 {
		return tried
	}

	for _, event := range r.Events {
		_, text, found := strings.Cut(event.Message, "step ")
		if !found {
			continue
		}

		name, text, found := strings.Cut(text, ": ")
		if !found || words[name] == "" {
			continue
		}

		reason, _, _ := strings.Cut(strings.TrimPrefix(text, "failed: "), ":")
		if text == "ok" {
			reason = ""
		}

		tried = append(tried, step{name: said(name), ok: text == "ok", reason: reason})
	}

	return tried
}

func said(name string) string {
	if text := words[name]; text != "" {
		return text
	}

	return name
}
