// Package ui shows runs to people and machines: twins over the one event stream of package follow, for terminals, for logs
// (a line per event) and as JSON lines. No number is shown that the runner did not report; only the time since a phase began
// is counted here.
package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Options of Follow.
type Options struct {
	// Client reads with the user's rights; it should have no client-side throttle.
	Client  kubernetes.Interface
	Streams genericiooptions.IOStreams
	Mode    Mode
	// Timeout is how long to follow; 0: until the end.
	Timeout time.Duration
	// StartTimeout is how long a runner may take to start; 0: no bound.
	StartTimeout time.Duration
	// Clock defaults to the real one.
	Clock clock.WithTicker
	// Warnings are shown below the header: what the plan said before the run.
	Warnings []string
	// Commands completes the commands that are shown as the next thing to type.
	Commands Commands
	// Quiet leaves the header out: the caller has said it.
	Quiet bool
}

// errTimeout is the cause with which Follow stops after Options.Timeout.
var errTimeout = errors.New("still running")

// renderer is one twin. Its methods are called from one goroutine.
type renderer interface {
	// Event shows one event.
	Event(follow.Event)
	// Tick is called about ten times a second.
	Tick(now time.Time)
	// Left is told of every run that is not finished when following ends: its last record, which may be nil, and why.
	Left(ref follow.Ref, last *record.Record, why error)
	// Close leaves the screen in order.
	Close()
}

const tick = 100 * time.Millisecond

// Follow follows runs until all are finished, shows what happens, and returns how each ended. The error has been told
// already (exit.Error.Reported) and carries the exit code: RunFailed when all have failed or were cancelled, SomeFailed when
// some have, StillRunning after Options.Timeout, Interrupted when ctx was cancelled. A run that could not start is failed;
// errors.As finds the *follow.CannotStartError.
func Follow(ctx context.Context, o Options, refs ...follow.Ref) ([]follow.Result, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}

	shown := o.renderer(len(refs))
	follower := &follow.Follower{Client: o.Client, Clock: o.Clock, StartTimeout: o.StartTimeout}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	events, done := make(chan follow.Event), make(chan []follow.Result, 1)

	go func() { // ends when Follow of the follower does, which the loop below waits for
		defer close(events)

		done <- follower.Follow(ctx, refs, func(e follow.Event) { events <- e })
	}()

	ticker := o.Clock.NewTicker(tick)
	defer ticker.Stop()

	var over <-chan time.Time
	if o.Timeout > 0 {
		over = o.Clock.After(o.Timeout)
	}

	for open := true; open; {
		select {
		case event, more := <-events:
			if open = more; more {
				shown.Event(event)
			}
		case now := <-ticker.C():
			shown.Tick(now)
		case <-over:
			cancel(errTimeout)
		}
	}

	results := <-done

	for _, result := range results {
		if result.Err != nil {
			shown.Left(result.Ref, result.Record, result.Err)
		}
	}

	shown.Close()

	return results, Outcome(results)
}

func (o Options) renderer(runs int) renderer {
	switch resolve(o.Mode, o.Streams.ErrOut) {
	case JSON:
		return newJSONLines(o)
	case None:
		return nothing{}
	case Terminal:
		return newTerminal(o, runs)
	case Auto, Plain:
	}

	return newPlain(o, runs)
}

// Outcome is the exit error for results; nil when every run is complete. It counts as reported.
func Outcome(results []follow.Result) error {
	var (
		failures, running []string
		errs              []error
	)

	for _, result := range results {
		switch {
		case errors.Is(result.Err, errTimeout):
			running = append(running, result.Ref.Name)
		case errors.Is(result.Err, follow.ErrStopped):
			return exit.Reported(exit.Interrupted, fmt.Errorf("following run %q: %w", result.Ref.Name, result.Err))
		case result.Err != nil:
			failures = append(failures, result.Ref.Name)
			errs = append(errs, result.Err)
		case result.Record.State != record.Complete:
			failures = append(failures, result.Ref.Name)
			errs = append(errs, fmt.Errorf("run %q %s", result.Ref.Name, result.Record.State))
		}
	}

	switch {
	case len(failures) == 0 && len(running) == 0:
		return nil
	case len(failures) == 0:
		return exit.Reported(exit.StillRunning, fmt.Errorf("runs still going on: %s", strings.Join(running, ", ")))
	case len(failures) < len(results):
		return exit.Reported(exit.SomeFailed, errors.Join(errs...))
	case len(results) == 1:
		return exit.Reported(codeOf(errs[0]), errs[0])
	default:
		return exit.Reported(exit.RunFailed, errors.Join(errs...))
	}
}

// codeOf is the code for a single run that was not followed to a good end.
func codeOf(err error) exit.Code {
	switch {
	case errors.Is(err, follow.ErrNotFound):
		return exit.Usage
	case errors.Is(err, follow.ErrForbidden):
		return exit.NotPermitted
	case errors.Is(err, follow.ErrGone):
		return exit.ToolFailed
	default:
		return exit.RunFailed
	}
}

type nothing struct{}

func (nothing) Event(follow.Event)                     {}
func (nothing) Tick(time.Time)                         {}
func (nothing) Left(follow.Ref, *record.Record, error) {}
func (nothing) Close()                                 {}
