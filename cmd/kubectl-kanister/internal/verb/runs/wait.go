package runs

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
)

// WaitOptions are the options of `wait`.
type WaitOptions struct {
	genericiooptions.IOStreams
	ui.Flags

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Refs    []follow.Ref
	Timeout time.Duration
	Mode    ui.Mode
}

// NewCmdWait is `wait`.
func NewCmdWait(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &WaitOptions{IOStreams: streams, Getter: getter}
	cmd := &cobra.Command{
		Use:     "wait RUN... [--timeout DURATION]",
		Aliases: []string{"follow"},
		Short:   "Follow runs until they are finished",
		Long: `Follow runs until they are finished, and exit with their result. Ctrl-C detaches; the runs go on. A connection to the API
server that is lost is taken up again.

EXIT STATUS
  0    every run is complete
  3    the run failed, was cancelled or could not start
  4    some of several runs failed
  5    still running when --timeout is over; the runs go on
  130  interrupted; the runs go on`,
		Example: `  # Follow a run, from wherever it is
  kubectl kanister wait backup-postgres-7f3k2
  # Wait for two runs for at most an hour, for a script
  kubectl kanister wait backup-a-x2f5v backup-b-9kq7m --timeout 1h --progress plain
  # Events as JSON lines
  kubectl kanister wait backup-postgres-7f3k2 --progress json | jq -r .type`,
		Args:              cobra.MinimumNArgs(1),
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
	cmd.Flags().DurationVar(&o.Timeout, "timeout", 0, "How long to wait; 0 waits until the end")
	o.Flags.AddFlags(cmd.Flags())
	o.Flags.Complete(cmd)

	return cmd
}

// Complete makes the clients and reads the names.
func (o *WaitOptions) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	if o.Mode, err = o.Flags.Mode(o.IOStreams); err != nil {
		return err
	}

	o.Refs, err = o.Session.Refs(args)

	return err
}

// Validate refuses what cannot be meant.
func (o *WaitOptions) Validate() error {
	if o.Timeout < 0 {
		return exit.New(exit.Usage, fmt.Errorf("flag --timeout: %s is negative", o.Timeout), "")
	}

	return nil
}

// Run follows the runs.
func (o *WaitOptions) Run(ctx context.Context) error {
	for _, ref := range o.Refs { // what cannot be followed is told at once, before any of it is
		if _, err := get(ctx, o.Session, ref); err != nil {
			return err
		}
	}

	results, err := ui.Follow(ctx, ui.Options{
		Client: o.Session.Kubernetes, Streams: o.IOStreams, Mode: o.Mode, Timeout: o.Timeout, Commands: o.Session.Commands,
	}, o.Refs...)
	sweepEnded(ctx, o.Session, o.IOStreams, results)

	return err
}
