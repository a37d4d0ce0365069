package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Why a call's context ended before the call did.
type (
	// errCancelled: somebody asked for the run to be cancelled.
	errCancelled struct{ reason string }
	// errDeadline: the call's time is over.
	errDeadline struct{ what string }
)

func (e errCancelled) Error() string {
	if e.reason == "" {
		return "the run was cancelled"
	}

	return "the run was cancelled: " + e.reason
}

func (e errDeadline) Error() string { return e.what + " is over" }

// call is one guarded call.
type call struct {
	// parent's end is the end of the call: cancel, or the journal is lost.
	parent context.Context
	// deadline and what it is called; zero: none.
	deadline time.Time
	limit    string
	// patient: when the runner is told to go, the call may go on for a while, because it could not be repeated.
	patient bool
	do      func(context.Context) (any, error)
}

// result is how a call ended.
type result struct {
	value any
	err   error
	// cause is why the context ended, if it did before the call came back: errCancelled, errDeadline, errStoreLost or
	// ErrInterrupted.
	cause error
	// abandoned: it did not come back. unmade: its time was over before it began.
	abandoned, unmade bool
}

// guard makes the call, ends its context when it must end, catches panics, and comes back even if the call does not.
func (r *run) guard(c call) result {
	if cause := r.tooLate(c); cause != nil {
		return result{err: cause, cause: cause, unmade: true}
	}

	ctx, end := context.WithCancelCause(context.WithoutCancel(c.parent))
	defer end(nil)

	// Buffered: a call that comes back after it was given up must not hang.
	done := make(chan result, 1)

	go func() {
		var res result

		res.err = functions.Recovered(func() (err error) {
			res.value, err = c.do(ctx)

			return err
		})
		done <- res
	}()

	var cause error

	var giveUp, deadline, patience <-chan time.Time

	if !c.deadline.IsZero() {
		timer := r.Clock.NewTimer(max(0, c.deadline.Sub(r.Clock.Now())))
		defer timer.Stop()

		deadline = timer.C()
	}

	parent, interrupt := c.parent.Done(), r.interrupt.Done()

	var last <-chan struct{} // one that begins afterwards knows already how long it has
	if r.last.Err() == nil {
		last = r.last.Done()
	}

	stop := func(why error, cleanup time.Duration) {
		if cause == nil {
			cause = why
			end(why)
		}

		timer := r.Clock.NewTimer(cleanup)
		giveUp = timer.C() // at most three in a run's life: not worth stopping
	}

	for {
		select {
		case res := <-done:
			res.cause = cause

			return res
		case <-parent:
			parent = nil

			stop(context.Cause(c.parent), r.allowed().Cleanup)
		case <-last:
			last, deadline = nil, r.Clock.NewTimer(lastDefer).C()
			c.limit = "what the runner pod has left of its time"
		case <-deadline:
			deadline = nil

			stop(errDeadline{what: c.limit}, r.allowed().Cleanup)
		case <-interrupt:
			interrupt = nil

			if c.patient && cause == nil {
				patience = r.Clock.NewTimer(r.bounds.Patience).C()
			} else {
				stop(ErrInterrupted, r.bounds.Eviction)
			}
		case <-patience:
			patience = nil

			stop(ErrInterrupted, r.bounds.Eviction)
		case <-giveUp:
			return result{cause: cause, abandoned: true, err: fmt.Errorf("%w, and the function did not end then", cause)}
		}
	}
}

// tooLate is why the call must not even begin; nil: it may.
func (r *run) tooLate(c call) error {
	switch {
	case c.parent.Err() != nil:
		return context.Cause(c.parent)
	case r.toldToGo():
		return ErrInterrupted
	case !c.deadline.IsZero() && !r.Clock.Now().Before(c.deadline):
		return errDeadline{what: c.limit}
	default:
		return nil
	}
}

// failure describes err of a call for the record.
func failure(phase, function string, res result) *record.Failure {
	err := res.err
	f := &record.Failure{}

	var (
		typed    *record.Failure
		carrier  interface{ Failure() record.Failure }
		reasoned interface{ Reason() string }
		hinted   interface{ Hint() string }
		panicked functions.Panic
	)

	switch {
	case errors.As(err, &typed) && typed != nil:
		f = typed.Clone()
	case errors.As(err, &carrier):
		carried := carrier.Failure()
		f = carried.Clone()
	case errors.As(err, &panicked):
		f.Reason = record.ReasonPanic
	}

	if f.Reason == "" && errors.As(err, &reasoned) {
		f.Reason = reasoned.Reason()
	}

	if f.Hint == "" && errors.As(err, &hinted) {
		f.Hint = hinted.Hint()
	}

	f.Phase, f.Func, f.Message = phase, function, err.Error()

	// The function's own words stay: they say what was going on when its time was over.
	var (
		cancelled errCancelled
		late      errDeadline
	)

	switch {
	case errors.As(res.cause, &cancelled):
		f.Reason, f.Message = record.ReasonCancelled, because(res)
	case errors.As(res.cause, &late):
		f.Reason, f.Message = record.ReasonTimeout, because(res)
	}

	return f
}

// because is the cause, and what the function said when it was ended, if that says more.
func because(res result) string {
	text := res.cause.Error()

	if said := res.err.Error(); !strings.Contains(said, text) {
		if errors.Is(res.err, context.Canceled) && said == context.Canceled.Error() {
			return text
		}

		return text + "; the function was ended: " + said
	}

	return res.err.Error()
}
