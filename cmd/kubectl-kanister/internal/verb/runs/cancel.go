package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// CancelOptions are the options of `cancel`.
type CancelOptions struct {
	genericiooptions.IOStreams
	ui.Flags

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Clock   clock.PassiveClock
	Refs    []follow.Ref
	Reason  string
	Wait    bool
	Timeout time.Duration
	Mode    ui.Mode
}

// NewCmdCancel is `cancel`.
func NewCmdCancel(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &CancelOptions{IOStreams: streams, Getter: getter, Clock: clock.RealClock{}}
	cmd := &cobra.Command{
		Use:     "cancel RUN... [--reason TEXT] [--wait]",
		Aliases: []string{"stop"},
		Short:   "Cancel runs that are going on",
		Long: `Cancel runs that are going on: the current phase is ended, deferPhase runs, what the run had changed (a workload scaled
down) is brought back, and the run is marked cancelled. A run whose runner never started is ended at once.

EXIT STATUS
  0    the cancel was asked for; with --wait, the runs are at their end
  2    a run is finished already, or there is no such run
  5    with --wait: still going on when --timeout is over`,
		Example: `  # Cancel, and say why: the reason is kept in the record
  kubectl kanister cancel backup-postgres-7f3k2 --reason "maintenance at 03:00"
  # Cancel and wait until everything is brought back
  kubectl kanister cancel backup-postgres-7f3k2 --wait --timeout 5m`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: complete.Runs(getter, complete.Filter{record.LabelState: string(record.Running)}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.Reason, "reason", "", "Why; kept in the run record")
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "Follow the runs until they are at their end")
	cmd.Flags().DurationVar(&o.Timeout, "timeout", 0, "With --wait: how long to wait; 0 waits until the end")
	o.Flags.AddFlags(cmd.Flags())
	o.Flags.Complete(cmd)

	return cmd
}

// Complete makes the clients and reads the names.
func (o *CancelOptions) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	if o.Mode, err = o.Flags.Mode(o.IOStreams); err != nil {
		return err
	}

	if o.Reason == "" {
		o.Reason = "cancelled by kubectl kanister cancel"
	}

	o.Refs, err = o.Session.Refs(args)

	return err
}

// Run asks for the cancel of every run, and waits if it is to.
func (o *CancelOptions) Run(ctx context.Context) error {
	var (
		asked []follow.Ref
		errs  []error
	)

	for _, ref := range o.Refs {
		going, err := o.cancel(ctx, ref)
		if err != nil {
			errs = append(errs, err)
		} else if going {
			asked = append(asked, ref)
		}
	}

	if o.Wait && len(asked) > 0 {
		errs = append(errs, o.wait(ctx, asked))
	}

	return errors.Join(errs...)
}

// wait follows to the end. That the runs are not complete is what was asked for.
func (o *CancelOptions) wait(ctx context.Context, refs []follow.Ref) error {
	results, err := ui.Follow(ctx, ui.Options{
		Client: o.Session.Kubernetes, Streams: o.IOStreams, Mode: o.Mode, Timeout: o.Timeout, Commands: o.Session.Commands,
	}, refs...)
	sweepEnded(ctx, o.Session, o.IOStreams, results)

	for _, result := range results {
		if result.Err != nil || result.Record.State == record.Failed {
			return err
		}
	}

	return nil
}

// cancel asks one run to end; going tells that it has not yet.
func (o *CancelOptions) cancel(ctx context.Context, ref follow.Ref) (isGoing bool, err error) {
	run, err := get(ctx, o.Session, ref)
	if err != nil {
		return false, err
	}

	if run.State.Finished() {
		ended := ""
		if run.Ended != nil {
			ended = " since " + run.Ended.UTC().Format("2006-01-02 15:04:05 UTC")
		}

		return false, exit.New(exit.Usage, fmt.Errorf("cancelling run %q: it is %s%s; there is nothing to cancel", ref.Name, run.State, ended),
			o.Session.Commands.For("describe", ref))
	}

	state, err := lifeOf(ctx, o.Session, run)
	if err != nil && !apierrors.IsForbidden(err) { // without a look at the Job, the annotation still works
		return false, err
	}

	switch {
	case err == nil && state == dead:
		return false, exit.New(exit.Usage, fmt.Errorf("cancelling run %q: its Job is gone or at its end, so no runner can cancel it", ref.Name),
			"what it may have left: "+o.Session.Commands.For("describe", ref)+"; then "+o.Session.Commands.For("forget", ref))
	case err == nil && state == waiting:
		if done, err := o.abandon(ctx, run); done || err != nil {
			return false, err
		}
	}

	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{record.AnnotationCancel: o.Reason}}})
	if err != nil {
		return false, fmt.Errorf("cancelling run %q: %w", ref.Name, err)
	}

	if _, err := o.Session.Kubernetes.CoreV1().ConfigMaps(ref.Namespace).Patch(ctx, ref.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return false, fmt.Errorf("cancelling run %q: %w", ref.Name, err)
	}

	text := fmt.Sprintf("run/%s: cancel asked for", ref.Name)
	if !o.Wait {
		text += "; see it through with: " + o.Session.Commands.For("wait", ref)
	}

	fmt.Fprintln(o.ErrOut, text)

	return true, nil
}

// abandon ends a run that no runner has begun: its record is written first, and only if nobody else has written it since;
// a runner that starts after all finds a finished run and goes away.
func (o *CancelOptions) abandon(ctx context.Context, run Run) (bool, error) {
	now := o.Clock.Now().UTC()
	r := *run.Record
	r.State, r.Ended, r.CancelReason = record.Cancelled, &now, o.Reason
	r.Phases = append([]record.Phase(nil), r.Phases...)

	for i := range r.Phases {
		r.Phases[i].State = record.Skipped
	}

	if r.Defer != nil {
		skipped := *r.Defer
		skipped.State = record.Skipped
		r.Defer = &skipped
	}

	data, err := record.Encode(&r)
	if err != nil {
		return false, fmt.Errorf("cancelling run %q: %w", run.Run, err)
	}

	held := run.ConfigMap.DeepCopy()
	if held.Data == nil {
		held.Data = map[string]string{}
	}

	maps.Copy(held.Data, data)
	maps.Copy(held.Labels, record.Labels(&r))

	yes := true
	held.Immutable = &yes

	_, err = o.Session.Kubernetes.CoreV1().ConfigMaps(run.Namespace).Update(ctx, held, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsForbidden(err) {
		return false, nil // it has begun after all, or may only be asked: the annotation does it
	}

	if err != nil {
		return false, fmt.Errorf("cancelling run %q: writing its record: %w", run.Run, err)
	}

	background := metav1.DeletePropagationBackground
	if err := o.Session.Kubernetes.BatchV1().Jobs(run.Namespace).Delete(ctx, run.Run, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil && !apierrors.IsNotFound(err) {
		return true, fmt.Errorf("cancelling run %q: deleting its Job: %w", run.Run, err)
	}

	ref := follow.Ref{Namespace: run.Namespace, Name: run.Run}
	if _, err := sweep(ctx, o.Session.Dynamic, ref, false); err != nil {
		leftElsewhere(o.IOStreams, ref, err)
	}

	fmt.Fprintf(o.ErrOut, "run/%s: cancelled before its runner began; nothing was changed, its Job is deleted\n", run.Run)

	return true, nil
}
