// Package follow watches runs until they are finished: their records, and for as long as something may be wrong their Jobs,
// pods and warning events. It tells what happens as typed events and prints nothing.
package follow

import (
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Kind of an Event. The words appear in the JSON lines that machines read: they do not change.
type Kind string

// Kinds of events, in the order in which a run may bring them.
const (
	Attached     Kind = "attached"     // the record was read for the first time; Record is set
	RunStarted   Kind = "runStarted"   // a runner has begun
	PhaseStarted Kind = "phaseStarted" // Phase is set
	Progress     Kind = "progress"     // Phase is set, with its Progress
	PhaseEnded   Kind = "phaseEnded"   // Phase is set: complete, failed, cancelled or skipped
	Warning      Kind = "warning"      // a warning of the run; Message is set
	Note         Kind = "note"         // a line of the run's history; Message is set
	PodProblem   Kind = "podProblem"   // Problem is set; each problem is told once
	PodRecovered Kind = "podRecovered" // Problem, told before, is over
	Disconnected Kind = "disconnected" // the API server does not answer; following goes on by itself
	Reconnected  Kind = "reconnected"
	Finished     Kind = "finished" // Record is set, with its final state; the last event of a run
	Lost         Kind = "lost"     // following ended without a final state; Message says why; the last event of a run
)

// Ref names a run.
type Ref struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// Event is one thing that happened to one run.
type Event struct {
	Kind Kind
	// Time is when it happened as far as the record tells, otherwise when it was seen.
	Time  time.Time
	Run   Ref
	Phase *record.Phase
	// Defer says that Phase is the deferPhase.
	Defer   bool
	Message string
	Problem *diagnose.Problem
	// Record as it was then. Read only.
	Record *record.Record
}

// Result is how following one run ended: with a finished Record, or with Err and the last Record that was seen, if any.
type Result struct {
	Ref    Ref
	Record *record.Record
	Err    error
}

// Why following may end without a final state, besides the end of its context.
var (
	// ErrNotFound: there is no such run.
	ErrNotFound = errors.New("no such run")
	// ErrGone: the record was deleted while it was followed.
	ErrGone = errors.New("the run record was deleted")
	// ErrStopped: the context ended, the run goes on; the context's cause is in the chain as well.
	ErrStopped = errors.New("following was stopped")
	// ErrForbidden: the record may not be read with the user's rights.
	ErrForbidden = errors.New("not permitted to read the run record")
)

// CannotStartError ends following a run of which no runner container ever ran: a Fatal problem, or any when StartTimeout is over.
type CannotStartError struct {
	Ref     Ref
	Problem diagnose.Problem
}

func (e *CannotStartError) Error() string {
	return fmt.Sprintf("starting run %q: %s", e.Ref.Name, e.Problem)
}
