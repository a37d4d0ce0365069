package cloud

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// DefaultTimeout bounds a phase's waiting when no argument does.
const DefaultTimeout = 2 * time.Hour

// How often a service is asked: soon at first, then ever less.
const (
	firstPause = time.Second
	longPause  = 30 * time.Second
	// outage is how long a service may not answer; one request alone is tried for a minute by the SDK.
	outage = 5 * time.Minute
)

// State is what a wait sees.
type State struct {
	Done bool
	// Status is in the service's words, or in ours.
	Status string
	// Percent is -1 where the service gives none.
	Percent int
}

// Patience is what a phase has for one service: all its waits together take at most Limit.
type Patience struct {
	Run     *functions.Run
	Service string // "RDS", for messages
	Limit   time.Duration
	Began   time.Time
}

// NewPatience begins now; limit is the argument timeout, a Go duration.
func NewPatience(run *functions.Run, service, limit string) (Patience, error) {
	d, err := time.ParseDuration(limit)
	if err != nil || d <= 0 {
		return Patience{}, fmt.Errorf("reading argument %q: %q is no duration such as 30m or 2h", "timeout", limit)
	}

	return Patience{Run: run, Service: service, Limit: d, Began: run.Kube.Now()}, nil
}

// Left is what is left of Limit.
func (p Patience) Left() time.Duration { return p.Limit - p.Run.Kube.Now().Sub(p.Began) }

// Wait asks until look is done, at growing intervals, and shows what it sees. what says what is waited for: "snapshot x to get
// ready". Errors of look that may pass (Passing) are shown and waited out for five minutes, others end it.
func (p Patience) Wait(ctx context.Context, what string, look func(context.Context) (State, error)) error {
	pause := firstPause
	last := "nothing yet"
	troubled := time.Time{}

	for {
		seen, err := look(ctx)

		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !Passing(err):
			return err
		case err != nil:
			if troubled.IsZero() {
				troubled = p.Run.Kube.Now()
			}

			if p.Run.Kube.Now().Sub(troubled) > outage {
				return fmt.Errorf("waiting for %s: %w", what, err)
			}

			p.Run.Journal.Progress(record.Progress{Message: fmt.Sprintf("waiting for %s: %s does not answer: %v", what, p.Service, err)})
		case seen.Done:
			return nil
		default:
			troubled, last = time.Time{}, seen.Status
			p.show(what, seen)
		}

		left := p.Left()
		if left <= 0 {
			return &record.Failure{
				Reason: "Timeout", Message: fmt.Sprintf("waiting for %s: it took longer than %s; its last status was %q", what, p.Limit, last),
				Hint: "give the phase more time with the argument timeout",
			}
		}

		// Phases that began together do not ask together.
		jitter := time.Duration((0.8 + 0.4*rand.Float64()) * float64(pause)) //nolint:gosec // not for secrets

		if p.Run.Kube.Sleep(ctx, min(jitter, left)) != nil {
			return context.Cause(ctx)
		}

		pause = min(pause*3/2, longPause)
	}
}

func (p Patience) show(what string, seen State) {
	progress := record.Progress{Message: fmt.Sprintf("waiting for %s: %s", what, seen.Status)}

	if seen.Percent >= 0 {
		percent := min(seen.Percent, 100)
		progress.Percent = &percent
	}

	p.Run.Journal.Progress(progress)
}
