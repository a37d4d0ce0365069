package blueprinttest

import (
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Run is a blueprint that an end-to-end test has gone through, with its actions in order.
type Run struct {
	Blueprint string
	Seconds   []Took
}

// Took is how long an action took as the person at the keyboard sees it, from the command to its end.
type Took struct {
	Action  string
	Seconds float64
}

// String is the run as the page on compatibility shows it.
func (r Run) String() string {
	words := make([]string, len(r.Seconds))
	for i, took := range r.Seconds {
		words[i] = fmt.Sprintf("%s %.1f", took.Action, took.Seconds)
	}

	return strings.Join(words, ", ")
}

func (r Run) actions() []string {
	names := make([]string, len(r.Seconds))
	for i, took := range r.Seconds {
		names[i] = took.Action
	}

	return names
}

//go:embed runs.txt
var table string

var writing sync.Mutex

// Runs is the table of the blueprints that the end-to-end tests go through, by blueprint. The seconds are those of the run that
// wrote it: `KANISTER_COMPAT_UPDATE=1 hack/e2e.sh -run TestCompat`.
func Runs(tb testing.TB) map[string]Run {
	tb.Helper()

	return parse(tb, table)
}

// CheckRun fails the test when the table does not have the run with just these actions; update writes it there.
func CheckRun(tb testing.TB, run Run, update bool) {
	tb.Helper()

	if update {
		rewrite(tb, run)

		return
	}

	if want := Runs(tb)[run.Blueprint]; !slices.Equal(run.actions(), want.actions()) {
		tb.Errorf("%s ran with the actions %q, the table of runs has %q: KANISTER_COMPAT_UPDATE=1 hack/e2e.sh -run TestCompat", run.Blueprint, run.actions(), want.actions())
	}
}

func rewrite(tb testing.TB, run Run) {
	tb.Helper()
	writing.Lock()
	defer writing.Unlock()

	_, source, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(source), "runs.txt")

	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}

	runs := parse(tb, string(data))
	runs[run.Blueprint] = run

	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		fmt.Fprintf(&out, "%s: %s\n", name, runs[name])
	}

	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func parse(tb testing.TB, text string) map[string]Run {
	tb.Helper()

	runs := map[string]Run{}

	for line := range strings.Lines(text) {
		name, actions, found := strings.Cut(strings.TrimSpace(line), ": ")
		run := Run{Blueprint: name}

		for word := range strings.SplitSeq(actions, ", ") {
			action, seconds, ok := strings.Cut(word, " ")

			n, err := strconv.ParseFloat(seconds, 64)
			if !found || !ok || err != nil {
				tb.Fatalf("reading runs.txt: line %q is not `BLUEPRINT: ACTION SECONDS, …`", line)
			}

			run.Seconds = append(run.Seconds, Took{Action: action, Seconds: n})
		}

		runs[name] = run
	}

	return runs
}
