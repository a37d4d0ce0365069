// Package engine runs the phases of one action: in order, with a journal from which a successor goes on after a crash, with the
// deferPhase whatever happens, and with undo when it went wrong. It knows functions, the record and a clock; no cluster.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ErrInterrupted says that the runner was told to go before the run was finished. The record is in order: a successor resumes.
var ErrInterrupted = functions.ErrInterrupted

// Engine runs one run. All members without another word are required.
type Engine struct {
	Input *record.Input
	Store record.Store
	// Pod is the name of the pod that this runner is; two runners of one run are told apart by it.
	Pod string
	// Lookup finds a function by its name.
	Lookup func(name string) (functions.Func, bool)
	Clock  clock.WithTicker
	// Redactor learns the run's secrets as they turn up; every text for people goes through it.
	Redactor *record.Redactor
	// Params reads the template parameters from the cluster. now is when the run started (.Time), also after a restart.
	Params func(ctx context.Context, now time.Time) (*params.TemplateParams, error)
	// Objects fetches the Secrets and ConfigMaps of a phase, references rendered.
	Objects func(ctx context.Context, references map[string]blueprint.ObjectReference) (*params.Phase, error)

	// Publish puts the record of a complete run beside the data; nil: nothing is put anywhere. It may be called again.
	Publish func(ctx context.Context, r *record.Record) error
	// Withdraw takes back what Publish has put there, when the run turns out not to be complete; nil with a nil Publish.
	Withdraw func(ctx context.Context) error
	// Abandon ends worker pods that nobody will adopt, when their phase may not be repeated; nil: they are left to their owner.
	Abandon func(ctx context.Context, pods []record.PodRef) error
	// Orphaned tells, once the runner was told to go, why no successor will go on with the run; "" when one will, or when that cannot
	// be found out. nil: one always will.
	Orphaned func(ctx context.Context) string
	// Log gets every line for people, already redacted; nil: none. It is called from several goroutines.
	Log func(Line)
	// Kube and Owner are handed to functions; they may be nil in tests.
	Kube  *kube.Client
	Owner *kube.Owner
	// Node is the one that the runner is on; "" if that is not known.
	Node string
	// Bounds on waits; zero members have defaults.
	Bounds Bounds
}

// Bounds are how long the engine waits, and how often it tries.
type Bounds struct {
	// Defer bounds the deferPhase, and Undo each step of the undo list. Both come after the run's own deadline.
	Defer, Undo time.Duration
	// Cleanup is how long a function may go on after its context has ended.
	Cleanup time.Duration
	// Patience is how long a function that may not be repeated may go on to its end when the runner is told to go;
	// Eviction is what Cleanup is then. Both, and the last write, fit into the pod's grace period.
	Patience, Eviction time.Duration
	// Publish bounds the catalogue entry.
	Publish time.Duration
	// Attempts is how often a repeatable phase is begun before it counts as what kills the runner; DeferAttempts the same for
	// the deferPhase and for undo steps. Together they stay below the Job's backoff limit, so that the undo is still done.
	Attempts, DeferAttempts int
}

// Default bounds. The pod's grace period is 60 s and the Job's backoff limit 6.
const (
	DefaultDefer         = time.Hour
	DefaultUndo          = 15 * time.Minute
	DefaultCleanup       = 2 * time.Minute
	DefaultPatience      = 25 * time.Second
	DefaultEviction      = 10 * time.Second
	DefaultPublish       = 2 * time.Minute
	DefaultAttempts      = 3
	DefaultDeferAttempts = 2

	progressEvery = time.Second
	lastWrite     = 15 * time.Second

	// What a runner without a successor does must fit into the pod's grace period, too: it asks whether one comes, ends the phase, runs
	// the deferPhase and the undo list.
	lastAsk     = 5 * time.Second
	lastCleanup = 8 * time.Second
	lastDefer   = 20 * time.Second
	lastUndo    = 8 * time.Second
)

// last are the bounds of a runner that has no successor.
func (b Bounds) last() Bounds {
	b.Cleanup, b.Publish = min(b.Cleanup, lastCleanup), min(b.Publish, lastCleanup)
	b.Defer, b.Undo = min(b.Defer, lastDefer), min(b.Undo, lastUndo)

	return b
}

func (b Bounds) orDefaults() Bounds {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&b.Defer, DefaultDefer}, {&b.Undo, DefaultUndo}, {&b.Cleanup, DefaultCleanup}, {&b.Patience, DefaultPatience},
		{&b.Eviction, DefaultEviction}, {&b.Publish, DefaultPublish},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}

	if b.Attempts == 0 {
		b.Attempts = DefaultAttempts
	}

	if b.DeferAttempts == 0 {
		b.DeferAttempts = DefaultDeferAttempts
	}

	return b
}

// Line is one line for people.
type Line struct {
	Time time.Time
	// Phase is the running phase, or empty; Source is "pod/container" for a worker's output, empty for the runner's own words.
	Phase, Source string
	Warning       bool
	Text          string
}

// Run runs the run to its end and gives its finished record, or takes it up where a predecessor left it. A finished run is left
// alone. An error means that the run is not finished: ErrInterrupted, or the store was lost; the same call may be made again, by
// another process, unless it is record.ErrNotFound: whoever asked for the run has made its record, so somebody has deleted it while no
// runner was alive, and what earlier runners have done is not known. The end of ctx means that this process must go, and the run is only cancelled if nobody will take it up.
func (e *Engine) Run(ctx context.Context) (*record.Record, error) {
	r := &run{Engine: e, told: ctx, interrupt: ctx, bounds: e.Bounds.orDefaults()}

	stored, err := e.Store.Load(ctx)

	var unresolved *record.UnresolvedError
	if errors.As(err, &unresolved) { // what was changed must still be brought back
		r.unresolved, err = unresolved, nil
	}

	switch {
	case err != nil:
		return nil, fmt.Errorf("starting run %q: %w", e.Input.Run, err)
	case stored.State.Finished():
		return stored, nil
	}

	r.journal = newJournal(e, stored)

	base, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)

	r.base, r.journal.base, r.journal.lost = base, base, stop

	phases, cancel := context.WithCancelCause(base)
	defer cancel(nil)

	leave := context.CancelFunc(func() {})

	if e.Orphaned != nil { // whether it is left is found out first
		r.interrupt, leave = context.WithCancel(base)
		defer leave()
	}

	var hurry context.CancelFunc

	r.last, hurry = context.WithCancel(base)
	defer hurry()

	r.phases, r.cancel, r.journal.cancel = phases, cancel, cancel

	// Owned by Run: it waits for them before it returns.
	helping, endHelp := context.WithCancel(base)

	var helpers sync.WaitGroup

	helpers.Go(func() { r.journal.flush(helping) })
	helpers.Go(func() { r.awaitCancel(helping) })
	helpers.Go(func() { r.awaitInterrupt(helping, leave, hurry, stop) })

	defer helpers.Wait()
	defer endHelp()

	return r.run()
}
