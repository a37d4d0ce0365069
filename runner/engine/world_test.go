package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

var errKilled = errors.New("the runner was killed")

// world is what outlives a killed runner: the cluster, as far as the fake functions change it.
type world struct {
	t     *testing.T
	store *record.Memory
	clock *clocktesting.FakeClock

	mu       sync.Mutex
	replicas int
	begun    map[string]int // phase -> how often its function was called
	done     map[string]int // phase -> how often its effect came about
	args     map[string][]string
	abandons []record.PodRef
	dead     bool
	effects  int
	dieAt    int // at this effect; 0: never
	lines    []engine.Line
	publish  []record.Record
}

func newWorld(t *testing.T) *world {
	t.Helper()

	begun := time.Date(2026, 11, 23, 7, 0, 0, 123456789, time.UTC)

	// As the plugin makes it.
	store, err := record.NewMemory(&record.Record{
		SchemaVersion: record.SchemaVersion, Run: "run-1", Namespace: "demo", Action: "backup", State: record.Pending, Created: begun,
		Blueprint: record.BlueprintInfo{Name: "bp"}, Target: blueprint.ObjectReference{Kind: "StatefulSet", Name: "db", Namespace: "demo"},
	})
	if err != nil {
		t.Fatal(err)
	}

	return &world{
		t: t, store: store, clock: clocktesting.NewFakeClock(begun),
		replicas: 3, begun: map[string]int{}, done: map[string]int{}, args: map[string][]string{},
	}
}

// effect is a change in the cluster. The runner may die just before it or just after.
func (w *world) effect(change func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()

	for _, after := range []bool{false, true} {
		w.effects++
		if w.dieAt != 0 && w.effects == w.dieAt {
			w.dead = true
		}

		if w.dead {
			return errKilled
		}

		if !after {
			change()
		}
	}

	return nil
}

func (w *world) alive() error {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.dead {
		return errKilled
	}

	return nil
}

func (w *world) revive() {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.dead = false
}

// function is a fake Function of the world.
type function struct {
	*world

	name     string
	repeat   bool
	required []string
	known    []string
	exec     func(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error)
}

func (f *function) Name() string           { return f.name }
func (f *function) RequiredArgs() []string { return f.required }
func (f *function) Arguments() []string    { return append(slices.Clone(f.required), f.known...) }
func (f *function) Repeatable() bool       { return f.repeat }

func (f *function) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	f.mu.Lock()
	f.begun[run.Phase]++

	for _, key := range slices.Sorted(maps.Keys(args)) {
		f.args[run.Phase] = append(f.args[run.Phase], fmt.Sprintf("%s=%v", key, args[key]))
	}
	f.mu.Unlock()

	output, err := f.exec(ctx, run, args)
	if alive := f.alive(); alive != nil {
		return nil, alive
	}

	return output, err
}

// registry are the fakes: Step and Once change something, Fail fails, Scale scales with undo, Hang waits for the end of its
// context, Cancel asks for the run to be cancelled and hangs.
func (w *world) registry() *functions.Registry {
	registry := &functions.Registry{}

	mark := func(run *functions.Run) error {
		return w.effect(func() { w.done[run.Phase]++ })
	}

	step := func(_ context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
		if err := mark(run); err != nil {
			return nil, err
		}

		return map[string]any{"text": "from " + run.Phase, "n": 1234567890, "list": []string{"a", "b"}, "given": args["in"]}, nil
	}

	for _, f := range []*function{
		{name: "Step", repeat: true, known: []string{"in"}, exec: step},
		{name: "Once", known: []string{"in"}, exec: step},
		{name: "Fail", repeat: true, exec: func(_ context.Context, run *functions.Run, _ map[string]any) (map[string]any, error) {
			if err := mark(run); err != nil {
				return nil, err
			}

			return nil, fmt.Errorf("failing phase: %w", &record.Failure{Message: "as asked", Reason: "Asked", LastLogs: []string{"last line"}})
		}},
		{name: "Panic", exec: func(context.Context, *functions.Run, map[string]any) (map[string]any, error) { panic("a bug") }},
		{name: "Scale", repeat: true, required: []string{"replicas"}, exec: w.scale},
		{name: "Hang", repeat: true, exec: func(ctx context.Context, run *functions.Run, _ map[string]any) (map[string]any, error) {
			_ = mark(run)
			<-ctx.Done()

			return nil, ctx.Err()
		}},
		{name: "Cancel", repeat: true, exec: func(ctx context.Context, run *functions.Run, _ map[string]any) (map[string]any, error) {
			if err := mark(run); err != nil {
				return nil, err
			}

			w.store.RequestCancel("enough")
			<-ctx.Done()

			return nil, ctx.Err()
		}},
	} {
		f.world = w
		if err := registry.Add(f); err != nil {
			w.t.Fatal(err)
		}
	}

	return registry
}

// scale is ScaleWorkload in small: it notes the way back first, and drops it when it has gone it.
func (w *world) scale(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	want := 0
	if _, err := fmt.Sscan(fmt.Sprint(args["replicas"]), &want); err != nil {
		return nil, err
	}

	w.mu.Lock()
	before := w.replicas
	w.mu.Unlock()

	if want == 0 {
		err := run.Journal.Undo(ctx, record.Undo{
			Key: "scale", Text: fmt.Sprintf("scale 0→%d", before), Func: "Scale", Args: map[string]any{"replicas": before},
		})
		if err != nil {
			return nil, err
		}

		if err := w.alive(); err != nil {
			return nil, err
		}
	}

	if err := w.effect(func() { w.replicas = want; w.done[run.Phase]++ }); err != nil {
		return nil, err
	}

	if want > 0 {
		return nil, run.Journal.DropUndo(ctx, "scale")
	}

	return nil, nil
}

func (w *world) engine(action *blueprint.Action) *engine.Engine {
	registry := w.registry()
	bp := blueprint.Blueprint{ObjectMeta: metav1.ObjectMeta{Name: "bp"}, Actions: map[string]*blueprint.Action{"backup": action}}
	in := &record.Input{
		SchemaVersion: record.SchemaVersion, Run: "run-1", Namespace: "demo", Action: "backup", Blueprint: bp,
		Target: blueprint.ObjectReference{Kind: "StatefulSet", Name: "db", Namespace: "demo"}, Options: map[string]string{"o": "opt"},
	}

	return &engine.Engine{
		Input: in, Store: w.store, Lookup: registry.Lookup, Clock: w.clock, Redactor: &record.Redactor{}, Pod: "runner-a",
		Params: func(_ context.Context, now time.Time) (*params.TemplateParams, error) {
			w.mu.Lock()
			defer w.mu.Unlock()

			// As in a cluster: pods are only there while the workload has replicas.
			s := &params.StatefulSetParams{Name: "db", Namespace: "demo"}
			for i := range w.replicas {
				s.Pods = append(s.Pods, fmt.Sprintf("db-%d", i))
			}

			return &params.TemplateParams{
				StatefulSet: s, Time: now.Format(time.RFC3339Nano), Options: in.Options, Phases: map[string]*params.Phase{},
				Object: map[string]any{"kind": "StatefulSet", "spec": map[string]any{"replicas": int64(w.replicas)}},
			}, nil
		},
		Objects: func(_ context.Context, references map[string]blueprint.ObjectReference) (*params.Phase, error) {
			p := &params.Phase{Secrets: map[string]corev1.Secret{}}
			for name := range references {
				p.Secrets[name] = corev1.Secret{Data: map[string][]byte{"password": []byte("s3cr3t-passw0rd")}}
			}

			return p, nil
		},
		Abandon: func(_ context.Context, pods []record.PodRef) error {
			w.mu.Lock()
			defer w.mu.Unlock()

			w.abandons = append(w.abandons, pods...)

			return nil
		},
		Publish: func(_ context.Context, r *record.Record) error {
			w.mu.Lock()
			defer w.mu.Unlock()

			w.publish = append(w.publish, *r)

			return nil
		},
		Log: func(line engine.Line) {
			w.mu.Lock()
			defer w.mu.Unlock()

			w.lines = append(w.lines, line)
		},
	}
}

func (w *world) run(ctx context.Context, action *blueprint.Action) (*record.Record, error) {
	w.t.Helper()

	return w.engine(action).Run(ctx)
}

func phase(name, function string, args map[string]any) blueprint.Phase {
	return blueprint.Phase{Name: name, Func: function, Args: args}
}
