package ui

import (
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestWhatIsNotBroughtBackIsSaidOnce: it stands in the record twice, at its step and in the list of errors.
func TestWhatIsNotBroughtBackIsSaidOnce(t *testing.T) {
	r := &record.Record{
		State:      record.Failed,
		Undo:       []record.Undo{{Text: "scale deploy/a 0→1", Failed: "no"}, {Text: "scale deploy/b 0→1", Done: true}},
		UndoErrors: []string{"scale deploy/a 0→1: no", "scale deploy/old 0→1: gone"},
	}

	text := strings.Join(sayer{}.beside(r), "\n")
	for part, want := range map[string]int{"deploy/a": 1, "deploy/b": 1, "deploy/old": 1} {
		if got := strings.Count(text, part); got != want {
			t.Errorf("%s stands there %d times:\n%s", part, got, text)
		}
	}
}
