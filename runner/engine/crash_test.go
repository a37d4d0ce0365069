package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// restore is what blueprints do with databases: scale down, work, scale up, clean up in the deferPhase.
func restore(middle ...blueprint.Phase) *blueprint.Action {
	deferPhase := phase("cleanup", "Step", map[string]any{"in": "{{ .Time }}"})
	phases := []blueprint.Phase{
		phase("first", "Step", map[string]any{"in": "{{ index .StatefulSet.Pods 0 }} {{ .Time }}"}),
		phase("down", "Scale", map[string]any{"replicas": 0}),
	}
	phases = append(phases, middle...)
	phases = append(phases,
		phase("up", "Scale", map[string]any{"replicas": "{{ .Object.spec.replicas }}"}),
		phase("last", "Step", map[string]any{
			"in": "{{ .Phases.first.Output.n }} {{ .Phases.first.Output.list }} {{ index .StatefulSet.Pods 2 }} {{ .Time }}",
		}),
	)

	return &blueprint.Action{
		Phases: phases, DeferPhase: &deferPhase,
		OutputArtifacts: map[string]blueprint.Artifact{"a": {KeyValue: map[string]string{
			"n": "{{ .Phases.first.Output.n }}", "time": "{{ .Time }}", "cleaned": "{{ .DeferPhase.Output.text }}",
		}}},
	}
}

// TestCrash kills the runner around every write of the journal and around every effect of a function, lets successors go on, and
// checks what must be true of the run whatever happened.
func TestCrash(t *testing.T) {
	scenarios := []struct {
		name   string
		action *blueprint.Action
		want   record.State
	}{
		{"success", restore(phase("work", "Step", map[string]any{"in": "{{ index .StatefulSet.Pods 1 }}"})), record.Complete},
		{"failure", restore(phase("work", "Fail", nil)), record.Failed},
		{"not repeatable", restore(phase("work", "Once", nil)), record.Complete},
		{"cancel", restore(phase("work", "Cancel", nil)), record.Cancelled},
		{"template", restore(phase("work", "Step", map[string]any{"in": "{{ .Phases.down.Output.nothing }}"})), record.Failed},
	}

	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			calm := newWorld(t)

			finished, err := calm.run(t.Context(), s.action)
			if err != nil {
				t.Fatal(err)
			}

			check(t, calm, finished, s.want)

			saves, effects := calm.store.Saves(), calm.effects
			if saves < 10 || effects < 4 {
				t.Fatalf("the calm run made %d writes and %d effects: there is nothing to kill it at", saves, effects)
			}

			for n := 1; n <= saves; n++ {
				for _, stored := range []bool{false, true} {
					t.Run(fmt.Sprintf("write %d stored %v", n, stored), func(t *testing.T) {
						w := newWorld(t)
						w.killAtSave(n, stored)
						crashed(t, w, s.action, s.want, calm)
					})
				}
			}

			for n := 1; n <= effects; n++ {
				t.Run(fmt.Sprintf("effect %d", n), func(t *testing.T) {
					w := newWorld(t)
					w.dieAt = n
					w.killAtSave(0, false)
					crashed(t, w, s.action, s.want, calm)
				})
			}
		})
	}
}

// killAtSave makes the runner die at its n-th write, before or after it is stored. 0: only when it is dead already.
func (w *world) killAtSave(n int, stored bool) {
	w.store.Before = func(save int, _ *record.Record) error {
		w.mu.Lock()
		defer w.mu.Unlock()

		if save == n && !stored {
			w.dead = true
		}

		if w.dead {
			return errKilled
		}

		return nil
	}
	w.store.After = func(save int, _ *record.Record) error {
		w.mu.Lock()
		defer w.mu.Unlock()

		if save == n && stored {
			w.dead = true

			return errKilled
		}

		return nil
	}
}

// crashed runs until the run is finished, and checks it.
func crashed(t *testing.T, w *world, action *blueprint.Action, want record.State, calm *world) {
	t.Helper()

	deaths := 0

	for {
		finished, err := w.run(t.Context(), action)
		if err == nil {
			if deaths == 0 {
				t.Fatal("nothing was killed")
			}

			check(t, w, finished, want)

			if finished.State == record.Complete {
				if diff := cmp.Diff(calm.args["last"], w.args["last"][len(w.args["last"])-len(calm.args["last"]):]); diff != "" {
					t.Errorf("the last phase saw other arguments than without a crash (-calm +crashed):\n%s", diff)
				}
			}

			return
		}

		if !errors.Is(err, errKilled) {
			t.Fatalf("run ended with %v", err)
		}

		if deaths++; deaths > 3 {
			t.Fatal("the run does not come to an end")
		}

		w.revive()
	}
}

// check is what must be true of every finished run.
func check(t *testing.T, w *world, finished *record.Record, want record.State) {
	t.Helper()

	stored, err := w.store.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	if stored.State != finished.State {
		t.Errorf("the store says %s, Run said %s", stored.State, finished.State)
	}

	interrupted := finished.Error != nil && finished.Error.Reason == record.ReasonInterrupted
	if finished.State != want && !interrupted {
		t.Errorf("state %s (%v), want %s", finished.State, finished.Error, want)
	}

	begun := false

	for _, p := range finished.Phases {
		begun = begun || p.Started != nil

		switch p.State {
		case record.Pending, record.Running:
			t.Errorf("phase %q is still %s", p.Name, p.State)
		case record.Complete:
			if w.done[p.Name] < 1 {
				t.Errorf("phase %q is complete and was never done", p.Name)
			}
		case record.Skipped:
			if w.begun[p.Name] > 0 {
				t.Errorf("phase %q was skipped and yet begun", p.Name)
			}
		}

		if p.Func == "Once" && w.begun[p.Name] > 1 {
			t.Errorf("phase %q must not be repeated and was begun %d times", p.Name, w.begun[p.Name])
		}

		if p.Func == "Once" && interrupted != (p.Error != nil) {
			t.Errorf("phase %q: error %v of an interrupted run (%v)", p.Name, p.Error, interrupted)
		}
	}

	if begun && w.done["cleanup"] < 1 {
		t.Error("the deferPhase never ran")
	}

	if finished.Defer.State != record.Complete {
		t.Errorf("the deferPhase is %s", finished.Defer.State)
	}

	if w.replicas != 3 {
		t.Errorf("the workload has %d replicas, and had 3", w.replicas)
	}

	for _, u := range finished.Undo {
		if !u.Done {
			t.Errorf("undo %q is left over", u.Text)
		}
	}

	switch finished.State {
	case record.Complete:
		artifact := finished.Artifacts["a"].KeyValue
		if artifact["n"] != "1234567890" || artifact["time"] != "2026-11-23T07:00:00.123456789Z" || artifact["cleaned"] != "from cleanup" {
			t.Errorf("artifacts are %v", artifact)
		}

		if len(w.publish) == 0 || w.publish[0].State != record.Complete || len(w.publish[0].Artifacts) != 1 {
			t.Errorf("published %d entries", len(w.publish))
		}
	default:
		if len(finished.Artifacts) != 0 || len(w.publish) != 0 {
			t.Errorf("a %s run left artifacts %v", finished.State, finished.Artifacts)
		}
	}

	if finished.State == record.Failed && (finished.Error == nil || finished.Error.Message == "") {
		t.Error("a failed run without an error")
	}

	if finished.State == record.Cancelled && (finished.CancelReason != "enough" || finished.Error != nil) {
		t.Errorf("cancelled with reason %q and error %v", finished.CancelReason, finished.Error)
	}

	// A finished run is left alone.
	calls, saves := w.calls(), w.store.Saves()

	again, err := w.run(context.Background(), &blueprint.Action{})
	if err != nil || again.State != finished.State || w.calls() != calls || w.store.Saves() != saves {
		t.Errorf("running a finished run again: %v, %v, %d calls, %d writes", again, err, w.calls()-calls, w.store.Saves()-saves)
	}
}

func (w *world) calls() int {
	w.mu.Lock()
	defer w.mu.Unlock()

	n := 0
	for _, count := range w.begun {
		n += count
	}

	return n
}
