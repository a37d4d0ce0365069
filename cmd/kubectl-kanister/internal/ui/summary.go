package ui

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// sayer makes the texts that the terminal and the plain twin share.
type sayer struct {
	Palette
	commands Commands
}

// TargetName is an object as kubectl prints it: statefulset/postgres.
func TargetName(r *record.Record) string {
	if r.Target.Name == "" {
		return ""
	}

	kind := r.Target.Kind
	if kind == "" {
		kind = r.Target.Resource
	}

	return strings.ToLower(kind) + "/" + r.Target.Name
}

// facts say what a run is: "backup statefulset/postgres · blueprint volumes (built in) · profile backups".
func facts(r *record.Record) string {
	parts := []string{strings.TrimSpace(r.Action + " " + TargetName(r))}

	if r.Blueprint.Name != "" {
		text := "blueprint " + r.Blueprint.Name
		if r.Blueprint.Source != "" {
			text += " (" + r.Blueprint.Source + ")"
		}

		parts = append(parts, text)
	}

	if r.Profile != "" {
		parts = append(parts, "profile "+r.Profile)
	}

	if r.From != "" {
		parts = append(parts, "from "+r.From)
	}

	return Clean(strings.Join(parts, " · "))
}

// mark is the sign and the colour of a state.
func (s sayer) mark(state record.State) string {
	switch state {
	case record.Complete:
		return s.Good("✓")
	case record.Failed:
		return s.Bad("✗")
	case record.Cancelled, record.Skipped:
		return s.Dim("–")
	case record.Pending, record.Running:
	}

	return s.Dim("·")
}

// phaseParts say how an ended phase went.
func phaseParts(p *record.Phase) []string {
	var parts []string

	switch p.State {
	case record.Skipped:
		return []string{"skipped"}
	case record.Cancelled:
		parts = append(parts, "cancelled")
	case record.Failed:
		if p.Error != nil && p.Error.Reason != "" {
			parts = append(parts, Clean(p.Error.Reason))
		} else {
			parts = append(parts, "failed")
		}
	case record.Complete:
		parts = progressParts(lasting(p))
	case record.Pending, record.Running:
	}

	if span, known := Span(p.Started, p.Ended); known {
		parts = append(parts, Duration(span))
	}

	return parts
}

// passing are messages that say nothing once the phase is over.
var passing = regexp.MustCompile(`^(waiting|starting|deleting|pod \S+ (runs|is|starts))`)

// subject is what a progress message is about, without what was being waited for at the last: that is over.
func subject(message string) string {
	head, _, _ := strings.Cut(message, ": ")
	if passing.MatchString(head) {
		return ""
	}

	return head
}

// outcome are the lines that end a run.
func (s sayer) outcome(ref follow.Ref, r *record.Record) []string {
	span := ""
	if d, known := Span(r.Started, r.Ended); known {
		span = " in " + Duration(d)
	}

	name := "run/" + ref.Name

	switch r.State {
	case record.Complete:
		line := s.Bold(name) + " " + s.Good("complete") + span
		if next := s.next(ref, r); next != "" {
			line += "   " + next
		}

		lines := []string{line}
		if n := len(r.Warnings); n == 1 {
			lines = append(lines, s.Warn("with 1 warning, above"))
		} else if n > 1 {
			lines = append(lines, s.Warn(fmt.Sprintf("with %d warnings, above", n)))
		}

		return append(lines, s.beside(r)...)
	case record.Cancelled:
		reason := ""
		if r.CancelReason != "" {
			reason = ": " + Clean(r.CancelReason)
		}

		lines := append([]string{s.Bold(name) + " " + s.Warn("cancelled") + span + reason}, s.beside(r)...)

		return append(lines, "hint: "+s.commands.For("describe", ref))
	case record.Failed:
		lines := append([]string{s.Bold(name) + " " + s.Bad("failed") + span}, s.failure(r.Error)...)
		lines = append(lines, s.beside(r)...)

		return append(lines, "hint: "+s.hint(ref, r.Error))
	case record.Pending, record.Running, record.Skipped:
	}

	return []string{name + " " + string(r.State)}
}

// next is what one does after a complete run.
func (s sayer) next(ref follow.Ref, r *record.Record) string {
	if r.Action != "backup" {
		return ""
	}

	return "restore with: " + s.Bold("kubectl kanister restore --from "+ref.Name+s.commands.Suffix(ref.Namespace))
}

func (s sayer) hint(ref follow.Ref, f *record.Failure) string {
	if f != nil && f.Hint != "" {
		return Clean(f.Hint)
	}

	return s.commands.For("logs", ref)
}

// failure are the lines of evidence: what, why, where, and what the pod said last.
func (s sayer) failure(f *record.Failure) []string {
	if f == nil {
		return nil
	}

	var lines []string

	field := func(name, text string) {
		if text != "" {
			lines = append(lines, fmt.Sprintf("  %s %s", s.Dim(fmt.Sprintf("%-10s", name)), text))
		}
	}

	phase := Clean(f.Phase)
	if f.Func != "" {
		phase = strings.TrimSpace(phase + " (" + Clean(f.Func) + ")")
	}

	field("phase", phase)

	cause := f.Message
	if f.Reason != "" && !strings.Contains(cause, f.Reason) {
		cause += " [" + f.Reason + "]"
	}

	for i, line := range strings.Split(strings.TrimRight(cause, "\n"), "\n") {
		if i == 0 {
			field("cause", Clean(line))
		} else {
			field("", "")
			lines = append(lines, strings.Repeat(" ", 13)+Clean(line))
		}
	}

	if f.Exit != nil {
		text := fmt.Sprint(*f.Exit)
		if meaning := diagnose.ExitCode(*f.Exit); meaning != "" {
			text += ", " + meaning
		}

		field("exit code", text)
	}

	if f.Pod != nil {
		field("pod", f.Pod.Namespace+"/"+f.Pod.Name)
	}

	block := func(name string, texts []string) {
		for i, text := range texts {
			if i == 0 {
				field(name, s.Dim("| ")+Clean(text))
			} else {
				lines = append(lines, strings.Repeat(" ", 13)+s.Dim("| ")+Clean(text))
			}
		}
	}
	block("last lines", f.LastLogs)
	block("events", f.Events)

	return lines
}

// beside are the lines on what stands beside the outcome: deferPhase and undo.
func (s sayer) beside(r *record.Record) []string {
	var lines []string

	if r.DeferError != nil {
		lines = append(lines, s.Bad("deferPhase failed as well:"))
		lines = append(lines, s.failure(r.DeferError)...)
	}

	for _, undo := range r.Undo {
		switch {
		case undo.Failed != "":
			lines = append(lines, s.Bad("not brought back: ")+Clean(undo.Text)+": "+Clean(undo.Failed))
		case undo.Done:
			lines = append(lines, "brought back: "+Clean(undo.Text))
		}
	}

	for _, text := range r.OtherUndoErrors() {
		lines = append(lines, s.Bad("not brought back: ")+Clean(text))
	}

	return lines
}

// problem are the lines on what keeps a run from getting on.
func (s sayer) problem(p *diagnose.Problem) []string {
	lines := []string{s.Warn("!") + " " + Clean(p.Object) + ": " + Clean(p.Message) + " (" + p.Reason + ")"}
	if p.Hint != "" {
		lines = append(lines, "  "+s.Dim("hint: "+Clean(p.Hint)))
	}

	return lines
}

// left are the lines for a run that is left before its end.
func (s sayer) left(ref follow.Ref, last *record.Record, why error) []string {
	var start *follow.CannotStartError

	switch {
	case errors.As(why, &start):
		lines := []string{
			s.Bold("run/"+ref.Name) + " " + s.Bad("cannot start"),
			"  " + Clean(start.Problem.String()),
		}
		if start.Problem.Hint != "" {
			lines = append(lines, "hint: "+Clean(start.Problem.Hint))
		}

		return lines
	case errors.Is(why, errTimeout), errors.Is(why, follow.ErrStopped):
		word := "detached: "
		if errors.Is(why, errTimeout) {
			word = "timeout: "
		}

		return []string{
			s.Bold(word) + "run/" + ref.Name + " goes on in the cluster" + where(last),
			"  follow it   " + s.commands.For("wait", ref),
			"  its log     " + s.commands.For("logs -f", ref),
			"  stop it     " + s.commands.For("cancel", ref),
		}
	case errors.Is(why, follow.ErrNotFound):
		return []string{s.Bad("error: ") + Clean(why.Error()), "hint: kubectl kanister get runs" + s.commands.Suffix(ref.Namespace)}
	default:
		return []string{s.Bad("error: ") + Clean(why.Error()), "hint: kubectl describe job " + ref.Name + s.commands.Suffix(ref.Namespace)}
	}
}

func where(last *record.Record) string {
	if last == nil {
		return ""
	}

	for _, phase := range last.Phases {
		if phase.State == record.Running {
			return " (phase " + phase.Name + ")"
		}
	}

	return " (" + string(last.State) + ")"
}

// PhaseProgress is what a function reported of its phase, in one line, without what a phase that is over waited for at the last; ""
// for nothing.
func PhaseProgress(p *record.Phase) string { return strings.Join(progressParts(lasting(p)), " · ") }

// lasting is the progress of a phase as far as it still means something.
func lasting(p *record.Phase) *record.Progress {
	if p.Progress == nil || p.State != record.Complete {
		return p.Progress
	}

	last := *p.Progress
	last.Message = subject(last.Message)

	return &last
}

// FailureLines are the evidence of a failure, without colours and hint.
func FailureLines(f *record.Failure) []string { return sayer{}.failure(f) }
