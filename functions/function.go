// Package functions holds the contract of a Kanister Function and the registry of those linked into a runner. Functions
// register like database/sql drivers: import a package for its side effect.
package functions

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Func is one Kanister Function.
type Func interface {
	// Name is what a phase's func field spells; it never changes.
	Name() string
	// Exec runs the function once. args are rendered (unless the function is RawArgs), checked against RequiredArgs and
	// Arguments, and spelt as Arguments spells them. It returns the phase's outputs; nil means none. It must end soon after
	// ctx does, and then clean up what it made with a context of its own. It is called at most once at a time per phase,
	// but phases of other runs may call it concurrently, so it keeps no state.
	Exec(ctx context.Context, run *Run, args map[string]any) (map[string]any, error)
	// RequiredArgs are the names without which Exec is not called.
	RequiredArgs() []string
	// Arguments are all supported names, required ones included.
	Arguments() []string
}

// Repeatable is implemented by functions that may be started again from their beginning when the runner died in the middle.
// Without it an interrupted phase fails.
type Repeatable interface{ Repeatable() bool }

// RawArgs is implemented by functions whose args must not be rendered before Exec (Wait, WaitV2: COMPAT §2.4).
type RawArgs interface{ RawArgs() bool }

// Run is what a function gets to work with.
type Run struct {
	// Name and Namespace of the run; worker pods without a namespace argument go to Namespace.
	Name, Namespace string
	// Phase is the name of the running phase; with Name it makes deterministic names for worker pods.
	Phase string
	// Attempt counts from 1; a higher one means that an earlier runner died in this phase.
	Attempt int
	// Params are the template parameters. Read only.
	Params *params.TemplateParams
	// Input is what the plugin asked. Read only.
	Input *record.Input
	// Kube reaches the cluster with the runner's own rights.
	Kube *kube.Client
	// Owner is set on everything created in Namespace, so that it is gone with the run; nil outside a cluster Job.
	Owner *kube.Owner
	// Node is the one that the runner is on; "" if that is not known.
	Node string
	// Labels go on everything created (run, phase).
	Labels map[string]string
	// Journal reports to the run record.
	Journal Journal
}

// Journal is how a function tells what it does. All methods are safe for concurrent use.
type Journal interface {
	// Progress replaces the phase's progress; it is cheap, writes are coalesced.
	Progress(record.Progress)
	// Pod notes a worker pod before it is waited for, so that plugin and successor find it.
	Pod(record.PodRef)
	// Log passes one line of a worker's output on to the runner's own log (redacted there). source is "pod/container".
	Log(source, line string)
	// Event adds one line to the run's history.
	Event(message string)
	// Warn adds a warning: the run may still complete, but not without a word.
	Warn(message string)
	// Undo stores how to bring back what the function is about to change. It has reached the record when it returns nil.
	Undo(context.Context, record.Undo) error
	// DropUndo removes the entry with this key, because the change was brought back.
	DropUndo(ctx context.Context, key string) error
	// HoldUndo keeps the undo list from starting applications until FreeUndo is called with the same key: what they work on is half
	// restored. It has reached the record when it returns nil, and it outlives the runner. why: "volume data-0 is half restored".
	HoldUndo(ctx context.Context, key, why string) error
	// FreeUndo ends a HoldUndo.
	FreeUndo(ctx context.Context, key string) error
	// Note keeps value, as JSON, for the same phase after a crash of the runner: what it can no longer find out once it has begun. The
	// first value of a key stays. It has reached the record when it returns nil; it must hold no secret.
	Note(ctx context.Context, key string, value any) error
	// Noted reads what the phase has noted under key, in this or an earlier runner, into value. It tells whether there is something.
	Noted(key string, value any) (bool, error)
	// Secret makes the redactor hide this value from now on.
	Secret(value string)
}

// Registry maps names to functions.
type Registry struct {
	mu    sync.RWMutex
	funcs map[string]Func
}

// Default is the registry that Register fills and the runner uses.
var Default = &Registry{}

// Register adds f to Default. Written as `var _ = functions.Register(f)` at package level it needs no init. A second
// function of the same name is a programming error and panics, as in database/sql.
func Register(f Func) Func {
	if err := Default.Add(f); err != nil {
		panic(err)
	}

	return f
}

// Add registers f under its name.
func (r *Registry) Add(f Func) error {
	r.mu.Lock()
	defer r.mu.Unlock()

	if _, taken := r.funcs[f.Name()]; taken {
		return fmt.Errorf("registering function %q: the name is taken", f.Name())
	}

	if r.funcs == nil {
		r.funcs = map[string]Func{}
	}

	r.funcs[f.Name()] = f

	return nil
}

// Lookup finds a function by its exact name.
func (r *Registry) Lookup(name string) (Func, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()

	f, ok := r.funcs[name]

	return f, ok
}

// Names are the registered names, sorted.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()

	names := make([]string, 0, len(r.funcs))
	for name := range r.funcs {
		names = append(names, name)
	}

	slices.Sort(names)

	return names
}
