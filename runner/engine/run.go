package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// run is one call of Engine.Run.
type run struct {
	*Engine

	bounds  Bounds
	journal *journal

	told      context.Context // ends when this process is told to go
	interrupt context.Context // ends when it has to leave the run to a successor
	last      context.Context // ends when there will be no successor: what is left to do is done at once
	base      context.Context // ends when the journal is lost
	phases    context.Context // ends with base, and when the run is cancelled
	cancel    context.CancelCauseFunc

	action   *blueprint.Action
	params   *params.TemplateParams
	objects  map[string]map[string]blueprint.ObjectReference // phase name -> its objects, rendered
	outputs  map[string]map[string]any                       // phase name -> its output
	deferred map[string]blueprint.ObjectReference
	// unresolved: outputs of finished phases are out of reach.
	unresolved error
}

// run is the whole way of a run.
func (r *run) run() (*record.Record, error) {
	if err := r.begin(); err != nil {
		return nil, r.over(err)
	}

	launchErr := r.launch()
	if r.mustGo() {
		return nil, r.over(context.Cause(r.base))
	}

	if launchErr != nil {
		if err := r.endPhases(); err != nil {
			return nil, r.over(err)
		}
	} else if err := r.allPhases(); err != nil {
		return nil, r.over(err)
	}

	if err := r.deferPhase(); err != nil {
		return nil, r.over(err)
	}

	return r.finish()
}

// over is the error with which an unfinished run is left.
func (r *run) over(err error) error {
	if errors.Is(err, ErrInterrupted) || r.toldToGo() {
		return fmt.Errorf("leaving run %q: %w", r.Input.Run, ErrInterrupted)
	}

	return fmt.Errorf("leaving run %q unfinished: %w", r.Input.Run, err)
}

// mustGo tells whether this process has to stop here: it was told to, or it cannot journal.
func (r *run) mustGo() bool { return r.base.Err() != nil || r.toldToGo() }

// toldToGo tells whether a successor takes the run up. While that is being found out nothing new is begun.
func (r *run) toldToGo() bool {
	if r.told.Err() != nil {
		select {
		case <-r.interrupt.Done():
		case <-r.last.Done():
		}
	}

	return r.interrupt.Err() != nil
}

// begin notes that this runner works on the run now.
func (r *run) begin() error {
	r.Redactor.Public(r.Input.Run, r.Input.Namespace, r.Input.Target.Name, r.Input.Target.Namespace, r.Input.Action, r.Input.Blueprint.Name)

	attempt := 0

	r.journal.read(func(rec *record.Record) {
		if rec.CancelReason != "" { // an earlier runner has seen the request
			r.cancel(errCancelled{reason: rec.CancelReason})
		}
	})

	err := r.journal.insist(r.base, func(rec *record.Record) {
		rec.Attempts++
		rec.State, rec.Runner = record.Running, r.Pod
		attempt = rec.Attempts

		if rec.Started == nil {
			rec.Started = r.now()
		}

		if attempt > 1 {
			r.journal.note(rec, "Warning", fmt.Sprintf("runner pod %d takes the run over", attempt))
		} else {
			r.journal.note(rec, "Normal", "run started")
		}
	})

	text := fmt.Sprintf("run %s: action %q on %s %s/%s, blueprint %q", r.Input.Run, r.Input.Action, r.Input.Target.Kind,
		r.Input.Target.Namespace, r.Input.Target.Name, r.Input.Blueprint.Name)
	if attempt > 1 {
		text += fmt.Sprintf(", taken over by runner pod %d", attempt)
	}

	r.journal.say(Line{Text: text})

	return err
}

func (r *run) now() *time.Time {
	now := r.Clock.Now().UTC()

	return &now
}

// awaitCancel ends the phases when somebody asks for it.
func (r *run) awaitCancel(ctx context.Context) {
	reason, err := r.Store.CancelRequested(ctx)
	if errors.Is(err, record.ErrGone) {
		r.journal.vanished()
	}

	if err != nil {
		return
	}

	r.end(reason)
}

// end ends the phases: somebody wants it, or nobody could go on with them.
func (r *run) end(reason string) {
	r.journal.change(func(rec *record.Record) {
		if rec.CancelReason != "" {
			return
		}

		rec.CancelReason = reason
		if reason == "" {
			rec.CancelReason = "no reason given"
		}

		r.journal.note(rec, "Warning", "cancel requested: "+rec.CancelReason)
	})
	r.journal.say(Line{Text: "cancel requested: " + reason, Warning: true})
	r.cancel(errCancelled{reason: reason})
}

// awaitInterrupt leaves the run to a successor when the runner is told to go, and gives the last writes some time. Where no successor
// will come, what the run has changed is brought back by this runner, in the time that its pod has left.
func (r *run) awaitInterrupt(ctx context.Context, leave, hurry context.CancelFunc, stop context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
		return
	case <-r.told.Done():
	}

	if why := r.orphaned(ctx); why != "" {
		hurry()
		r.end(why)

		return
	}

	leave()
	r.journal.say(Line{Text: "the runner pod was told to stop: its successor goes on", Warning: true})

	timer := r.Clock.NewTimer(r.bounds.Patience + r.bounds.Eviction + lastWrite)
	defer timer.Stop()

	select {
	case <-ctx.Done():
	case <-timer.C():
		stop(ErrInterrupted)
	}
}

func (r *run) orphaned(ctx context.Context) string {
	if r.Orphaned == nil {
		return ""
	}

	ctx, cancel := context.WithTimeout(ctx, lastAsk)
	defer cancel()

	return r.Orphaned(ctx)
}

// allowed are the bounds that hold now.
func (r *run) allowed() Bounds {
	if r.last.Err() != nil {
		return r.bounds.last()
	}

	return r.bounds
}

// launch does what comes before the first phase: names and arguments are checked, the parameters are read, the objects of all
// phases are rendered (COMPAT §2.4.1). Nothing has been changed when it fails. After a restart it also brings back what templates
// see of finished phases.
func (r *run) launch() error {
	r.outputs = map[string]map[string]any{}
	r.journal.read(func(rec *record.Record) {
		for i := range rec.Phases {
			if rec.Phases[i].State == record.Complete {
				r.outputs[rec.Phases[i].Name] = rec.Phases[i].Output
			}
		}
	})

	action := r.Input.Blueprint.Actions[r.Input.Action]
	if action == nil {
		return r.launchFailed(record.ReasonParameters, "", "", fmt.Errorf("blueprint %q has no action %q", r.Input.Blueprint.Name, r.Input.Action))
	}

	r.action = action

	if err := r.matchPhases(); err != nil {
		return err
	}

	for _, phase := range r.steps() {
		function, ok := r.Lookup(phase.Func)
		if !ok {
			return r.launchFailed(record.ReasonFunction, phase.Name, phase.Func,
				fmt.Errorf("phase %q: this runner has no function %q", phase.Name, phase.Func))
		}

		if err := checkNames(function, phase.Args); err != nil {
			return r.launchFailed(record.ReasonArguments, phase.Name, phase.Func, fmt.Errorf("phase %q: %w", phase.Name, err))
		}
	}

	if err := r.readParams(); err != nil {
		return err
	}

	r.objects = map[string]map[string]blueprint.ObjectReference{}

	for _, phase := range r.steps() {
		rendered, err := template.RenderObjects(phase.Objects, r.params)
		if err != nil {
			return r.launchFailed(record.ReasonTemplate, phase.Name, phase.Func, fmt.Errorf("phase %q: %w", phase.Name, err))
		}

		if phase == action.DeferPhase {
			r.deferred = rendered
		} else {
			r.objects[phase.Name] = rendered
		}
	}

	if r.unresolved != nil {
		return r.launchFailed(record.ReasonParameters, "", "", r.unresolved)
	}

	return r.recall()
}

// launchFailed notes why the run cannot go on.
func (r *run) launchFailed(reason, phase, function string, err error) error {
	f := failure(phase, function, result{err: err})
	if f.Reason == "" {
		f.Reason = reason
	}

	r.fail(f)

	return err
}

// launchEnded is launchFailed for a guarded call: one that was cancelled is no failure.
func (r *run) launchEnded(reason string, res result) error {
	var cancelled errCancelled
	if errors.As(res.cause, &cancelled) {
		return cancelled
	}

	if r.mustGo() {
		return res.cause
	}

	f := failure("", "", res)
	if f.Reason == "" {
		f.Reason = reason
	}

	r.fail(f)

	return res.err
}

// fail sets the run's error, unless it has one already.
func (r *run) fail(f *record.Failure) {
	r.journal.change(func(rec *record.Record) {
		if rec.Error == nil {
			rec.Error = f
			r.journal.note(rec, "Warning", f.Message)
		}
	})
	r.journal.say(Line{Phase: f.Phase, Text: f.Message, Warning: true})
}

// steps are the phases of the action with the deferPhase last.
func (r *run) steps() []*blueprint.Phase {
	steps := make([]*blueprint.Phase, 0, len(r.action.Phases)+1)
	for i := range r.action.Phases {
		steps = append(steps, &r.action.Phases[i])
	}

	if r.action.DeferPhase != nil {
		steps = append(steps, r.action.DeferPhase)
	}

	return steps
}

// matchPhases writes the phases into a record that has none, and otherwise makes sure that record and blueprint agree.
func (r *run) matchPhases() error {
	var problem error

	r.journal.change(func(rec *record.Record) {
		if len(rec.Phases) == 0 {
			for _, p := range r.action.Phases {
				rec.Phases = append(rec.Phases, record.Phase{Name: p.Name, Func: p.Func, State: record.Pending})
			}
		}

		if rec.Defer == nil && r.action.DeferPhase != nil {
			rec.Defer = &record.Phase{Name: r.action.DeferPhase.Name, Func: r.action.DeferPhase.Func, State: record.Pending}
		}

		same := len(rec.Phases) == len(r.action.Phases)
		for i := 0; same && i < len(rec.Phases); i++ {
			same = rec.Phases[i].Name == r.action.Phases[i].Name && rec.Phases[i].Func == r.action.Phases[i].Func
		}

		if !same {
			problem = fmt.Errorf("the run record %q has other phases than action %q of blueprint %q: it belongs to another run",
				rec.Run, r.Input.Action, r.Input.Blueprint.Name)
		}
	})

	if problem != nil {
		return r.launchFailed(record.ReasonParameters, "", "", problem)
	}

	return nil
}

// function is that of a phase; launch has seen that it exists.
func (r *run) function(name string) functions.Func {
	f, _ := r.Lookup(name)

	return f
}
