package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// deferPhase runs the action's deferPhase if any phase was ever begun: whatever became of them, and also when the run was
// cancelled. Its failure is noted beside that of a phase. Its error means that the run is left unfinished.
func (r *run) deferPhase() error {
	var (
		there, ran bool
		before     record.Phase
	)

	r.journal.read(func(rec *record.Record) {
		if there = rec.Defer != nil; there {
			before = *rec.Defer
			ran = begun(rec) || len(rec.Phases) == 0 && rec.Error == nil
		}
	})

	at := func(rec *record.Record) *record.Phase { return rec.Defer }

	switch {
	case !there || before.State != record.Pending && before.State != record.Running:
		return nil
	case !ran:
		return r.journal.insist(r.base, func(rec *record.Record) { rec.Defer.State = record.Skipped })
	}

	phase := &blueprint.Phase{Name: before.Name, Func: before.Func}
	if r.action != nil && r.action.DeferPhase != nil {
		phase = r.action.DeferPhase
	}

	function, known := r.Lookup(phase.Func)

	switch {
	case r.action == nil || !known || r.params == nil:
		// Only when the successor of a runner is given another input: a bug or a hand in the Secret.
		return r.endPhase(at, record.Failed, &record.Failure{
			Phase: before.Name, Func: before.Func, Message: "the deferPhase cannot run: the run cannot be launched again", Reason: record.ReasonInterrupted,
		})
	case before.State == record.Running && before.Attempts-before.Evictions >= r.bounds.DeferAttempts:
		return r.endPhase(at, record.Failed, &record.Failure{
			Phase: before.Name, Func: before.Func, Reason: record.ReasonInterrupted,
			Message: fmt.Sprintf("the runner pod died %d times while the deferPhase %q ran", before.Attempts-before.Evictions, before.Name),
		})
	}

	started := r.Clock.Now()
	attempt, err := r.startPhase(phase, at, r.journal.insist)

	if err != nil {
		return err
	}

	bound := r.allowed().Defer
	limit := fmt.Sprintf("the deferPhase's time of %s", bound)

	res := r.execute(phase, function, at, attempt, r.deferred, r.base, started.Add(bound), limit)
	if r.leaving(res) {
		return r.leave(at)
	}

	if res.err != nil {
		return r.phaseFailed(phase, at, res)
	}

	output, _ := res.value.(map[string]any)
	_, err = r.phaseDone(phase, at, output, started)

	return err
}

// outcome is the state that the run ends in.
func (r *run) outcome() record.State {
	state := record.Complete

	r.journal.read(func(rec *record.Record) {
		cut := false // a phase did not run to its end

		for i := range rec.Phases {
			cut = cut || rec.Phases[i].State != record.Complete
		}

		switch {
		case rec.Error != nil:
			state = record.Failed
		case cut && rec.CancelReason != "":
			state = record.Cancelled
		case cut || rec.DeferError != nil:
			state = record.Failed
		}
	})

	return state
}

// finish renders the artifacts of a run in which everything succeeded, undoes what another has changed, and closes the record.
func (r *run) finish() (*record.Record, error) {
	if err := r.mayGoOn(); err != nil {
		return nil, r.over(err)
	}

	state := r.outcome()

	if state == record.Complete {
		if err := r.artifacts(); err != nil {
			if r.mustGo() {
				return nil, r.over(err)
			}

			state = record.Failed
		}
	}

	if state != record.Complete {
		if err := r.undo(); err != nil {
			return nil, r.over(err)
		}
	}

	if state == record.Complete {
		if err := r.publish(); err != nil {
			return nil, r.over(err)
		}
	}

	return r.close(state)
}

// close writes the last state. After it nothing changes any more.
func (r *run) close(state record.State) (*record.Record, error) {
	var took time.Duration

	end := func(rec *record.Record) {
		rec.State, rec.Ended, rec.Origin = state, r.now(), leftDown(rec)
		took = rec.Ended.Sub(*rec.Started).Round(100 * time.Millisecond)
		r.journal.note(rec, "Normal", fmt.Sprintf("run %s in %s", state, took))
	}

	err := r.journal.save(r.base, end)

	var tooLarge *record.TooLargeError
	if errors.As(err, &tooLarge) {
		// The artifacts are what came last. Without them a backup is none.
		f := &record.Failure{Message: err.Error(), Reason: record.ReasonTooLarge}

		if state == record.Complete {
			state = record.Failed
			r.journal.change(func(rec *record.Record) { rec.State, rec.Ended, rec.Artifacts = record.Running, nil, nil })
			r.fail(f)
			r.withdraw()

			if err := r.undo(); err != nil {
				return nil, r.over(err)
			}
		}

		r.journal.change(func(rec *record.Record) { rec.Events = nil })
		err = r.journal.save(r.base, end)
	}

	if err != nil {
		return nil, r.over(err)
	}

	r.journal.say(Line{Text: fmt.Sprintf("run %s %s in %s", r.Input.Run, state, took), Warning: state != record.Complete})

	var finished *record.Record

	r.journal.read(func(rec *record.Record) { finished = r.Redactor.Record(rec) })

	return finished, nil
}

// leftDown is what the next run has to know of a target that stays stopped on a Hold; nil: of this one nothing.
func leftDown(rec *record.Record) *record.TargetSnapshot {
	if len(rec.Holds) == 0 || rec.Origin == nil || rec.Origin.Workload == nil {
		return nil
	}

	return &record.TargetSnapshot{Workload: rec.Origin.Workload}
}

// artifacts renders the action's outputArtifacts (COMPAT §2.4.6).
func (r *run) artifacts() error {
	r.params.CurrentPhase = nil

	res := r.guard(call{parent: r.base, deadline: r.Clock.Now().Add(r.allowed().Cleanup), limit: "the time to render the artifacts",
		do: func(context.Context) (any, error) {
			return template.RenderArtifacts(r.action.OutputArtifacts, r.params)
		},
	})
	if r.leaving(res) {
		return ErrInterrupted
	}

	if res.err != nil {
		f := failure("", "", res)
		f.Reason = record.ReasonTemplate
		f.Message = "rendering the artifacts of action \"" + r.Input.Action + "\": " + f.Message
		r.fail(f)

		return res.err
	}

	rendered, _ := res.value.(map[string]blueprint.Artifact)
	r.journal.change(func(rec *record.Record) { rec.Artifacts = rendered })

	return nil
}

// publish puts the record beside the data. A run without that is complete, but not without a word.
func (r *run) publish() error {
	if r.Engine.Publish == nil {
		return nil
	}

	var entry *record.Record

	r.journal.read(func(rec *record.Record) { entry = r.Redactor.Record(rec) })
	entry.State, entry.Ended, entry.Origin = record.Complete, r.now(), nil

	// Whoever restores needs the artifacts. Outputs may hold what a phase has made up, such as a password, and the store has other readers
	// than the cluster.
	entry.Undo = nil
	for i := range entry.Phases {
		entry.Phases[i].Output = nil
	}

	if entry.Defer != nil {
		entry.Defer.Output = nil
	}

	res := r.guard(call{parent: r.base, deadline: r.Clock.Now().Add(r.allowed().Publish), limit: fmt.Sprintf("its time of %s", r.allowed().Publish),
		do: func(ctx context.Context) (any, error) { return nil, r.Engine.Publish(ctx, entry) },
	})
	if r.leaving(res) {
		return ErrInterrupted
	}

	if res.err != nil {
		r.journal.warn("", "writing the catalogue entry beside the data: "+res.err.Error()+
			"; the run can be restored as long as its record is in this cluster")
	}

	return nil
}

// withdraw takes back what publish has put beside the data.
func (r *run) withdraw() {
	if r.Engine.Withdraw == nil {
		return
	}

	res := r.guard(call{parent: r.base, deadline: r.Clock.Now().Add(r.allowed().Publish), limit: fmt.Sprintf("its time of %s", r.allowed().Publish),
		do: func(ctx context.Context) (any, error) { return nil, r.Engine.Withdraw(ctx) },
	})
	if res.err != nil {
		r.journal.warn("", "removing the catalogue entry of a run that is not complete: "+res.err.Error())
	}
}

// undo brings back, last first, what functions have changed and not brought back. Every step is tried, whatever becomes of the
// others. Its error means that the run is left unfinished.
func (r *run) undo() error {
	var steps int

	r.journal.read(func(rec *record.Record) { steps = len(rec.Undo) })

	for i := steps - 1; i >= 0; i-- {
		if err := r.undoStep(i); err != nil {
			return err
		}
	}

	return nil
}

func (r *run) undoStep(i int) error {
	var step record.Undo

	r.journal.read(func(rec *record.Record) { step = rec.Undo[i] })

	if step.Done || step.Failed != "" {
		return r.mayGoOn()
	}

	if held := r.held(); step.Starts && held != "" {
		return r.undone(i, fmt.Errorf("left as it is on purpose, because %s: restore again, then start it", held))
	}

	if step.Attempts >= r.bounds.DeferAttempts {
		return r.undone(i, fmt.Errorf("the runner pod died %d times doing it", step.Attempts))
	}

	if err := r.journal.insist(r.base, func(rec *record.Record) { rec.Undo[i].Attempts++ }); err != nil {
		return err
	}

	r.journal.say(Line{Phase: "undo", Text: step.Text})

	function, known := r.Lookup(step.Func)
	if !known {
		return r.undone(i, fmt.Errorf("this runner has no function %q", step.Func))
	}

	// No phase: what the undo itself could undo is of no interest.
	name := fmt.Sprintf("undo-%d", i+1)
	journal := &phaseJournal{journal: r.journal, name: name}

	p := &params.TemplateParams{}
	if r.params != nil {
		p = r.copyParams()
	}

	res := r.guard(call{
		parent: r.base, deadline: r.Clock.Now().Add(r.allowed().Undo), limit: fmt.Sprintf("its time of %s", r.allowed().Undo), patient: true,
		do: func(ctx context.Context) (any, error) {
			args, err := checkArgs(function, step.Args)
			if err != nil {
				return nil, err
			}

			return function.Exec(ctx, r.handed(name, step.Attempts+1, p, journal), args)
		},
	})

	journal.over.Store(true)

	if r.leaving(res) {
		if r.base.Err() != nil {
			return context.Cause(r.base)
		}

		if err := r.journal.insist(r.base, func(rec *record.Record) { rec.Undo[i].Attempts-- }); err != nil {
			return err
		}

		return ErrInterrupted
	}

	if res.err != nil && res.cause != nil {
		res.err = errors.New(because(res))
	}

	return r.undone(i, res.err)
}

// held says why no application may be started now; empty: they may.
func (r *run) held() string {
	var why []string

	r.journal.read(func(rec *record.Record) {
		for _, hold := range rec.Holds {
			why = append(why, hold.Why)
		}
	})

	return strings.Join(why, ", ")
}

// undone journals how the step ended.
func (r *run) undone(i int, failed error) error {
	err := r.journal.insist(r.base, func(rec *record.Record) {
		step := &rec.Undo[i]

		if failed == nil {
			step.Done = true
			r.journal.note(rec, "Normal", "undone: "+step.Text)

			return
		}

		step.Failed = failed.Error()
		text := step.Text + ": " + failed.Error()

		if !slices.Contains(rec.UndoErrors, text) {
			rec.UndoErrors = append(rec.UndoErrors, text)
		}

		r.journal.note(rec, "Warning", "not undone: "+text)
		r.journal.say(Line{Phase: "undo", Text: strings.TrimSpace("failed: " + text), Warning: true})
	})
	if err != nil {
		return err
	}

	return r.mayGoOn()
}
