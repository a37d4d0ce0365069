package exit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

func TestOf(t *testing.T) {
	base := errors.New("base")

	for name, test := range map[string]struct {
		err  error
		code exit.Code
		hint string
	}{
		"nil":                       {nil, exit.Done, ""},
		"any error":                 {base, exit.ToolFailed, ""},
		"coded":                     {exit.New(exit.Usage, base, "do this"), exit.Usage, "do this"},
		"coded, wrapped":            {fmt.Errorf("reading: %w", exit.New(exit.NotPermitted, base, "ask")), exit.NotPermitted, "ask"},
		"outermost wins":            {exit.New(exit.SomeFailed, exit.New(exit.Usage, base, "inner"), "outer"), exit.SomeFailed, "outer"},
		"hint of the inner":         {exit.New(exit.SomeFailed, exit.New(exit.Usage, base, "inner"), ""), exit.SomeFailed, "inner"},
		"interrupted":               {fmt.Errorf("creating: %w", context.Canceled), exit.Interrupted, ""},
		"interrupted, but coded":    {exit.New(exit.StillRunning, context.Canceled, ""), exit.StillRunning, ""},
		"first of joined, in order": {errors.Join(exit.New(exit.RunFailed, base, ""), exit.New(exit.Usage, base, "")), exit.RunFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exit.Of(test.err); got != test.code {
				t.Errorf("code %d, want %d", got, test.code)
			}

			if got := exit.HintOf(test.err); got != test.hint {
				t.Errorf("hint %q, want %q", got, test.hint)
			}

			if test.err != nil && !errors.Is(test.err, base) && !errors.Is(test.err, context.Canceled) {
				t.Error("the cause is lost")
			}
		})
	}

	if exit.New(exit.Usage, nil, "x") != nil {
		t.Error("New makes an error of nil")
	}
}

// TestDocumented: every code has its row in the page for scripts, and the page has no others.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "exit-codes.md"))
	if err != nil {
		t.Fatal(err)
	}

	rows := map[string]bool{}

	for _, line := range strings.Split(string(page), "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.ContainsAny(cells[1], "0123456789") {
			rows[strings.TrimSpace(cells[1])] = true
		}
	}

	codes := []exit.Code{exit.Done, exit.ToolFailed, exit.Usage, exit.RunFailed, exit.SomeFailed, exit.StillRunning, exit.NotPermitted, exit.Interrupted}
	for _, code := range codes {
		if !rows[fmt.Sprint(int(code))] {
			t.Errorf("docs/exit-codes.md has no row for %d", code)
		}
	}

	if len(rows) != len(codes) {
		t.Errorf("docs/exit-codes.md has %d rows, there are %d codes", len(rows), len(codes))
	}
}
