package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// passing makes time pass, quickly, until the test ends.
func (w *world) passing() {
	ended := make(chan struct{})
	stopped := make(chan struct{})

	go func() {
		defer close(stopped)

		for {
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
				w.clock.Step(5 * time.Second)
			}
		}
	}()

	w.t.Cleanup(func() {
		close(ended)
		<-stopped
	})
}

func action(phases ...blueprint.Phase) *blueprint.Action {
	cleanup := phase("cleanup", "Step", nil)

	return &blueprint.Action{Phases: phases, DeferPhase: &cleanup}
}

func states(r *record.Record) string {
	var all []string
	for _, p := range r.Phases {
		all = append(all, p.Name+" "+string(p.State))
	}

	if r.Defer != nil {
		all = append(all, "defer "+string(r.Defer.State))
	}

	return strings.Join(all, ", ")
}

func TestFailures(t *testing.T) {
	tests := []struct {
		name       string
		phases     []blueprint.Phase
		wantStates string
		wantReason string
		wantText   string
	}{
		{
			"unknown function", []blueprint.Phase{phase("a", "Step", nil), phase("b", "Stepp", nil)},
			"a skipped, b skipped, defer skipped", record.ReasonFunction, `phase "b": this runner has no function "Stepp"`,
		},
		{
			"unknown argument", []blueprint.Phase{phase("a", "Step", nil), phase("b", "Step", map[string]any{"inn": 1})},
			"a skipped, b skipped, defer skipped", record.ReasonArguments, `phase "b": function Step has no argument "inn"; did you mean "in"?`,
		},
		{
			"missing argument", []blueprint.Phase{phase("a", "Scale", nil)},
			"a skipped, defer skipped", record.ReasonArguments, `function Scale needs the argument "replicas"`,
		},
		{
			"null is missing", []blueprint.Phase{phase("a", "Scale", map[string]any{"replicas": nil})},
			"a skipped, defer skipped", record.ReasonArguments, `function Scale needs the argument "replicas"`,
		},
		{
			"template of a later phase", []blueprint.Phase{phase("a", "Step", nil), phase("b", "Step", map[string]any{"in": "{{ .Options.nope }}"})},
			"a complete, b failed, defer complete", record.ReasonTemplate, `rendering the arguments of phase "b"`,
		},
		{
			"objects see no outputs", []blueprint.Phase{phase("a", "Step", nil), {
				Name: "b", Func: "Step", Objects: map[string]blueprint.ObjectReference{"s": {Kind: "Secret", Name: "{{ .Phases.a.Output.text }}"}},
			}},
			"a skipped, b skipped, defer skipped", record.ReasonTemplate, `phase "b"`,
		},
		{
			"failure of a function", []blueprint.Phase{phase("a", "Step", nil), phase("b", "Fail", nil), phase("c", "Step", nil)},
			"a complete, b failed, c skipped, defer complete", "Asked", "failing phase: as asked",
		},
		{
			"panic", []blueprint.Phase{phase("a", "Panic", nil)},
			"a failed, defer complete", record.ReasonPanic, "the function panicked: a bug",
		},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)

			r, err := w.run(t.Context(), action(test.phases...))
			if err != nil {
				t.Fatal(err)
			}

			if got := states(r); got != test.wantStates {
				t.Errorf("got %s\nwant %s", got, test.wantStates)
			}

			if r.State != record.Failed || r.Error == nil || r.Error.Reason != test.wantReason || !strings.Contains(r.Error.Message, test.wantText) {
				t.Errorf("state %s, error %+v; want failed, %s, %s", r.State, r.Error, test.wantReason, test.wantText)
			}
		})
	}
}

func TestFailureKeepsWhatTheFunctionKnows(t *testing.T) {
	w := newWorld(t)

	r, err := w.run(t.Context(), action(phase("a", "Fail", nil)))
	if err != nil {
		t.Fatal(err)
	}

	if f := r.Error; f.Phase != "a" || f.Func != "Fail" || len(f.LastLogs) != 1 || f.LastLogs[0] != "last line" {
		t.Errorf("failure is %+v", f)
	}
}

func TestDeferFailureStandsBeside(t *testing.T) {
	bad := phase("cleanup", "Fail", nil)

	for _, test := range []struct {
		first, wantError string
	}{{"Step", ""}, {"Panic", "the function panicked: a bug"}} {
		w := newWorld(t)

		r, err := w.run(t.Context(), &blueprint.Action{Phases: []blueprint.Phase{phase("a", test.first, nil)}, DeferPhase: &bad})
		if err != nil {
			t.Fatal(err)
		}

		if r.State != record.Failed || r.DeferError == nil || r.DeferError.Message != "failing phase: as asked" {
			t.Errorf("state %s, defer error %+v", r.State, r.DeferError)
		}

		if got := r.Error; (got == nil) != (test.wantError == "") || got != nil && !strings.Contains(got.Message, test.wantError) {
			t.Errorf("error %+v, want %q", got, test.wantError)
		}
	}
}

func TestArtifactOfNothing(t *testing.T) {
	w := newWorld(t)
	a := action(phase("down", "Scale", map[string]any{"replicas": 0}))
	a.OutputArtifacts = map[string]blueprint.Artifact{"x": {KeyValue: map[string]string{"k": "{{ .Phases.down.Output.id }}"}}}

	r, err := w.run(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}

	if r.State != record.Failed || r.Error.Reason != record.ReasonTemplate || !strings.Contains(r.Error.Message, `artifacts of action "backup"`) {
		t.Errorf("state %s, error %+v", r.State, r.Error)
	}

	if w.replicas != 3 || len(w.publish) != 0 {
		t.Errorf("%d replicas, published %d", w.replicas, len(w.publish))
	}
}

func TestDeadline(t *testing.T) {
	w := newWorld(t)
	w.passing()

	e := w.engine(action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("work", "Hang", nil), phase("late", "Step", nil)))
	e.Input.TimeoutSeconds = 600

	r, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if got := states(r); got != "down complete, work failed, late skipped, defer complete" {
		t.Error(got)
	}

	if r.State != record.Failed || r.Error.Reason != record.ReasonTimeout || r.Error.Message != "the run's deadline of 10m0s is over" {
		t.Errorf("state %s, error %+v", r.State, r.Error)
	}

	if w.replicas != 3 {
		t.Errorf("the workload has %d replicas", w.replicas)
	}
}

func TestDeadlineOfPhasesDoesNotCutTheDefer(t *testing.T) {
	w := newWorld(t)
	e := w.engine(action(phase("work", "Step", nil)))
	e.Input.TimeoutSeconds = 1
	lookup := e.Lookup
	e.Lookup = func(name string) (functions.Func, bool) {
		f, ok := lookup(name)

		return slow{f, w}, ok
	}

	r, err := e.Run(t.Context())
	if err != nil || r.State != record.Complete {
		t.Errorf("%v, %v, %+v", err, states(r), r.Error)
	}
}

// slow lets the deadline pass while the last phase ends well.
type slow struct {
	functions.Func
	w *world
}

func (s slow) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	output, err := s.Func.Exec(ctx, run, args)
	s.w.clock.Step(2 * time.Second)

	return output, err
}

// stubborn does not end when its context does.
type stubborn struct{ release chan struct{} }

func (stubborn) Name() string           { return "Stubborn" }
func (stubborn) RequiredArgs() []string { return nil }
func (stubborn) Arguments() []string    { return nil }
func (s stubborn) Exec(_ context.Context, run *functions.Run, _ map[string]any) (map[string]any, error) {
	run.Journal.Pod(record.PodRef{Namespace: "demo", Name: "worker"})
	<-s.release
	run.Journal.Event("too late")
	run.Journal.Progress(record.Progress{Message: "too late"})

	return map[string]any{"too": "late"}, run.Journal.Undo(context.Background(), record.Undo{Key: "too late"})
}

func TestFunctionThatDoesNotEnd(t *testing.T) {
	w := newWorld(t)
	w.passing()

	release := make(chan struct{})
	e := w.engine(action(phase("a", "Stubborn", nil)))
	lookup := e.Lookup
	e.Lookup = func(name string) (functions.Func, bool) {
		if name == "Stubborn" {
			return stubborn{release}, true
		}

		return lookup(name)
	}
	e.Input.TimeoutSeconds = 60

	r, err := e.Run(t.Context())
	close(release)

	if err != nil {
		t.Fatal(err)
	}

	if r.State != record.Failed || !strings.Contains(r.Error.Message, "did not end") || r.Error.Reason != record.ReasonTimeout {
		t.Errorf("state %s, error %+v", r.State, r.Error)
	}

	if len(w.abandons) != 1 || w.abandons[0].Name != "worker" {
		t.Errorf("ended the pods %v", w.abandons)
	}

	if r.Defer.State != record.Complete {
		t.Errorf("deferPhase %s", r.Defer.State)
	}
}

func TestCancelBeforeTheStart(t *testing.T) {
	w := newWorld(t)
	w.store.RequestCancel("changed my mind")

	e := w.engine(action(phase("a", "Step", nil)))
	read := e.Params
	e.Params = func(ctx context.Context, now time.Time) (*params.TemplateParams, error) {
		<-ctx.Done() // the request is seen while the run is launched

		return read(ctx, now)
	}

	r, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if r.State == record.Complete && len(w.begun) == 0 || r.State != record.Complete && (r.State != record.Cancelled || r.CancelReason != "changed my mind") {
		t.Errorf("state %s, reason %q: %s", r.State, r.CancelReason, states(r))
	}
}

func TestInterruptIsNoCancel(t *testing.T) {
	for _, test := range []struct {
		name, function string
		want           string
	}{
		{"repeatable", "Hang", "a running, defer pending"},
		{"not repeatable, does not end in time", "HangOnce", "a running, defer pending"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.passing()

			ctx, stop := context.WithCancel(t.Context())
			e := w.engine(action(phase("a", test.function, nil)))
			lookup := e.Lookup
			e.Lookup = func(name string) (functions.Func, bool) {
				hang, ok := lookup(strings.TrimSuffix(name, "Once"))
				if name == "HangOnce" {
					return once{hang}, ok
				}

				return hang, ok
			}

			go func() {
				for w.calls() == 0 {
					time.Sleep(time.Millisecond)
				}
				stop()
			}()

			if _, err := e.Run(ctx); !errors.Is(err, engine.ErrInterrupted) {
				t.Fatalf("got %v", err)
			}

			left, err := w.store.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			if got := states(left); got != test.want || left.State != record.Running || left.Phases[0].Evictions != 1 {
				t.Errorf("left %s, %s, %d evictions", left.State, got, left.Phases[0].Evictions)
			}
		})
	}
}

// once hides that a function is repeatable.
type once struct{ functions.Func }

func (once) Name() string { return "HangOnce" }

func TestInterruptLetsAPhaseThatCannotBeRepeatedEnd(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	e := w.engine(action(phase("a", "Once", nil), phase("b", "Once", nil)))
	lookup := e.Lookup
	e.Lookup = func(name string) (functions.Func, bool) {
		f, ok := lookup(name)
		if name == "Once" {
			return stopping{f, stop}, ok
		}

		return f, ok
	}

	if _, err := e.Run(ctx); !errors.Is(err, engine.ErrInterrupted) {
		t.Fatalf("got %v", err)
	}

	e.Lookup = lookup

	r, err := e.Run(t.Context())
	if err != nil || r.State != record.Complete || w.begun["a"] != 1 || w.begun["b"] != 1 {
		t.Errorf("%v: %s, begun %v", err, states(r), w.begun)
	}
}

// stopping is told to go while it works.
type stopping struct {
	functions.Func
	stop context.CancelFunc
}

func (s stopping) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	s.stop()

	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return s.Func.Exec(ctx, run, args)
	}
}

func TestPhaseThatKillsTheRunner(t *testing.T) {
	w := newWorld(t)
	a := action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("a", "Killer", nil))

	for range 10 {
		e := w.engine(a)
		lookup := e.Lookup
		e.Lookup = func(name string) (functions.Func, bool) {
			if name == "Killer" {
				return killer{w}, true
			}

			return lookup(name)
		}
		w.killAtSave(0, false)

		r, err := e.Run(t.Context())
		w.revive()

		if err != nil {
			continue
		}

		if r.Attempts != 4 || r.State != record.Failed || r.Error.Reason != record.ReasonInterrupted || w.replicas != 3 || r.Defer.State != record.Complete {
			t.Errorf("after %d runners: %s, %+v, %d replicas, %s", r.Attempts, r.State, r.Error, w.replicas, states(r))
		}

		return
	}

	t.Error("the run never ended")
}

// killer runs the runner out of memory.
type killer struct{ w *world }

func (killer) Name() string           { return "Killer" }
func (killer) RequiredArgs() []string { return nil }
func (killer) Arguments() []string    { return nil }
func (killer) Repeatable() bool       { return true }
func (k killer) Exec(context.Context, *functions.Run, map[string]any) (map[string]any, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()

	k.w.dead = true

	return nil, errKilled
}

func TestRecordDeletedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.store.Before = func(save int, _ *record.Record) error {
		if save > 4 {
			return record.ErrGone
		}

		return nil
	}

	r, err := w.run(t.Context(), action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("work", "Step", nil), phase("more", "Step", nil)))
	if err != nil {
		t.Fatal(err)
	}

	if r.State != record.Cancelled || w.replicas != 3 || w.done["cleanup"] != 1 || w.done["more"] != 0 {
		t.Errorf("%s: %s, %d replicas, done %v", r.State, states(r), w.replicas, w.done)
	}
}

// TestRecordDeletedBefore: without its record a run is not begun again, whatever earlier runners have done.
func TestRecordDeletedBefore(t *testing.T) {
	w := newWorld(t)

	var err error
	if w.store, err = record.NewMemory(nil); err != nil {
		t.Fatal(err)
	}

	r, err := w.run(t.Context(), action(phase("work", "Step", nil)))
	if r != nil || !errors.Is(err, record.ErrNotFound) || w.calls() != 0 || w.store.Saves() != 0 {
		t.Errorf("got %v, %v, %d calls, %d writes", r, err, w.calls(), w.store.Saves())
	}
}

func TestSuperseded(t *testing.T) {
	w := newWorld(t)
	a := action(phase("a", "Step", nil))
	first := w.engine(a)
	first.Params = func(context.Context, time.Time) (*params.TemplateParams, error) {
		second := w.engine(a) // starts while the first is at work, as if its node had been given up
		second.Pod = "runner-b"

		if r, err := second.Run(t.Context()); err != nil || r.State != record.Complete {
			t.Errorf("the second: %v, %v", r, err)
		}

		return &params.TemplateParams{}, nil
	}

	if _, err := first.Run(t.Context()); !errors.Is(err, record.ErrSuperseded) {
		t.Errorf("the first ended with %v", err)
	}

	if w.begun["a"] != 1 {
		t.Errorf("phase a was begun %d times", w.begun["a"])
	}
}

func TestOutputTooLarge(t *testing.T) {
	w := newWorld(t)
	w.store.Encoder.Limit = 6000
	a := action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("big", "Big", nil), phase("more", "Step", nil))
	e := w.engine(a)
	lookup := e.Lookup
	e.Lookup = func(name string) (functions.Func, bool) {
		if name == "Big" {
			return big{}, true
		}

		return lookup(name)
	}

	r, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if r.State != record.Failed || r.Error.Reason != record.ReasonTooLarge || w.replicas != 3 || r.Defer.State != record.Complete {
		t.Errorf("%s, %+v, %s", r.State, r.Error, states(r))
	}

	if !strings.Contains(r.Error.Message, `output "huge" of phase "big"`) {
		t.Errorf("the error does not name the output: %s", r.Error.Message)
	}
}

// big returns what compresses badly.
type big struct{}

func (big) Name() string           { return "Big" }
func (big) RequiredArgs() []string { return nil }
func (big) Arguments() []string    { return nil }
func (big) Exec(context.Context, *functions.Run, map[string]any) (map[string]any, error) {
	var b strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&b, "%x", (i*2654435761)^(i<<7))
	}

	return map[string]any{"huge": b.String()}, nil
}

func TestSecretsStayOut(t *testing.T) {
	w := newWorld(t)
	p := phase("a", "Fail", nil)
	p.Objects = map[string]blueprint.ObjectReference{"s": {Kind: "Secret", Name: "db"}}
	e := w.engine(action(p))
	lookup := e.Lookup
	e.Lookup = func(name string) (functions.Func, bool) {
		if name == "Fail" {
			return leaky{}, true
		}

		return lookup(name)
	}

	r, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	data, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}

	stored, err := w.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	raw, err := record.Encode(stored)
	if err != nil {
		t.Fatal(err)
	}

	all := fmt.Sprint(data, raw, w.lines, record.VerdictOf(r).Message())
	for _, secret := range []string{"s3cr3t-passw0rd", "czNjcjN0LXBhc3N3MHJk", "told-by-function"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q got out", secret)
		}
	}

	if !strings.Contains(r.Error.Message, "psql: password "+record.Redacted) {
		t.Errorf("error %q", r.Error.Message)
	}
}

// leaky says its secrets everywhere.
type leaky struct{}

func (leaky) Name() string           { return "Fail" }
func (leaky) RequiredArgs() []string { return nil }
func (leaky) Arguments() []string    { return nil }
func (leaky) Exec(_ context.Context, run *functions.Run, _ map[string]any) (map[string]any, error) {
	run.Journal.Secret("told-by-function")
	run.Journal.Log("pod/container", "using s3cr3t-passw0rd and told-by-function")
	run.Journal.Event("told-by-function")
	run.Journal.Warn("base64 czNjcjN0LXBhc3N3MHJk")
	run.Journal.Progress(record.Progress{Message: "s3cr3t-passw0rd"})

	return nil, &record.Failure{Message: "psql: password s3cr3t-passw0rd", LastLogs: []string{"told-by-function"}, Hint: "s3cr3t-passw0rd"}
}

// aliased has an argument with two spellings.
type aliasedFunction struct {
	spec.Function
	got *map[string]any
}

func (a aliasedFunction) Exec(_ context.Context, _ *functions.Run, args map[string]any) (map[string]any, error) {
	*a.got = args

	return nil, nil
}

func TestAliases(t *testing.T) {
	var got map[string]any

	f := aliasedFunction{spec.Function{ID: "Stats", Args: []spec.Arg{{Name: "statsMode", Aliases: []string{"mode"}, Required: true}}}, &got}

	for _, test := range []struct {
		args map[string]any
		want record.State
	}{
		{map[string]any{"mode": "raw"}, record.Complete},
		{map[string]any{"statsMode": "raw"}, record.Complete},
		{map[string]any{"statsMode": "raw", "mode": "x"}, record.Failed},
	} {
		w := newWorld(t)
		e := w.engine(&blueprint.Action{Phases: []blueprint.Phase{phase("a", "Stats", test.args)}})
		e.Lookup = func(string) (functions.Func, bool) { return f, true }
		got = nil

		r, err := e.Run(t.Context())
		if err != nil || r.State != test.want {
			t.Errorf("%v: %v, %s, %+v", test.args, err, r.State, r.Error)
		}

		if test.want == record.Complete && got["statsMode"] != "raw" {
			t.Errorf("%v: the function got %v", test.args, got)
		}
	}
}

// TestRawArguments: Wait and WaitV2, in any case, and functions that say so, get their arguments as the blueprint has them; the rest get
// them rendered (COMPAT §2.4).
func TestRawArguments(t *testing.T) {
	const text = `{{ if eq "{ $.status.phase }" .status.phase }}true{{ end }}`

	for name, want := range map[string]record.State{"Wait": record.Complete, "WaitV2": record.Complete, "waitv2": record.Complete, "WaitV3": record.Failed} {
		var got map[string]any

		f := aliasedFunction{spec.Function{ID: name, Args: []spec.Arg{{Name: "conditions", Required: true}}}, &got}
		w := newWorld(t)
		e := w.engine(&blueprint.Action{Phases: []blueprint.Phase{phase("a", name, map[string]any{"conditions": map[string]any{"anyOf": []any{text}}})}})
		e.Lookup = func(string) (functions.Func, bool) { return f, true }

		r, err := e.Run(t.Context())
		if err != nil || r.State != want {
			t.Errorf("%s: %v, %s, %+v", name, err, r.State, r.Error)
		}

		if want != record.Complete {
			continue
		}

		if diff := cmp.Diff(map[string]any{"conditions": map[string]any{"anyOf": []any{text}}}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUndoThatFails(t *testing.T) {
	w := newWorld(t)
	e := w.engine(action(phase("down", "Scale", map[string]any{"replicas": 0}), phase("work", "Fail", nil)))
	lookup := e.Lookup
	e.Lookup = func(name string) (functions.Func, bool) {
		f, ok := lookup(name)
		if name == "Scale" {
			return failingUndo{f}, ok
		}

		return f, ok
	}

	r, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if r.State != record.Failed || !strings.Contains(r.Error.Message, "as asked") || len(r.UndoErrors) != 1 ||
		r.UndoErrors[0] != "scale 0→3: no rights" || r.Undo[0].Failed != "no rights" {
		t.Errorf("%s, %+v, %v, %+v", r.State, r.Error, r.UndoErrors, r.Undo)
	}
}

type failingUndo struct{ functions.Func }

func (f failingUndo) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	if strings.HasPrefix(run.Phase, "undo-") {
		return nil, errors.New("no rights")
	}

	return f.Func.Exec(ctx, run, args)
}
