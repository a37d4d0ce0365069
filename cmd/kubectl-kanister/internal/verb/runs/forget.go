package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ForgetOptions are the options of `forget`.
type ForgetOptions struct {
	genericiooptions.IOStreams

	Getter   genericclioptions.RESTClientGetter
	Session  *session.Session
	Clock    clock.PassiveClock
	Names    []string
	Selector string
	All      bool
	Older    time.Duration
	Force    bool
	DryRun   bool
}

// NewCmdForget is `forget`.
func NewCmdForget(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &ForgetOptions{IOStreams: streams, Getter: getter, Clock: clock.RealClock{}}
	cmd := &cobra.Command{
		Use:   "forget (RUN... | --all | -l SELECTOR) [--older-than DURATION]",
		Short: "Remove the records and leftovers of finished runs; backed up data stays",
		Long: `Remove the records of finished runs and whatever else of them is still in the cluster: Jobs, pods, Secrets, permissions.

Backed up data stays where it is. To delete that, use "kubectl kanister delete" first. A backup that can still be
restored is kept unless --force is given, because restore and delete need its record; runs that are going on are never
forgotten.`,
		Example: `  # One run
  kubectl kanister forget backup-postgres-7f3k2
  # What failed more than a week ago
  kubectl kanister forget -l kanister.io/state=failed --older-than 168h
  # See what would go
  kubectl kanister forget --all --older-than 720h --dry-run`,
		ValidArgsFunction: complete.Runs(getter, nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}

			if err := o.Validate(); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "All finished runs of the namespace")
	cmd.Flags().StringVarP(&o.Selector, "selector", "l", "", "Finished runs with these labels")
	cmd.Flags().DurationVar(&o.Older, "older-than", 0, "With --all or -l: only runs that ended longer ago")
	cmd.Flags().BoolVar(&o.Force, "force", false, "Forget restorable backups as well")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "Only say what would be removed")

	return cmd
}

// Complete makes the clients.
func (o *ForgetOptions) Complete(args []string) error {
	var err error

	o.Names = args
	o.Session, err = session.New(o.Getter)

	return err
}

// Validate refuses what cannot be meant.
func (o *ForgetOptions) Validate() error {
	many := o.All || o.Selector != ""

	switch {
	case len(o.Names) == 0 && !many:
		return exit.New(exit.Usage, errors.New("naming what to forget: give names of runs, --all or -l SELECTOR"), "kubectl kanister forget --help")
	case len(o.Names) > 0 && many:
		return exit.New(exit.Usage, errors.New("names cannot be combined with --all or --selector"), "")
	case len(o.Names) > 0 && o.Older != 0, o.Older < 0:
		return exit.New(exit.Usage, errors.New("flag --older-than goes with --all or --selector, and is positive"), "")
	}

	if _, err := labels.Parse(o.Selector); err != nil {
		return exit.New(exit.Usage, fmt.Errorf("flag --selector: %w", err), "")
	}

	return nil
}

// Run forgets what may be forgotten. Runs that were named and may not are errors; others are passed over with a word.
func (o *ForgetOptions) Run(ctx context.Context) error {
	runs, err := o.find(ctx)
	if err != nil {
		return err
	}

	deletions, err := list(ctx, o.Session.Kubernetes, o.Session.Namespace, record.LabelAction+"=delete")
	if err != nil {
		return err
	}

	deleted := deletedBackups(deletions)

	// Deletions last: they are kept as long as the record of what they have deleted.
	slices.SortStableFunc(runs, func(a, b Run) int { return cmp.Compare(order(a), order(b)) })

	var errs []error

	forgotten := 0

	for _, run := range runs {
		why, err := o.keep(ctx, run, deleted)

		switch {
		case err != nil:
			errs = append(errs, err)
		case why != nil && len(o.Names) > 0:
			errs = append(errs, why)
		case why != nil:
			fmt.Fprintf(o.ErrOut, "run/%s kept: %v\n", run.Run, why)
		default:
			if err := o.forget(ctx, run); err != nil {
				errs = append(errs, err)
			} else {
				forgotten++
			}
		}
	}

	if forgotten == 0 && len(errs) == 0 {
		fmt.Fprintln(o.ErrOut, "nothing to forget")
	}

	return errors.Join(errs...)
}

func (o *ForgetOptions) find(ctx context.Context) ([]Run, error) {
	if len(o.Names) == 0 {
		all, err := list(ctx, o.Session.Kubernetes, o.Session.Namespace, o.Selector)
		if err != nil {
			return nil, err
		}

		var runs []Run

		for _, run := range all {
			ended := run.Created
			if run.Ended != nil {
				ended = *run.Ended
			}

			if o.Clock.Since(ended) >= o.Older {
				runs = append(runs, run)
			}
		}

		return runs, nil
	}

	refs, err := o.Session.Refs(o.Names)
	if err != nil {
		return nil, err
	}

	var runs []Run

	for _, ref := range refs {
		run, err := get(ctx, o.Session, ref)
		if err != nil {
			return nil, err
		}

		runs = append(runs, run)
	}

	return runs, nil
}

// keep says why a run is not to be forgotten, if it is not.
func (o *ForgetOptions) keep(ctx context.Context, run Run, deleted deletions) (why, err error) {
	ref := refOf(run)

	if !run.State.Finished() { // also one whose record cannot be read: its Job can
		state, err := lifeOf(ctx, o.Session, run)
		if err != nil {
			return nil, err
		}

		if state != dead {
			return exit.New(exit.Usage, fmt.Errorf("forgetting run %q: it is %s", run.Run, run.State), o.Session.Commands.For("cancel --wait", ref)), nil
		}

		if open := notUndone(run); len(open) > 0 && !o.Force {
			return exit.New(exit.Usage, fmt.Errorf("forgetting run %q: its runner died and left to be brought back: %s", run.Run, strings.Join(open, "; ")),
				"bring it back by hand, then "+o.Session.Commands.For("forget --force", ref)), nil
		}
	}

	if run.Action == "backup" && run.State == record.Complete && !o.Force {
		if state := run.restorable(deleted); state == "yes" || state == "unknown" {
			return exit.New(exit.Usage, fmt.Errorf("forgetting run %q: it is a backup that can be restored, and restore and delete need its record", run.Run),
				"delete its data first: "+o.Session.Commands.For("delete --from", ref)+"; or forget it with --force: the data then stays in profile "+orDash(run.Profile)), nil
		}
	}

	if run.Action == "delete" && run.State == record.Complete && !o.Force {
		return o.keepDeletion(ctx, run)
	}

	return nil, nil
}

// keepDeletion keeps a deletion as long as there is a record of what it has deleted, which would count as a backup again.
func (o *ForgetOptions) keepDeletion(ctx context.Context, run Run) (why, err error) {
	if run.From == "" {
		return nil, nil
	}

	backup, err := get(ctx, o.Session, follow.Ref{Namespace: run.Namespace, Name: run.From})

	switch {
	case exit.Of(err) == exit.Usage: // it is gone
		return nil, nil
	case err != nil:
		return nil, err
	case !deletedBackups([]Run{run}).of(backup):
		return nil, nil
	}

	return exit.New(exit.Usage, fmt.Errorf("forgetting run %q: it says that what run %q stored is deleted, and that has its record still", run.Run, run.From),
		o.Session.Commands.For("forget", refOf(backup))), nil
}

func order(run Run) int {
	if run.Action == "delete" {
		return 1
	}

	return 0
}

func notUndone(run Run) []string {
	var open []string

	for _, undo := range run.Undo {
		if !undo.Done {
			open = append(open, undo.Text)
		}
	}

	return open
}

// leftovers are the kinds that carry a run's label. They are owned by the Job and go with it; this is for what was applied
// by hand or lost its owner.
var leftovers = []schema.GroupVersionResource{
	{Group: "batch", Version: "v1", Resource: "jobs"},
	{Version: "v1", Resource: "pods"},
	{Version: "v1", Resource: "secrets"},
	{Version: "v1", Resource: "serviceaccounts"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
}

// forget removes what is left of a run, its record last: a forget that is interrupted can be repeated.
func (o *ForgetOptions) forget(ctx context.Context, run Run) error {
	background := metav1.DeletePropagationBackground

	var gone, denied []string

	for _, resource := range leftovers {
		objects := o.Session.Dynamic.Resource(resource).Namespace(run.Namespace)

		found, err := objects.List(ctx, metav1.ListOptions{LabelSelector: record.LabelRun + "=" + run.Run})
		if apierrors.IsForbidden(err) {
			denied = append(denied, resource.Resource)

			continue
		}

		if err != nil {
			return fmt.Errorf("forgetting run %q: listing its %s: %w", run.Run, resource.Resource, err)
		}

		for i := range found.Items {
			name := found.Items[i].GetName()
			gone = append(gone, strings.TrimSuffix(resource.Resource, "s")+"/"+name)

			if o.DryRun {
				continue
			}

			err := objects.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("forgetting run %q: deleting %s %q: %w", run.Run, resource.Resource, name, err)
			}
		}
	}

	swept, err := sweep(ctx, o.Session.Dynamic, follow.Ref{Namespace: run.Namespace, Name: run.Run}, o.DryRun)
	if err != nil {
		return fmt.Errorf("forgetting run %q: %w", run.Run, err)
	}

	gone = append(gone, swept...)

	if len(denied) > 0 {
		fmt.Fprintf(o.ErrOut, "warning: run/%s: whether %s of it are left cannot be seen with your rights\n", run.Run, strings.Join(denied, ", "))
	}

	verb := "forgotten"
	if o.DryRun {
		verb = "would be forgotten"
	} else if err := o.Session.Kubernetes.CoreV1().ConfigMaps(run.Namespace).Delete(ctx, run.Run, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("forgetting run %q: deleting its record: %w", run.Run, err)
	}

	text := fmt.Sprintf("run/%s %s", run.Run, verb)
	if len(gone) > 0 {
		text += " with " + strings.Join(gone, ", ")
	}

	if run.Action == "backup" && run.State == record.Complete {
		text += "; its data stays in profile " + orDash(run.Profile)
	}

	_, err = fmt.Fprintln(o.ErrOut, text)

	return err
}
