package record

import (
	"context"
	"errors"
)

// Store keeps one run's record. The engine is its only writer; the cancel request is the only thing that comes from others.
// All methods are safe for concurrent use. An implementation passes storetest.Run.
type Store interface {
	// Load reads the record with all its values, spilled ones included; ErrNotFound if there is none.
	Load(ctx context.Context) (*Record, error)
	// Save writes the record, creating it if Load found none. It is durable when Save returns nil; a finished record becomes
	// immutable by it. Hiccups of the server are waited out, up to a bound. Errors that decide what to do next: *TooLargeError
	// (nothing was written), ErrSuperseded, ErrFinished, ErrGone. The record is not kept and may be changed afterwards.
	Save(ctx context.Context, r *Record) error
	// CancelRequested blocks until somebody asks for the run to be cancelled and gives his reason, or until ctx ends; ErrGone if
	// the record is deleted meanwhile.
	CancelRequested(ctx context.Context) (reason string, err error)
}

// Errors of a Store.
var (
	// ErrNotFound says that there is no record of this run.
	ErrNotFound = errors.New("there is no such run record")
	// ErrGone says that the record was deleted while the run went on.
	ErrGone = errors.New("the run record was deleted while the run went on")
	// ErrFinished says that the stored record is finished and can change no more.
	ErrFinished = errors.New("the run is finished already")
	// ErrSuperseded says that a later runner works on this run.
	ErrSuperseded = errors.New("a later runner pod has taken the run over")
)

// CheckSuccession decides whether next may overwrite stored.
func CheckSuccession(stored, next *Record) error {
	switch {
	case stored == nil:
		return nil
	case stored.Attempts > next.Attempts, stored.Attempts == next.Attempts && stored.Runner != next.Runner:
		return ErrSuperseded
	case stored.State.Finished():
		return ErrFinished
	default:
		return nil
	}
}
