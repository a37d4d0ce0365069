package follow

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestReplayInOrder: what a finished run did is told in the order in which it happened, not phase by phase, and what has no time in the
// record stays where it belongs.
func TestReplayInOrder(t *testing.T) {
	begin := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	at := func(second int) *time.Time {
		moment := begin.Add(time.Duration(second) * time.Second)

		return &moment
	}
	event := func(second int, message string) record.Event {
		return record.Event{Time: *at(second), Type: "Normal", Message: message}
	}

	run := &record.Record{
		Run: runName, State: record.Cancelled, Created: begin, Started: at(1), Ended: at(9), CancelReason: "enough", Warnings: []string{"it is slow"},
		Phases: []record.Phase{
			{Name: "down", State: record.Complete, Started: at(1), Ended: at(3)},
			{Name: "nap", State: record.Cancelled, Started: at(3), Ended: at(6)},
			{Name: "up", State: record.Skipped},
		},
		Defer: &record.Phase{Name: "tidy", State: record.Complete, Started: at(6), Ended: at(7)},
		Undo:  []record.Undo{{Key: "k", Text: "scale 0→1", Done: true}},
		Events: []record.Event{
			event(2, "down: scaling 1→0"), {Time: *at(4), Type: "Warning", Message: "it is slow"},
			event(5, "cancel requested: enough"), event(8, "undo-1: scaling 0→1"), event(8, "undone: scale 0→1"),
		},
	}

	var got []string
	for _, e := range changes(ref, nil, run, *at(60)) {
		got = append(got, text(e))

		if e.Time.After(*run.Ended) {
			t.Errorf("%s is told at %s, after the end of the run", text(e), e.Time)
		}
	}

	want := []string{
		"attached", "runStarted", "phaseStarted down", "note down: scaling 1→0", "phaseEnded down complete", "phaseStarted nap", "warning it is slow",
		"note cancelling: enough", "phaseEnded nap cancelled", "phaseEnded up skipped", "phaseStarted tidy", "phaseEnded tidy complete",
		"note undo-1: scaling 0→1", "note undone: scale 0→1",
	}
	if !slices.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}
