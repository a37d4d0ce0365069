package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// What a phase notes before the runner goes is there for its successor, as it was noted first; nothing of it is left of a complete phase.
func TestNotesOutliveTheRunner(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	seen := ""

	begin := func() *engine.Engine {
		e := w.engine(action(phase("restore", "Restore", nil)))
		lookup := e.Lookup
		e.Lookup = func(name string) (functions.Func, bool) {
			if name != "Restore" {
				return lookup(name)
			}

			return restoring{spec.Function{ID: "Restore", Repeat: true}, func(ctx context.Context, run *functions.Run) error {
				j := run.Journal
				if found, err := j.Noted("was", &seen); err != nil || found != (run.Attempt > 1) {
					t.Errorf("attempt %d: %v, %v", run.Attempt, found, err)
				}

				if err := j.Note(ctx, "was", map[int]string{1: "first", 2: "second"}[run.Attempt]); err != nil || run.Attempt > 1 {
					return err
				}

				stop()
				<-ctx.Done()

				if err := j.Note(ctx, "late", "x"); err == nil {
					t.Error("a function whose time is over could note something and go on")
				}

				return ctx.Err()
			}}, true
		}

		return e
	}

	if _, err := begin().Run(ctx); !errors.Is(err, engine.ErrInterrupted) {
		t.Fatal(err)
	}

	r, err := begin().Run(t.Context())
	if err != nil || r.State != record.Complete || seen != "first" || r.Phases[0].Notes != nil {
		t.Errorf("%v, %+v, saw %q", err, r, seen)
	}
}
