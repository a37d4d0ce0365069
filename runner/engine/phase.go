package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// allPhases runs the phases that are not finished, until one fails or the run is cancelled. Its error means that the run is left
// unfinished.
func (r *run) allPhases() error {
	failed := false
	r.journal.read(func(rec *record.Record) { failed = rec.Error != nil })

	if failed {
		return r.endPhases()
	}

	for i := range r.action.Phases {
		phase := &r.action.Phases[i]

		var before record.Phase

		r.journal.read(func(rec *record.Record) { before = rec.Phases[i] })

		switch before.State {
		case record.Complete:
			continue
		case record.Pending, record.Running:
		default: // an earlier runner has seen it fail
			return r.endPhases()
		}

		if r.phases.Err() != nil {
			break
		}

		at := func(rec *record.Record) *record.Phase { return &rec.Phases[i] }

		if before.State == record.Running {
			if f := r.giveUp(&before, r.bounds.Attempts); f != nil {
				r.abandon(&before)

				if err := r.endPhase(at, record.Failed, f); err != nil {
					return err
				}

				return r.endPhases()
			}
		}

		ok, err := r.onePhase(phase, at)
		if err != nil {
			return err
		}

		if !ok {
			return r.endPhases()
		}
	}

	return r.endPhases()
}

// giveUp says why a phase in which an earlier runner died is not begun again; nil: it is.
func (r *run) giveUp(p *record.Phase, attempts int) *record.Failure {
	crashes := p.Attempts - p.Evictions

	switch {
	case !repeatable(r.function(p.Func)):
		f := &record.Failure{
			Phase: p.Name, Func: p.Func, Reason: record.ReasonInterrupted,
			Message: fmt.Sprintf("the runner pod died while phase %q ran, and %s must not be done twice without a look at what the first time has left",
				p.Name, p.Func),
			Hint: "look at what the phase has left, then start a new run",
		}

		if len(p.Pods) > 0 {
			pod := p.Pods[len(p.Pods)-1]
			f.Pod = &pod
		}

		return f
	case crashes >= attempts:
		return &record.Failure{
			Phase: p.Name, Func: p.Func, Reason: record.ReasonInterrupted,
			Message: fmt.Sprintf("the runner pod died %d times while phase %q ran", crashes, p.Name),
			Hint:    "kubectl get events and the last state of the runner pods tell why; when they ran out of memory, give them more",
		}
	default:
		return nil
	}
}

// abandon ends the worker pods of a phase that nobody looks after any more. What cannot be ended goes with its owner, the Job.
func (r *run) abandon(p *record.Phase) {
	if r.Engine.Abandon == nil || len(p.Pods) == 0 {
		return
	}

	pods := slices.Clone(p.Pods)

	res := r.guard(call{parent: r.base, deadline: r.Clock.Now().Add(r.allowed().Cleanup), limit: "the time for it", do: func(ctx context.Context) (any, error) {
		return nil, r.Engine.Abandon(ctx, pods)
	}})
	if res.err != nil && !r.mustGo() {
		r.journal.warn(p.Name, "ending its pods: "+res.err.Error())
	}
}

// onePhase runs a phase and journals its end. false: it did not complete.
func (r *run) onePhase(phase *blueprint.Phase, at func(*record.Record) *record.Phase) (bool, error) {
	started := r.Clock.Now()
	attempt, err := r.startPhase(phase, at, r.journal.save)

	if err != nil {
		return r.startFailed(phase, at, err)
	}

	function := r.function(phase.Func)

	res := r.execute(phase, function, at, attempt, r.objects[phase.Name], r.phases, r.deadline(), r.limit())
	if r.leaving(res) {
		return false, r.leave(at)
	}

	if res.err != nil {
		if res.abandoned || res.unmade {
			var left record.Phase

			r.journal.read(func(rec *record.Record) { left = *at(rec) })
			r.abandon(&left)
		}

		return false, r.phaseFailed(phase, at, res)
	}

	output, _ := res.value.(map[string]any)

	return r.phaseDone(phase, at, output, started)
}

// startPhase journals that the phase begins.
func (r *run) startPhase(phase *blueprint.Phase, at func(*record.Record) *record.Phase,
	save func(context.Context, func(*record.Record)) error,
) (int, error) {
	attempt := 0

	err := save(r.base, func(rec *record.Record) {
		p := at(rec)
		p.State, p.Progress, p.Ended, p.Error = record.Running, nil, nil, nil
		p.Attempts++
		attempt = p.Attempts

		if p.Started == nil {
			p.Started = r.now()
		}

		text := fmt.Sprintf("phase %q started (%s)", phase.Name, phase.Func)
		if attempt > 1 {
			text = fmt.Sprintf("phase %q started again (%s), attempt %d", phase.Name, phase.Func, attempt)
		}

		r.journal.note(rec, "Normal", text)
	})

	r.journal.say(Line{Phase: phase.Name, Text: "started: " + phase.Func})

	return attempt, err
}

// startFailed decides about a phase whose start could not be journalled.
func (r *run) startFailed(phase *blueprint.Phase, at func(*record.Record) *record.Phase, err error) (bool, error) {
	var tooLarge *record.TooLargeError
	if !errors.As(err, &tooLarge) {
		return false, err
	}

	// What is kept for a successor is dispensable; the outputs so far were stored already.
	r.journal.change(func(rec *record.Record) {
		if rec.Origin != nil {
			rec.Origin.Object = nil
		}
	})

	return false, r.phaseFailed(phase, at, result{err: &record.Failure{Message: err.Error(), Reason: record.ReasonTooLarge}})
}

// execute makes one call of a function, with everything that belongs to it: its objects, its arguments, its journal.
func (r *run) execute(phase *blueprint.Phase, function functions.Func, at func(*record.Record) *record.Phase, attempt int,
	references map[string]blueprint.ObjectReference, parent context.Context, deadline time.Time, limit string,
) result {
	journal := &phaseJournal{journal: r.journal, name: phase.Name, phase: at}
	defer journal.over.Store(true)

	isDefer := phase == r.action.DeferPhase

	if len(references) > 0 {
		res := r.guard(call{parent: parent, deadline: deadline, limit: limit, do: func(ctx context.Context) (any, error) {
			return r.Objects(ctx, references)
		}})
		if res.err != nil {
			res.err = fmt.Errorf("reading the objects of phase %q: %w", phase.Name, res.err)

			return res
		}

		fetched, _ := res.value.(*params.Phase)
		r.see(phase.Name, fetched, isDefer)
	} else {
		r.see(phase.Name, &params.Phase{}, isDefer)
	}

	given := r.copyParams()

	return r.guard(call{parent: parent, deadline: deadline, limit: limit, patient: !repeatable(function), do: func(ctx context.Context) (any, error) {
		args := phase.Args

		if !raw(function) {
			rendered, err := template.RenderArgs(args, given)
			if err != nil {
				return nil, &record.Failure{Message: fmt.Sprintf("rendering the arguments of phase %q: %v", phase.Name, err), Reason: record.ReasonTemplate}
			}

			args = rendered
		}

		args, err := checkArgs(function, args)
		if err != nil {
			return nil, &record.Failure{Message: fmt.Sprintf("phase %q: %v", phase.Name, err), Reason: record.ReasonArguments}
		}

		output, err := function.Exec(ctx, r.handed(phase.Name, attempt, given, journal), args)
		checked, bad := checkOutput(output)

		if err != nil { // what a failed function has found out is for readers of the record; templates do not see it
			return checked, err
		}

		return checked, bad
	}})
}

// see makes the phase's Secrets and ConfigMaps visible to templates: to its own arguments and to later phases (COMPAT §2.4.2),
// those of the deferPhase at .DeferPhase only (§2.4.5).
func (r *run) see(name string, phase *params.Phase, isDefer bool) {
	if phase == nil {
		phase = &params.Phase{}
	}

	r.learn(phase)

	if isDefer {
		r.params.CurrentPhase, r.params.DeferPhase = nil, phase

		return
	}

	r.params.CurrentPhase = phase
	r.params.Phases[name] = phase
}

// handed is what a function gets to work with.
func (r *run) handed(phase string, attempt int, p *params.TemplateParams, journal functions.Journal) *functions.Run {
	return &functions.Run{
		Name: r.Input.Run, Namespace: r.Input.Namespace, Phase: phase, Attempt: attempt, Params: p, Input: r.Input,
		Kube: r.Kube, Owner: r.Owner, Node: r.Node, Journal: journal,
		Labels: map[string]string{record.LabelRun: record.LabelValue(r.Input.Run), record.LabelPhase: record.LabelValue(phase)},
	}
}

// checkOutput brings outputs into the form in which they are stored, and refuses what cannot be stored.
func checkOutput(output map[string]any) (any, error) {
	normal, err := record.Normal(output)
	if err != nil {
		return nil, &record.Failure{Message: err.Error(), Reason: record.ReasonOutput}
	}

	for name, value := range normal {
		if text, ok := value.(string); ok && record.Reserved(text) {
			return nil, &record.Failure{
				Message: fmt.Sprintf("storing output %q: it begins with text that is reserved for the run record", name), Reason: record.ReasonOutput,
			}
		}
	}

	return normal, nil
}

// leaving tells whether the call ended because this process must go.
func (r *run) leaving(res result) bool {
	if r.base.Err() != nil {
		return true
	}

	return res.err != nil && errors.Is(res.cause, ErrInterrupted)
}

// leave notes that the phase was left running by a process that was told to go, which is no crash.
func (r *run) leave(at func(*record.Record) *record.Phase) error {
	if r.base.Err() != nil {
		return context.Cause(r.base)
	}

	if err := r.journal.insist(r.base, func(rec *record.Record) { at(rec).Evictions++ }); err != nil {
		return err
	}

	return ErrInterrupted
}

// phaseDone journals the outputs of a phase; only then templates may see them.
func (r *run) phaseDone(phase *blueprint.Phase, at func(*record.Record) *record.Phase, output map[string]any, started time.Time) (bool, error) {
	for _, key := range slices.Sorted(maps.Keys(output)) {
		if text, ok := output[key].(string); ok && r.Redactor.Contains(text) {
			r.journal.warn(phase.Name, fmt.Sprintf("output %q holds a secret value; it is kept in the run record as it is", key))
		}
	}

	took := r.Clock.Since(started).Round(100 * time.Millisecond)

	err := r.journal.save(r.base, func(rec *record.Record) {
		p := at(rec)
		p.State, p.Ended, p.Output, p.Notes = record.Complete, r.now(), output, nil
		r.journal.note(rec, "Normal", fmt.Sprintf("phase %q complete in %s", phase.Name, took))
	})

	var tooLarge *record.TooLargeError
	if errors.As(err, &tooLarge) {
		r.journal.change(func(rec *record.Record) { at(rec).Output = nil })

		return false, r.phaseFailed(phase, at, result{err: &record.Failure{Message: err.Error(), Reason: record.ReasonTooLarge}})
	}

	if err != nil {
		return false, err
	}

	r.journal.say(Line{Phase: phase.Name, Text: fmt.Sprintf("complete in %s", took)})

	if phase == r.action.DeferPhase {
		r.params.DeferPhase.Output = output
	} else {
		r.params.Phases[phase.Name].Output = output
	}

	return true, r.mayGoOn()
}

// mayGoOn is ErrInterrupted when this process must not begin anything new.
func (r *run) mayGoOn() error {
	if r.toldToGo() {
		return ErrInterrupted
	}

	return nil
}

// phaseFailed journals the failure of a phase, or that it was cancelled.
func (r *run) phaseFailed(phase *blueprint.Phase, at func(*record.Record) *record.Phase, res result) error {
	f := failure(phase.Name, phase.Func, res)
	state := record.Failed

	var (
		cancelled errCancelled
		panicked  functions.Panic
	)

	if errors.As(res.cause, &cancelled) {
		state = record.Cancelled
	}

	if errors.As(res.err, &panicked) {
		for line := range strings.Lines(panicked.Stack) {
			r.journal.say(Line{Phase: phase.Name, Text: strings.TrimRight(line, "\n"), Warning: true})
		}
	}

	if output, ok := res.value.(map[string]any); ok && !res.abandoned {
		r.journal.change(func(rec *record.Record) { at(rec).Output = output })
	}

	return r.endPhase(at, state, f)
}

func (r *run) endPhase(at func(*record.Record) *record.Phase, state record.State, f *record.Failure) error {
	r.journal.say(Line{Phase: f.Phase, Text: string(state) + ": " + f.Message, Warning: true})

	for _, line := range f.LastLogs {
		r.journal.say(Line{Phase: f.Phase, Text: "  " + line, Warning: true})
	}

	return r.journal.insist(r.base, func(rec *record.Record) {
		p := at(rec)
		p.State, p.Ended, p.Error = state, r.now(), f

		if state == record.Failed && rec.Error == nil && p != rec.Defer {
			rec.Error = f.Clone()
		}

		if state == record.Failed && p == rec.Defer {
			rec.DeferError = f.Clone()
		}

		for i := range rec.Phases {
			if p != rec.Defer && rec.Phases[i].State == record.Pending {
				rec.Phases[i].State = record.Skipped
			}
		}

		r.journal.note(rec, "Warning", fmt.Sprintf("phase %q %s: %s", f.Phase, state, f.Message))
	})
}

// endPhases marks what will not run any more. A phase that an earlier runner left running and that nobody takes up has failed.
func (r *run) endPhases() error {
	changed := false

	var left []record.Phase

	r.journal.read(func(rec *record.Record) {
		for i := range rec.Phases {
			changed = changed || rec.Phases[i].State == record.Pending || rec.Phases[i].State == record.Running

			if rec.Phases[i].State == record.Running {
				left = append(left, rec.Phases[i])
			}
		}
	})

	for i := range left {
		r.abandon(&left[i])
	}

	if !changed {
		return r.mayGoOn()
	}

	err := r.journal.insist(r.base, func(rec *record.Record) {
		for i := range rec.Phases {
			p := &rec.Phases[i]

			switch p.State {
			case record.Pending:
				p.State = record.Skipped
			case record.Running:
				p.State, p.Ended = record.Failed, r.now()
				if rec.Error == nil {
					p.State = record.Cancelled
				}

				p.Error = &record.Failure{
					Phase: p.Name, Func: p.Func, Reason: record.ReasonInterrupted,
					Message: fmt.Sprintf("the runner pod died while phase %q ran, and its successor did not begin it again", p.Name),
				}
			}
		}
	})
	if err != nil {
		return err
	}

	return r.mayGoOn()
}
