package ui

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// JSONSchema documents the lines; it is the text of `kubectl kanister help json-lines`.
const JSONSchema = `With --progress=json every event is one JSON object on one line of standard output. Members and types may be added in
later versions; those below keep their meaning. A reader ignores what it does not know.

  time       RFC 3339, UTC
  type       attached      the run was found: action, target, blueprint, profile, state
             runStarted    a runner has begun
             phaseStarted  phase
             progress      phase, with its progress as the function reported it
             phaseEnded    phase: state is complete, failed, cancelled or skipped
             warning       message: the run may still complete, but not without a word
             note          message: a line of the run's history
             podProblem    problem: what keeps the run from getting on; each is told once
             podRecovered  problem: it is over
             disconnected  the API server does not answer; following goes on by itself
             reconnected   it answers again
             finished      record: the whole run record; the last line of a run
             detached      following was interrupted, the run goes on; the last line of a run
             timeout       --timeout is over, the run goes on; the last line of a run
             lost          message: the run cannot be followed any more; the last line of a run
  run, namespace
  phase      {name, func, defer, state, started, ended, attempts, progress, error}
  progress   {message, bytesDone, bytesTotal, bytesNew, filesDone, filesTotal, rate, percent}; bytes, bytes per second;
             a member that is missing was not reported
  problem    {object, namespace, reason, message, hint, image, fatal}
  error      {phase, func, message, reason, pod, exitCode, lastLogs, events, hint}
`

type jsonLine struct {
	Time      time.Time                  `json:"time"`
	Type      follow.Kind                `json:"type"`
	Run       string                     `json:"run"`
	Namespace string                     `json:"namespace"`
	Action    string                     `json:"action,omitempty"`
	Target    *blueprint.ObjectReference `json:"target,omitempty"`
	Blueprint *record.BlueprintInfo      `json:"blueprint,omitempty"`
	Profile   string                     `json:"profile,omitempty"`
	State     record.State               `json:"state,omitempty"`
	Phase     *jsonPhase                 `json:"phase,omitempty"`
	Message   string                     `json:"message,omitempty"`
	Problem   *diagnose.Problem          `json:"problem,omitempty"`
	Record    *record.Record             `json:"record,omitempty"`
}

type jsonPhase struct {
	Name     string           `json:"name"`
	Func     string           `json:"func"`
	Defer    bool             `json:"defer,omitempty"`
	State    record.State     `json:"state"`
	Started  *time.Time       `json:"started,omitempty"`
	Ended    *time.Time       `json:"ended,omitempty"`
	Attempts int              `json:"attempts,omitempty"`
	Progress *record.Progress `json:"progress,omitempty"`
	Error    *record.Failure  `json:"error,omitempty"`
}

// The last line of a run that is left before its end.
const (
	detached follow.Kind = "detached"
	timedOut follow.Kind = "timeout"
)

type jsonLines struct {
	encoder  *json.Encoder
	now      func() time.Time
	warnings []string
}

func newJSONLines(o Options) *jsonLines {
	encoder := json.NewEncoder(o.Streams.Out)
	encoder.SetEscapeHTML(false)

	return &jsonLines{encoder: encoder, now: o.Clock.Now, warnings: o.Warnings}
}

func (j *jsonLines) Event(e follow.Event) {
	line := jsonLine{Time: e.Time.UTC(), Type: e.Kind, Run: e.Run.Name, Namespace: e.Run.Namespace, Message: e.Message, Problem: e.Problem}

	switch e.Kind {
	case follow.Attached:
		r := e.Record
		line.Action, line.Target, line.Blueprint, line.Profile, line.State = r.Action, &r.Target, &r.Blueprint, r.Profile, r.State
	case follow.Finished:
		line.Record, line.State = e.Record, e.Record.State
	case follow.Lost:
		return // Left tells
	case follow.PhaseStarted, follow.Progress, follow.PhaseEnded, follow.RunStarted, follow.Warning, follow.Note,
		follow.PodProblem, follow.PodRecovered, follow.Disconnected, follow.Reconnected:
	}

	if p := e.Phase; p != nil {
		line.Phase = &jsonPhase{
			Name: p.Name, Func: p.Func, Defer: e.Defer, State: p.State, Started: p.Started, Ended: p.Ended,
			Attempts: p.Attempts, Progress: p.Progress, Error: p.Error,
		}
	}

	j.write(line)

	if e.Kind == follow.Attached {
		for _, text := range j.warnings {
			j.write(jsonLine{Time: e.Time.UTC(), Type: follow.Warning, Run: e.Run.Name, Namespace: e.Run.Namespace, Message: text})
		}
	}
}

func (j *jsonLines) write(line jsonLine) { _ = j.encoder.Encode(line) } // plain data; a closed pipe ends the process

func (j *jsonLines) Tick(time.Time) {}

func (j *jsonLines) Left(ref follow.Ref, last *record.Record, why error) {
	line := jsonLine{Time: j.now().UTC(), Type: follow.Lost, Run: ref.Name, Namespace: ref.Namespace, Message: why.Error()}

	var start *follow.CannotStartError

	switch {
	case errors.As(why, &start):
		line.Problem = &start.Problem
	case errors.Is(why, errTimeout):
		line.Type, line.Message = timedOut, ""
	case errors.Is(why, follow.ErrStopped):
		line.Type, line.Message = detached, ""
	}

	if last != nil {
		line.State = last.State
	}

	j.write(line)
}

func (j *jsonLines) Close() {}
