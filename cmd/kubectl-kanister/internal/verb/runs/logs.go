package runs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
)

// LogsOptions are the options of `logs`.
type LogsOptions struct {
	genericiooptions.IOStreams

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Clock   clock.Clock
	Ref     follow.Ref
	Follow  bool
	Phase   string
}

// NewCmdLogs is `logs`.
func NewCmdLogs(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &LogsOptions{IOStreams: streams, Getter: getter, Clock: clock.RealClock{}}
	cmd := &cobra.Command{
		Use:   "logs RUN [-f] [--phase PHASE]",
		Short: "Print the log of a run",
		Long: `Print the log of a run: what its runner and the pods that the phases started have said. When a runner died and another
one went on, the logs of all of them are printed, the oldest first.

With -f it goes on until the run is finished. A log stream that breaks is taken up where it broke: no line is lost or
printed twice. The log lives as long as the pods; what a failed phase said last is kept in the run record.

EXIT STATUS
  0  the log was printed, whatever became of the run; "kubectl kanister wait" exits with its result
  2  there is no such run, or no such phase`,
		Example: `  # What has happened so far
  kubectl kanister logs backup-postgres-7f3k2
  # Follow one phase
  kubectl kanister logs -f backup-postgres-7f3k2 --phase copy`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete.Run(getter, nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&o.Follow, "follow", "f", false, "Go on until the run is finished")
	cmd.Flags().StringVar(&o.Phase, "phase", "", "Only lines of this phase")

	return cmd
}

// Complete makes the clients and reads the name.
func (o *LogsOptions) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	refs, err := o.Session.Refs(args)
	if err != nil {
		return err
	}

	o.Ref = refs[0]

	return nil
}

// Run prints the log.
func (o *LogsOptions) Run(ctx context.Context) error {
	run, err := get(ctx, o.Session, o.Ref)
	if err != nil {
		return err
	}

	if err := o.checkPhase(run); err != nil {
		return err
	}

	if o.Follow && !run.State.Finished() {
		return o.follow(ctx)
	}

	return o.print(ctx, run)
}

func (o *LogsOptions) checkPhase(run Run) error {
	if o.Phase == "" || len(run.Phases) == 0 { // no record, no names
		return nil
	}

	var names []string
	for _, phase := range run.Phases {
		names = append(names, phase.Name)
	}

	if run.Defer != nil {
		names = append(names, run.Defer.Name)
	}

	if slices.Contains(names, o.Phase) {
		return nil
	}

	return exit.New(exit.Usage, fmt.Errorf("flag --phase: run %q has no phase %q; it has %s", run.Run, o.Phase, strings.Join(names, ", ")), "")
}

// print prints what the runner's pods have said so far, pod by pod.
func (o *LogsOptions) print(ctx context.Context, run Run) error {
	pods, err := o.Session.Kubernetes.CoreV1().Pods(o.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + o.Ref.Name})
	if err != nil {
		return fmt.Errorf("reading the pods of run %q: %w", o.Ref.Name, err)
	}

	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })

	printed := false

	for i := range pods.Items {
		pod := &pods.Items[i]
		if !diagnose.Started(pod) {
			continue
		}

		printed = true
		o.head(pod, i, len(pods.Items))

		if err := o.tail(pod.Name).once(ctx); err != nil {
			return err
		}
	}

	if printed {
		return nil
	}

	if run.State.Finished() {
		return exit.New(exit.ToolFailed, fmt.Errorf("reading the log of run %q: its pods are gone, and their log with them", o.Ref.Name),
			"what is kept of it: "+o.Session.Commands.For("describe", o.Ref))
	}

	fmt.Fprintf(o.ErrOut, "run/%s: its runner has not started yet; follow it with: %s\n", o.Ref.Name, o.Session.Commands.For("logs -f", o.Ref))

	return nil
}

// head separates the logs of several runners.
func (o *LogsOptions) head(pod *corev1.Pod, i, n int) {
	if n > 1 {
		fmt.Fprintf(o.ErrOut, "--- runner %d of %d: pod/%s\n", i+1, n, pod.Name)
	}
}

// follow prints the logs of the runner's pods as they come, until the run is finished.
func (o *LogsOptions) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	board := newBoard()
	follower := &follow.Follower{Client: o.Session.Kubernetes, Clock: o.Clock, OnRunner: func(_ follow.Ref, pod *corev1.Pod) { board.update(pod) }}
	done := make(chan follow.Result, 1)

	go func() { // ends with the run or with ctx; waited for below
		results := follower.Follow(ctx, []follow.Ref{o.Ref}, func(e follow.Event) {
			if e.Kind == follow.PodProblem {
				fmt.Fprintf(o.ErrOut, "! %s\n", e.Problem)
			}
		})
		board.close()

		done <- results[0]
	}()

	first := true

	for {
		pod := board.next(ctx)
		if pod == nil {
			break
		}

		if !first {
			fmt.Fprintf(o.ErrOut, "--- another runner goes on: pod/%s\n", pod.Name)
		}

		first = false

		if err := o.tail(pod.Name).follow(ctx, func() bool { return board.over(pod.Name) }); err != nil && ctx.Err() == nil {
			cancel()
			<-done

			return err
		}
	}

	result := <-done

	switch {
	case errors.Is(result.Err, follow.ErrStopped):
		fmt.Fprintf(o.ErrOut, "detached: run/%s goes on; come back with: %s\n", o.Ref.Name, o.Session.Commands.For("logs -f", o.Ref))

		return exit.Reported(exit.Interrupted, result.Err)
	case errors.Is(result.Err, follow.ErrGone):
		return result.Err
	case result.Err != nil:
		return fmt.Errorf("following run %q: %w", o.Ref.Name, result.Err)
	}

	fmt.Fprintf(o.ErrOut, "run/%s %s\n", o.Ref.Name, result.Record.State)

	return nil
}

func (o *LogsOptions) tail(pod string) *tail {
	return &tail{
		clock: o.Clock, out: phaseFilter(o.Out, o.Phase),
		open: func(ctx context.Context, options *corev1.PodLogOptions) (io.ReadCloser, error) {
			options.Container = follow.RunnerContainer

			return o.Session.Kubernetes.CoreV1().Pods(o.Ref.Namespace).GetLogs(pod, options).Stream(ctx)
		},
		what: fmt.Sprintf("pod %s/%s", o.Ref.Namespace, pod),
	}
}

// runnerLine is the head of a runner's line: "TIME [copy] …", "TIME [copy pod/container] …", "TIME ! [copy] …" for warnings.
var runnerLine = regexp.MustCompile(`^\S+ (?:! )?\[([^\] ]+)[^\]]*\] `)

// phaseFilter passes on the lines of one phase. A line without a head belongs to the one before it.
func phaseFilter(out io.Writer, phase string) func(line string) error {
	inside := phase == ""

	return func(line string) error {
		if phase != "" {
			if head := runnerLine.FindStringSubmatch(line); head != nil {
				inside = head[1] == phase
			}
		}

		if !inside {
			return nil
		}

		_, err := io.WriteString(out, line+"\n")

		return err
	}
}
