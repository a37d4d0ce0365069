package record

import (
	"fmt"
	"strings"
)

// Budget is how many bytes a run record may take as a ConfigMap, all keys together. Kubernetes' limit is 1 MiB.
const Budget = 900 << 10

// packThreshold is the length from which a single value is stored compressed.
const packThreshold = 16 << 10

// Bounds on the parts of a record that grow with the length of a run rather than with what it leaves. What is dropped is
// counted in the record and stands whole in the runner's log.
const (
	maxEvents   = 200
	maxWarnings = 200
	maxPods     = 200
	maxText     = 8 << 10
	maxLines    = 40
	maxLine     = 1 << 10
)

// TooLargeError says that a record does not fit into its ConfigMap, whatever was tried.
type TooLargeError struct {
	Size, Limit int
	// Whole tells that Size is that of the values before compression.
	Whole bool
	// Largest names the biggest value, e.g. `output "dump" of phase "export" (1.2 MiB)`.
	Largest string
	// Spill tells that values would have been put into the location, had there been one.
	Spill bool
	// Cause is why the location did not take Largest.
	Cause error
}

// Error names the biggest value and the way out.
func (e *TooLargeError) Error() string {
	what := "bytes compressed"
	if e.Whole {
		what = "bytes of values"
	}

	text := fmt.Sprintf("storing the run record: %d %s, the limit is %d", e.Size, what, e.Limit)
	if e.Largest != "" {
		text += "; the largest value is " + e.Largest
	}

	if e.Spill {
		text += "; with a profile it would be stored beside the data"
	}

	if e.Cause != nil {
		text += "; it could not be stored beside the data: " + e.Cause.Error()
	}

	return text
}

// Unwrap gives the cause.
func (e *TooLargeError) Unwrap() error { return e.Cause }

// bound shortens what may be shortened: history, never outputs or artifacts.
func bound(r *Record) {
	if extra := len(r.Events) - maxEvents; extra > 0 {
		kept := append([]Event{r.Events[0]}, r.Events[extra+1:]...)
		dropped := extra

		if first := r.Events[0]; strings.HasPrefix(first.Message, droppedEvents) {
			var before int
			if _, err := fmt.Sscanf(first.Message, droppedEvents+"%d", &before); err == nil {
				dropped += before
			}
		} else {
			dropped++
		}

		kept[0] = Event{Time: r.Events[0].Time, Type: "Normal", Message: fmt.Sprintf("%s%d; see the runner's log", droppedEvents, dropped)}
		r.Events = kept
	}

	if extra := len(r.Warnings) - maxWarnings; extra > 0 {
		r.Warnings = append(r.Warnings[:maxWarnings:maxWarnings], fmt.Sprintf("%d more warnings: see the runner's log", extra))
	}

	boundFailure(r.Error)
	boundFailure(r.DeferError)

	for i := range r.UndoErrors {
		r.UndoErrors[i] = cut(r.UndoErrors[i], maxText)
	}

	for i := range r.Undo {
		r.Undo[i].Failed = cut(r.Undo[i].Failed, maxText)
	}

	for i := range r.Events {
		r.Events[i].Message = cut(r.Events[i].Message, maxLine)
	}

	for i := range r.Warnings {
		r.Warnings[i] = cut(r.Warnings[i], maxLine)
	}

	for _, p := range r.all() {
		boundFailure(p.Error)

		if extra := len(p.Pods) - maxPods; extra > 0 {
			p.Pods = p.Pods[extra:]
		}

		if p.Progress != nil {
			progress := *p.Progress
			progress.Message = cut(progress.Message, maxLine)
			p.Progress = &progress
		}
	}
}

// droppedEvents begins the line that stands for history that was dropped.
const droppedEvents = "earlier events dropped: "

func boundFailure(f *Failure) {
	if f == nil {
		return
	}

	f.Message = cut(f.Message, maxText)
	f.Hint = cut(f.Hint, maxText)
	f.LastLogs = boundLines(f.LastLogs)
	f.Events = boundLines(f.Events)
}

func boundLines(lines []string) []string {
	lines = lines[max(0, len(lines)-maxLines):]
	for i := range lines {
		lines[i] = cut(lines[i], maxLine)
	}

	return lines
}

// cut also makes text valid UTF-8, which the API server insists on and pod logs are not.
func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}

	return Shorten(text, limit, fmt.Sprintf("… (%d bytes more in the runner's log)", len(text)-limit))
}

// all are the phases with the defer phase last.
func (r *Record) all() []*Phase {
	all := make([]*Phase, 0, len(r.Phases)+1)
	for i := range r.Phases {
		all = append(all, &r.Phases[i])
	}

	if r.Defer != nil {
		all = append(all, r.Defer)
	}

	return all
}
