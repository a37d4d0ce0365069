package runs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// DescribeOptions are the options of `describe`.
type DescribeOptions struct {
	genericiooptions.IOStreams

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Clock   clock.PassiveClock
	Refs    []follow.Ref
	Events  bool
}

// NewCmdDescribe is `describe`.
func NewCmdDescribe(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &DescribeOptions{IOStreams: streams, Getter: getter, Clock: clock.RealClock{}}
	cmd := &cobra.Command{
		Use:   "describe RUN...",
		Short: "Show all that is known of a run",
		Long: `Show all that is known of a run: its phases with their outputs, artifacts, warnings, the failure with its evidence, what
was brought back, what keeps it from getting on, the events, and what to type next.`,
		Example: `  # Everything about a run
  kubectl kanister describe backup-postgres-7f3k2
  # The run record itself
  kubectl kanister get run backup-postgres-7f3k2 -o yaml`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: complete.Runs(getter, nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.Events, "show-events", true, "Read the events and pods of the run from the cluster as well")

	return cmd
}

// Complete makes the clients and reads the names.
func (o *DescribeOptions) Complete(args []string) error {
	var err error
	if o.Session, err = session.New(o.Getter); err != nil {
		return err
	}

	o.Refs, err = o.Session.Refs(args)

	return err
}

// Run prints one sheet per run.
func (o *DescribeOptions) Run(ctx context.Context) error {
	for i, ref := range o.Refs {
		run, err := get(ctx, o.Session, ref)
		if err != nil {
			return err
		}

		var seen evidence
		if o.Events {
			seen = gather(ctx, o.Session, ref, o.Clock.Now())
		}

		if i > 0 {
			fmt.Fprintln(o.Out)
		}

		if _, err := fmt.Fprint(o.Out, sheet(run, seen, o.Session.Commands, o.Clock.Now())); err != nil {
			return err
		}
	}

	return nil
}

// evidence is what the cluster still knows of a run, besides its record.
type evidence struct {
	job      *batchv1.Job
	pods     []corev1.Pod
	events   diagnose.Events
	problems []diagnose.Problem
	// denied says what may not be read.
	denied []string
}

// gather reads Job, pods and events as far as the user may.
func gather(ctx context.Context, s *session.Session, ref follow.Ref, now time.Time) evidence {
	var e evidence

	note := func(what string, err error) {
		if apierrors.IsForbidden(err) {
			e.denied = append(e.denied, what)
		} else if err != nil && !apierrors.IsNotFound(err) {
			e.denied = append(e.denied, what+" ("+err.Error()+")")
		}
	}

	job, err := s.Kubernetes.BatchV1().Jobs(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	note("jobs", err)

	if err == nil {
		e.job = job
	}

	pods, err := s.Kubernetes.CoreV1().Pods(ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelRun + "=" + ref.Name})
	note("pods", err)

	if err == nil {
		e.pods = pods.Items
	}

	names := map[string]string{ref.Name: "Job"}
	for i := range e.pods {
		names[e.pods[i].Name] = "Pod"
	}

	events, err := s.Kubernetes.CoreV1().Events(ref.Namespace).List(ctx, metav1.ListOptions{})
	note("events", err)

	if err == nil {
		for i := range events.Items {
			if about := events.Items[i].InvolvedObject; names[about.Name] == about.Kind {
				e.events = append(e.events, events.Items[i])
			}
		}

		slices.SortStableFunc(e.events, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	}

	e.problems = e.diagnose(now)

	return e
}

func (e evidence) diagnose(now time.Time) []diagnose.Problem {
	var warnings diagnose.Events

	for _, event := range e.events {
		if event.Type == corev1.EventTypeWarning {
			warnings = append(warnings, event)
		}
	}

	var problems []diagnose.Problem
	if e.job != nil {
		problems = diagnose.Job(e.job, len(e.pods), warnings, true)
	}

	for i := range e.pods {
		problems = append(problems, diagnose.Pod(&e.pods[i], warnings, now)...)
	}

	return problems
}
