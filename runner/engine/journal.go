package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// journal holds the record of the run and writes it. Changes of state are written at once; progress, events and pods within a
// second.
type journal struct {
	engine *Engine
	base   context.Context // for writes that functions ask for: the end of theirs is not the end of the journal
	// lost is called once when the store cannot be written any more; cancel when the record was deleted.
	lost, cancel context.CancelCauseFunc

	writing sync.Mutex // one write at a time, in order
	mu      sync.Mutex // guards what follows
	record  *record.Record
	dirty   bool
	err     error // why the store is lost
	gone    bool  // the record was deleted: the run is brought to an orderly end without one
}

func newJournal(e *Engine, r *record.Record) *journal { return &journal{engine: e, record: r} }

// errStoreLost is the cause with which everything ends when the journal cannot be written.
type errStoreLost struct{ err error }

func (e errStoreLost) Error() string { return e.err.Error() }
func (e errStoreLost) Unwrap() error { return e.err }

// save changes the record and returns once that is stored. A TooLargeError leaves the change in memory only: the caller takes it
// back. Any other error is final: nothing is written after it.
func (j *journal) save(ctx context.Context, change func(*record.Record)) error {
	j.writing.Lock()
	defer j.writing.Unlock()

	j.mu.Lock()

	if j.err != nil {
		defer j.mu.Unlock()

		return j.err
	}

	if change != nil {
		change(j.record)
	}

	snapshot := j.engine.Redactor.Record(j.record)
	j.dirty = false
	gone := j.gone
	j.mu.Unlock()

	if gone {
		return nil
	}

	err := j.engine.Store.Save(ctx, snapshot)

	var tooLarge *record.TooLargeError
	if err == nil || errors.As(err, &tooLarge) {
		return err
	}

	if errors.Is(err, record.ErrGone) {
		j.vanished()

		return nil
	}

	j.mu.Lock()
	defer j.mu.Unlock()

	j.err = errStoreLost{err}
	j.lost(j.err)

	return j.err
}

// insist is save for what a run must be able to write to come to its end. Outputs of earlier phases made it into the record before; where
// there is no room for more, the history goes.
func (j *journal) insist(ctx context.Context, change func(*record.Record)) error {
	err := j.save(ctx, change)

	var tooLarge *record.TooLargeError
	if !errors.As(err, &tooLarge) {
		return err
	}

	return j.save(ctx, func(r *record.Record) {
		r.Events, r.Warnings = nil, []string{"the history of the run did not fit into the record: see the runner's log"}

		if r.Origin != nil {
			r.Origin.Object = nil
		}
	})
}

// vanished ends the run without a record: whoever deleted it wants the run to end, but what it has changed must still be brought
// back.
func (j *journal) vanished() {
	j.mu.Lock()
	defer j.mu.Unlock()

	if !j.gone {
		j.gone = true
		j.record.CancelReason = record.ErrGone.Error()
		j.say(Line{Text: j.record.CancelReason + ": ending it", Warning: true})
		j.cancel(errCancelled{reason: j.record.CancelReason})
	}
}

// change changes the record in memory; it is written with the next save, or by flush within a second.
func (j *journal) change(change func(*record.Record)) {
	j.mu.Lock()
	defer j.mu.Unlock()

	change(j.record)
	j.dirty = true
}

// read looks at the record.
func (j *journal) read(look func(*record.Record)) {
	j.mu.Lock()
	defer j.mu.Unlock()

	look(j.record)
}

// flush writes what changed, at most once a second, until ctx ends.
func (j *journal) flush(ctx context.Context) {
	ticker := j.engine.Clock.NewTicker(progressEvery)
	defer ticker.Stop()

	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}

		j.mu.Lock()
		dirty := j.dirty && j.err == nil
		j.mu.Unlock()

		if !dirty {
			continue
		}

		// A record that has no room for history still has one for its end: the error shows there.
		_ = j.save(ctx, nil)
	}
}

// event adds a line to the history, where it is prefixed with its phase, and to the log.
func (j *journal) event(phase, text string) {
	j.say(Line{Phase: phase, Text: text})
	j.change(func(r *record.Record) { j.note(r, "Normal", phase+": "+text) })
}

// warn adds a warning to the record, its history and the log, once.
func (j *journal) warn(phase, text string) {
	said := text
	if phase != "" {
		text = phase + ": " + text
	}

	j.change(func(r *record.Record) {
		if slices.Contains(r.Warnings, text) {
			return
		}

		r.Warnings = append(r.Warnings, text)
		j.note(r, "Warning", text)
		j.say(Line{Phase: phase, Text: said, Warning: true})
	})
}

func (j *journal) note(r *record.Record, kind, text string) {
	r.Events = append(r.Events, record.Event{Time: j.engine.Clock.Now().UTC(), Type: kind, Message: text})
}

// say writes a line for people.
func (j *journal) say(line Line) {
	if j.engine.Log == nil {
		return
	}

	line.Time = j.engine.Clock.Now()
	line.Text = j.engine.Redactor.String(line.Text)
	j.engine.Log(line)
}

// phaseJournal is what one call of a function writes to. It is deaf once the call is over.
type phaseJournal struct {
	journal *journal
	name    string
	// phase finds the phase in the record; nil for an undo step, which has none.
	phase func(*record.Record) *record.Phase
	over  atomic.Bool
}

// Progress implements functions.Journal.
func (p *phaseJournal) Progress(progress record.Progress) {
	p.onPhase(func(phase *record.Phase) { phase.Progress = &progress })
}

// Pod implements functions.Journal.
func (p *phaseJournal) Pod(pod record.PodRef) {
	p.onPhase(func(phase *record.Phase) {
		if !slices.Contains(phase.Pods, pod) {
			phase.Pods = append(phase.Pods, pod)
		}
	})
}

func (p *phaseJournal) onPhase(change func(*record.Phase)) {
	if p.phase == nil || p.over.Load() {
		return
	}

	p.journal.change(func(r *record.Record) {
		// Asked again under the lock: the call may have ended in between, and a finished phase must not change.
		if !p.over.Load() {
			change(p.phase(r))
		}
	})
}

// Log implements functions.Journal.
func (p *phaseJournal) Log(source, line string) {
	p.journal.say(Line{Phase: p.name, Source: source, Text: line})
}

// Event implements functions.Journal.
func (p *phaseJournal) Event(message string) {
	if !p.over.Load() {
		p.journal.event(p.name, message)
	}
}

// Warn implements functions.Journal.
func (p *phaseJournal) Warn(message string) {
	if !p.over.Load() {
		p.journal.warn(p.name, message)
	}
}

// Undo implements functions.Journal. The first entry of a key stays: a phase that is repeated after a crash sees what its first
// attempt has left, and the way back leads to what was before that.
func (p *phaseJournal) Undo(ctx context.Context, undo record.Undo) error {
	if p.phase == nil {
		return nil
	}

	if p.over.Load() {
		return fmt.Errorf("storing undo %q: the phase is over", undo.Key)
	}

	args, err := record.Normal(undo.Args)
	if err != nil {
		return fmt.Errorf("storing undo %q: %w", undo.Key, err)
	}

	// A function whose time is over must not begin a change.
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("storing undo %q: %w", undo.Key, err)
	}

	undo.Args = args
	known := false

	err = p.journal.save(p.journal.base, func(r *record.Record) {
		known = slices.ContainsFunc(r.Undo, func(u record.Undo) bool { return u.Key == undo.Key })
		if !known {
			r.Undo = append(r.Undo, undo)
		}
	})
	if err != nil && !known {
		p.journal.change(func(r *record.Record) {
			r.Undo = slices.DeleteFunc(r.Undo, func(u record.Undo) bool { return u.Key == undo.Key })
		})
	}

	return err
}

// DropUndo implements functions.Journal. It works after the end of a function's context, too: cleaning up is what brings back.
func (p *phaseJournal) DropUndo(_ context.Context, key string) error {
	if p.phase == nil || p.over.Load() {
		return nil
	}

	there := false
	p.journal.read(func(r *record.Record) {
		there = slices.ContainsFunc(r.Undo, func(u record.Undo) bool { return u.Key == key })
	})

	if !there {
		return nil
	}

	return p.journal.save(p.journal.base, func(r *record.Record) {
		r.Undo = slices.DeleteFunc(r.Undo, func(u record.Undo) bool { return u.Key == key })
	})
}

// HoldUndo implements functions.Journal.
func (p *phaseJournal) HoldUndo(ctx context.Context, key, why string) error {
	if p.phase == nil {
		return nil
	}

	if p.over.Load() {
		return fmt.Errorf("holding the undo list, %s: the phase is over", why)
	}

	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("holding the undo list, %s: %w", why, err)
	}

	return p.journal.save(p.journal.base, func(r *record.Record) {
		if !slices.ContainsFunc(r.Holds, func(h record.Hold) bool { return h.Key == key }) {
			r.Holds = append(r.Holds, record.Hold{Key: key, Why: why})
		}
	})
}

// FreeUndo implements functions.Journal. It works after the end of a function's context, too.
func (p *phaseJournal) FreeUndo(_ context.Context, key string) error {
	if p.phase == nil || p.over.Load() {
		return nil
	}

	return p.journal.save(p.journal.base, func(r *record.Record) {
		r.Holds = slices.DeleteFunc(r.Holds, func(h record.Hold) bool { return h.Key == key })
	})
}

// Note implements functions.Journal.
func (p *phaseJournal) Note(ctx context.Context, key string, value any) error {
	if p.phase == nil {
		return nil
	}

	if p.over.Load() {
		return fmt.Errorf("noting %q: the phase is over", key)
	}

	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("noting %q: %w", key, err)
	}

	// What is noted is about to be changed: a function whose time is over must not begin.
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("noting %q: %w", key, err)
	}

	return p.journal.save(p.journal.base, func(r *record.Record) {
		phase := p.phase(r)
		if _, there := phase.Notes[key]; there {
			return
		}

		if phase.Notes == nil {
			phase.Notes = map[string]string{}
		}

		phase.Notes[key] = string(text)
	})
}

// Noted implements functions.Journal.
func (p *phaseJournal) Noted(key string, value any) (bool, error) {
	if p.phase == nil {
		return false, nil
	}

	var (
		text  string
		there bool
	)

	p.journal.read(func(r *record.Record) { text, there = p.phase(r).Notes[key] })

	if !there {
		return false, nil
	}

	if err := json.Unmarshal([]byte(text), value); err != nil {
		return false, fmt.Errorf("reading what was noted as %q: %w", key, err)
	}

	return true, nil
}

// Secret implements functions.Journal.
func (p *phaseJournal) Secret(value string) { p.journal.engine.Redactor.Add(value) }
