package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestDeferSeesOutputsWithoutParameters: the successor cannot read the target any more; the deferPhase still gets what phases put out.
func TestDeferSeesOutputsWithoutParameters(t *testing.T) {
	w := newWorld(t)
	a := action(phase("a", "Step", nil), phase("b", "Hang", nil))
	a.DeferPhase.Args = map[string]any{"in": "{{ .Phases.a.Output.text }}"}

	ctx, stop := context.WithCancel(t.Context())

	go func() {
		for w.calls() < 2 {
			time.Sleep(time.Millisecond)
		}
		stop()
	}()

	if _, err := w.run(ctx, a); !errors.Is(err, engine.ErrInterrupted) {
		t.Fatal(err)
	}

	e := w.engine(a)
	e.Params = func(context.Context, time.Time) (*params.TemplateParams, error) {
		return nil, errors.New("statefulsets \"db\" not found")
	}

	r, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if r.State != record.Failed || r.Defer.State != record.Complete || !slices.Contains(w.args["cleanup"], "in=from a") {
		t.Errorf("%s: %s, deferPhase got %q", r.State, states(r), w.args["cleanup"])
	}
}
