package kopia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// bounds say how long a server may be away. kopia's client knows no bound: a stream whose server hangs is waited for until the
// network gives it up, a quarter of an hour later or never.
type bounds struct {
	// probe is the interval at which the server is tried, answer what it gets to do so; gone is for how long it may not answer.
	probe, answer, gone time.Duration
	// login is what the server gets to let a user in.
	login time.Duration
	// silent is for how long nothing may move although the server answers.
	silent time.Duration
	// grace is what an operation that was given up gets to end.
	grace time.Duration
}

func (o Options) bounds() bounds {
	if o.hurry != nil {
		return *o.hurry
	}

	return bounds{probe: 10 * time.Second, answer: 10 * time.Second, gone: time.Minute, login: 2 * time.Minute, silent: 10 * time.Minute, grace: 10 * time.Second}
}

func silent(limit time.Duration) error {
	return &location.Error{
		Reason: location.Unreachable, Hint: "look at the server's log and its load; start it again if it hangs",
		Err: fmt.Errorf("the repository server answers, but nothing has moved for %s", limit),
	}
}

// watch calls do. Through a server, the context ends with a cause when the server is gone or nothing moves: pulse changes with
// everything that is moved. An operation that does not heed its context is left behind then, with its connection closed.
func watch[T any](ctx context.Context, r *Repository, pulse func() int64, do func(context.Context) (T, error)) (T, error) {
	if r.options.Server == nil {
		return do(ctx)
	}

	type result struct {
		value T
		err   error
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	done := make(chan result, 1)

	go func() {
		value, err := do(ctx)
		done <- result{value, err}
	}()

	var (
		limits    = r.options.bounds()
		ticker    = time.NewTicker(limits.probe)
		guard     = guard{r: r, count: pulse(), moved: r.rep.Time(), answered: r.rep.Time()}
		complaint error
	)
	defer ticker.Stop()

	for complaint == nil {
		select {
		case ended := <-done:
			return ended.value, r.parted(ctx, ended.err)
		case <-ctx.Done():
			complaint = context.Cause(ctx)
		case <-ticker.C:
			complaint = guard.look(ctx, limits, pulse())
		}
	}

	cancel(complaint)

	for _, last := range []bool{false, true} {
		select {
		case ended := <-done:
			if ended.err != nil { // an echo of the complaint
				ended.err = complaint
			}

			return ended.value, ended.err
		case <-time.After(limits.grace):
			if !last {
				_ = r.rep.Close(context.WithoutCancel(ctx)) // what waits for an answer hears that there will be none
			}
		}
	}

	var none T

	return none, complaint
}

// guard remembers the last signs of life.
type guard struct {
	r               *Repository
	count           int64
	moved, answered time.Time
}

// look tries the server, and returns why to give it up, or nil.
func (g *guard) look(ctx context.Context, limits bounds, count int64) error {
	err := g.r.options.Server.probe(ctx, limits.answer)

	now := g.r.rep.Time()
	if err == nil {
		g.answered = now
	}

	if count != g.count {
		g.count, g.moved = count, now
	}

	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case now.Sub(g.answered) >= limits.gone:
		return gone(err, now.Sub(g.answered))
	case now.Sub(g.moved) >= limits.silent:
		return silent(limits.silent)
	default:
		return nil
	}
}

// parted says of an operation that failed for no known reason whether the server went away meanwhile: kopia's client tells that as
// the end of a stream.
func (r *Repository) parted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || location.ReasonOf(err) != location.Unknown {
		return err
	}

	answer := r.options.Server.probe(ctx, r.options.bounds().answer)

	var placed *location.Error
	if errors.As(err, &placed) { // the repository is named once
		err = placed.Err
	}

	switch {
	case answer != nil:
		reason, _ := location.Explain(answer)

		return &location.Error{Reason: reason, Hint: restart, Err: fmt.Errorf("the repository server is gone: %w (%w)", answer, err)}
	case errors.Is(err, io.EOF), strings.Contains(err.Error(), "code = "+codes.Unavailable.String()):
		return &location.Error{
			Reason: location.Unreachable, Hint: restart, Err: fmt.Errorf("the connection to the repository server was cut, which answers again: %w", err),
		}
	default:
		return err
	}
}

const restart = "see whether the server still runs (its pod, its log), and start the run again"

func still() int64 { return 0 }

func gone(err error, since time.Duration) error {
	reason, _ := location.Explain(err)

	return &location.Error{
		Reason: reason, Hint: restart,
		Err: fmt.Errorf("the repository server has not answered for %s: %w", since.Round(time.Second), err),
	}
}
