package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// restoring holds the undo list and then does what the test says.
type restoring struct {
	spec.Function
	then func(ctx context.Context, run *functions.Run) error
}

func (f restoring) Exec(ctx context.Context, run *functions.Run, _ map[string]any) (map[string]any, error) {
	return nil, f.then(ctx, run)
}

// Whatever becomes of a run that has begun to restore, its undo list does not start the application on half of the data.
func TestHoldKeepsTheApplicationDown(t *testing.T) {
	torn := errors.New("no space left")
	hold := func(ctx context.Context, run *functions.Run) error {
		return run.Journal.HoldUndo(ctx, "restore/volume a", "volume a is half restored")
	}

	for name, test := range map[string]struct {
		then     func(w *world, stop context.CancelFunc) func(context.Context, *functions.Run) error
		replicas int
		state    record.State
	}{
		"it fails": {func(*world, context.CancelFunc) func(context.Context, *functions.Run) error {
			return func(ctx context.Context, run *functions.Run) error { return errors.Join(hold(ctx, run), torn) }
		}, 0, record.Failed},
		"nothing was written": {func(*world, context.CancelFunc) func(context.Context, *functions.Run) error {
			return func(ctx context.Context, run *functions.Run) error {
				return errors.Join(hold(ctx, run), run.Journal.FreeUndo(ctx, "restore/volume a"), torn)
			}
		}, 3, record.Failed},
		"it is cancelled": {func(w *world, _ context.CancelFunc) func(context.Context, *functions.Run) error {
			return func(ctx context.Context, run *functions.Run) error {
				err := hold(ctx, run)

				w.store.RequestCancel("enough")
				<-ctx.Done()

				return errors.Join(err, ctx.Err())
			}
		}, 0, record.Cancelled},
		"the successor fails before it begins": {func(_ *world, stop context.CancelFunc) func(context.Context, *functions.Run) error {
			return func(ctx context.Context, run *functions.Run) error {
				if run.Attempt > 1 {
					return torn
				}

				err := hold(ctx, run)

				stop()
				<-ctx.Done()

				return errors.Join(err, ctx.Err())
			}
		}, 0, record.Failed},
		"it is cancelled while no runner is there": {func(w *world, stop context.CancelFunc) func(context.Context, *functions.Run) error {
			return func(ctx context.Context, run *functions.Run) error {
				err := hold(ctx, run)

				stop()
				<-ctx.Done()
				w.store.RequestCancel("enough")

				return errors.Join(err, ctx.Err())
			}
		}, 0, record.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx, stop := context.WithCancel(t.Context())
			then := test.then(w, stop)

			begin := func() *engine.Engine {
				e := w.engine(action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("restore", "Restore", nil)))
				lookup := e.Lookup
				e.Lookup = func(name string) (functions.Func, bool) {
					if name == "Restore" {
						return restoring{spec.Function{ID: name, Repeat: true}, then}, true
					}

					f, ok := lookup(name)
					if name == "Scale" {
						return starting{f}, ok
					}

					return f, ok
				}

				return e
			}

			r, err := begin().Run(ctx)
			if errors.Is(err, engine.ErrInterrupted) {
				r, err = begin().Run(t.Context())
			}

			if err != nil || r.State != test.state || w.replicas != test.replicas {
				t.Fatalf("%v, %s, %+v: %d replicas", err, r.State, r.Error, w.replicas)
			}

			if left := r.Origin != nil && r.Origin.Object == nil && len(r.Origin.Workload.Pods) == 3; left != (test.replicas == 0) {
				t.Errorf("of the target the record keeps %+v", r.Origin)
			}

			if test.replicas == 0 && (len(r.UndoErrors) != 1 || !strings.Contains(r.UndoErrors[0], "on purpose") || !strings.Contains(r.UndoErrors[0], "volume a is half restored")) {
				t.Errorf("undo: %q", r.UndoErrors)
			}
		})
	}
}

// starting marks the way back as one that starts an application, as ScaleWorkload does.
type starting struct{ functions.Func }

func (f starting) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	handed := *run
	handed.Journal = startingJournal{run.Journal}

	return f.Func.Exec(ctx, &handed, args)
}

type startingJournal struct{ functions.Journal }

func (j startingJournal) Undo(ctx context.Context, undo record.Undo) error {
	undo.Starts = true

	return j.Journal.Undo(ctx, undo)
}
