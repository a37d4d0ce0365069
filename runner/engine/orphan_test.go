package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestTheLastRunnerBringsBack: a runner that is told to go and that nobody will succeed ends the run itself.
func TestTheLastRunnerBringsBack(t *testing.T) {
	for _, test := range []struct {
		name, function, why string
	}{
		{"repeatable", "Hang", "its Job was deleted"},
		{"not repeatable", "HangOnce", "its Job was deleted"},
		{"a successor comes", "Hang", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.passing()

			ctx, stop := context.WithCancel(t.Context())
			e := w.engine(action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("a", test.function, nil)))
			e.Orphaned = func(context.Context) string { return test.why }
			lookup := e.Lookup
			e.Lookup = func(name string) (functions.Func, bool) {
				if name == "HangOnce" {
					hang, ok := lookup("Hang")

					return once{hang}, ok
				}

				return lookup(name)
			}

			go func() {
				for w.calls() < 2 {
					time.Sleep(time.Millisecond)
				}
				stop()
			}()

			r, err := e.Run(ctx)

			if test.why == "" {
				if !errors.Is(err, engine.ErrInterrupted) || w.replicas != 0 {
					t.Errorf("got %v, %d replicas", err, w.replicas)
				}

				return
			}

			if err != nil {
				t.Fatal(err)
			}

			if r.State != record.Cancelled || r.CancelReason != test.why || states(r) != "down complete, a cancelled, defer complete" || w.replicas != 3 {
				t.Errorf("%s, %q: %s, %d replicas", r.State, r.CancelReason, states(r), w.replicas)
			}
		})
	}
}

// TestTheLastRunnerIsQuick: what would take hours otherwise is cut short when the pod has less than a minute.
func TestTheLastRunnerIsQuick(t *testing.T) {
	w := newWorld(t)
	w.passing()

	ctx, stop := context.WithCancel(t.Context())
	a := action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("a", "Fail", nil))
	a.DeferPhase.Func = "Hang"
	e := w.engine(a)
	e.Orphaned = func(context.Context) string { return "its Job was deleted" }

	var told time.Time

	go func() {
		for w.calls() < 3 {
			time.Sleep(time.Millisecond)
		}

		told = w.clock.Now()
		stop()
	}()

	r, err := e.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}

	// The clock goes in steps of 5 s, ahead of the runner.
	if took := w.clock.Since(told); r.State != record.Failed || w.replicas != 3 || took > 10*time.Minute {
		t.Errorf("%s after %s: %s, %d replicas", r.State, took, states(r), w.replicas)
	}
}
