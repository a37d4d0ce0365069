package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// plainEvery is the least time between two progress lines of a phase.
const plainEvery = 10 * time.Second

// plain writes one line per event, with the time: for logs, pipes and CI.
type plain struct {
	sayer
	out      io.Writer
	now      func() time.Time
	many     bool
	warnings []string
	quiet    bool
	progress map[string]time.Time // run/phase -> last progress line
}

func newPlain(o Options, runs int) *plain {
	return &plain{
		sayer: sayer{commands: o.Commands}, out: o.Streams.ErrOut, now: o.Clock.Now, many: runs > 1,
		warnings: o.Warnings, quiet: o.Quiet, progress: map[string]time.Time{},
	}
}

func (p *plain) line(e follow.Event, format string, args ...any) {
	run := ""
	if p.many {
		run = e.Run.Name + ": "
	}

	fmt.Fprintf(p.out, "%s %s%s\n", e.Time.Local().Format(time.TimeOnly), run, fmt.Sprintf(format, args...))
}

func (p *plain) Event(e follow.Event) {
	switch e.Kind {
	case follow.Attached:
		if !p.quiet {
			p.line(e, "run/%s · %s", e.Run.Name, facts(e.Record))
		}

		for _, text := range p.warnings {
			p.line(e, "warning: %s", Clean(text))
		}
	case follow.RunStarted:
		p.line(e, "runner started")
	case follow.PhaseStarted:
		p.line(e, "%s: started (%s)", phaseName(e), e.Phase.Func)
	case follow.Progress:
		key := e.Run.String() + "/" + e.Phase.Name
		if last, shown := p.progress[key]; shown && p.now().Sub(last) < plainEvery {
			return
		}

		if parts := progressParts(e.Phase.Progress); len(parts) > 0 {
			p.progress[key] = p.now()
			p.line(e, "%s: %s", phaseName(e), strings.Join(parts, " · "))
		}
	case follow.PhaseEnded:
		state := string(e.Phase.State)

		parts := phaseParts(e.Phase)
		if e.Phase.State == record.Skipped || e.Phase.State == record.Cancelled {
			parts = parts[1:] // the state itself
		}

		if len(parts) > 0 {
			state += " · " + strings.Join(parts, " · ")
		}

		p.line(e, "%s: %s", phaseName(e), state)
	case follow.Warning:
		p.line(e, "warning: %s", Clean(e.Message))
	case follow.Note, follow.PodRecovered:
		p.line(e, "%s", Clean(e.Message))
	case follow.PodProblem:
		for _, text := range p.problem(e.Problem) {
			p.line(e, "%s", text)
		}
	case follow.Disconnected:
		p.line(e, "the API server does not answer (%s); the run goes on, trying again", Clean(e.Message))
	case follow.Reconnected:
		p.line(e, "the API server answers again")
	case follow.Finished:
		for _, text := range p.outcome(e.Run, e.Record) {
			p.line(e, "%s", text)
		}
	case follow.Lost:
	}
}

func phaseName(e follow.Event) string {
	if e.Defer {
		return Clean(e.Phase.Name) + " (deferPhase)"
	}

	return Clean(e.Phase.Name)
}

func (p *plain) Tick(time.Time) {}

func (p *plain) Left(ref follow.Ref, last *record.Record, why error) {
	for _, text := range p.left(ref, last, why) {
		p.line(follow.Event{Run: ref, Time: p.now()}, "%s", text)
	}
}

func (p *plain) Close() {}
