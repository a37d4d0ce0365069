package keeper

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keep runs a shell script, which appends to the file $1, until the file has the wanted number of lines; then ends it.
func keep(t *testing.T, script string, lines int) (content string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	k := Keeper{
		Command: []string{"sh", "-c", script, "sh", file}, Pause: time.Millisecond, Grace: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	for ctx.Err() == nil {
		data, _ := os.ReadFile(file)
		if strings.Count(string(data), "\n") >= lines {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	err = <-done
	data, _ := os.ReadFile(file)
	return string(data), err
}

func TestProgramIsStartedAgain(t *testing.T) {
	for _, script := range []string{`echo run >> "$1"; exit 3`, `echo run >> "$1"; kill -9 $$`, `echo run >> "$1"`} {
		if got, err := keep(t, script, 3); err != nil || !strings.HasPrefix(got, "run\nrun\nrun\n") {
			t.Errorf("%s: %q, %v, want three runs", script, got, err)
		}
	}
}

func TestProgramEndsBySIGTERM(t *testing.T) {
	got, err := keep(t, `trap 'echo ended >> "$1"; exit 0' TERM; echo run >> "$1"; while :; do sleep 0.01; done`, 1)
	if err != nil || got != "run\nended\n" {
		t.Errorf("%q, %v, want one run that ended by itself", got, err)
	}
}

func TestProgramThatCannotStart(t *testing.T) {
	err := Keeper{Command: []string{"/no/such/program"}, Log: slog.New(slog.DiscardHandler)}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("error = %v, want one that names the program", err)
	}
}
