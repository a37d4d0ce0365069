//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"

	_ "github.com/kubectl-kanister/kubectl-kanister/functions/builtin"
)

// notes is a journal that remembers.
type notes struct {
	testing.TB
	functest.Notebook

	mu       sync.Mutex
	lines    []string
	messages []string
	warnings []string
	events   []string
	pods     []record.PodRef
	undo     []record.Undo
	holds    map[string]string
	progress record.Progress
}

func (n *notes) locked(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()

	f()
}

func (n *notes) Progress(p record.Progress) {
	n.locked(func() { n.progress = p; n.messages = append(n.messages, p.Message) })
}
func (n *notes) Pod(p record.PodRef)     { n.locked(func() { n.pods = append(n.pods, p) }) }
func (n *notes) Log(source, line string) { n.locked(func() { n.lines = append(n.lines, line) }) }
func (n *notes) Event(message string)    { n.locked(func() { n.events = append(n.events, message) }) }
func (n *notes) Warn(message string)     { n.locked(func() { n.warnings = append(n.warnings, message) }) }
func (n *notes) Secret(string)           {}

func (n *notes) Undo(_ context.Context, u record.Undo) error {
	n.locked(func() {
		if !slices.ContainsFunc(n.undo, func(o record.Undo) bool { return o.Key == u.Key }) {
			n.undo = append(n.undo, u)
		}
	})

	return nil
}

func (n *notes) DropUndo(_ context.Context, key string) error {
	n.locked(func() { n.undo = slices.DeleteFunc(n.undo, func(u record.Undo) bool { return u.Key == key }) })

	return nil
}

func (n *notes) HoldUndo(_ context.Context, key, why string) error {
	n.locked(func() { n.holds[key] = why })

	return nil
}

func (n *notes) FreeUndo(_ context.Context, key string) error {
	n.locked(func() { delete(n.holds, key) })

	return nil
}

func (n *notes) said(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()

	return slices.ContainsFunc(slices.Concat(n.messages, n.warnings, n.events), func(s string) bool { return strings.Contains(s, text) })
}

// call is one phase: a function called as the engine calls it, with a journal to look into.
type call struct {
	*World
	*functions.Run
	notes *notes
}

// Call prepares a phase of this name.
func (w *World) Call(phase string) *call {
	w.Helper()

	client, err := kube.NewClient(w.Config)
	if err != nil {
		w.Fatal(err)
	}

	n := &notes{TB: w.T, holds: map[string]string{}}

	return &call{World: w, notes: n, Run: &functions.Run{
		Name: "run-" + w.Namespace[len(w.Namespace)-6:], Namespace: w.Namespace, Phase: phase, Attempt: 1,
		Params: &params.TemplateParams{}, Input: &record.Input{RunnerImage: cmp.Or(os.Getenv("RUNNER_IMAGE"), "kubectl-kanister/runner:dev")},
		Kube: client, Journal: n,
		Labels: map[string]string{record.LabelRun: "run-" + w.Namespace[len(w.Namespace)-6:], record.LabelPhase: record.LabelValue(phase)},
	}}
}

// Do calls the function within a bound.
func (c *call) Do(ctx context.Context, name string, args map[string]any) (map[string]any, error) {
	c.World.Helper()

	f, ok := functions.Default.Lookup(name)
	if !ok {
		c.Fatalf("function %q is not registered", name)
	}

	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()

	began := time.Now()
	out, err := f.Exec(ctx, c.Run, args)
	c.Logf("%s %s took %s: %v", name, c.Run.Phase, time.Since(began).Round(time.Millisecond), err)

	return out, err
}

// MustDo is Do for a call that has to succeed.
func (c *call) MustDo(name string, args map[string]any) map[string]any {
	c.World.Helper()

	out, err := c.Do(c.Context(), name, args)
	if err != nil {
		c.Fatalf("%s: %v\n%+v", name, err, failureOf(err))
	}

	return out
}

// NoPods checks that the run has left no worker pod and no Secret.
func (c *call) NoPods() {
	c.World.Helper()

	for range 50 {
		left := c.Kubectl("get", "pods,secrets", "-l", record.LabelRun+"="+c.Run.Name, "-o", "name")
		if left == "" {
			return
		}

		time.Sleep(200 * time.Millisecond)
	}

	c.Errorf("left behind: %s", c.Kubectl("get", "pods,secrets", "-l", record.LabelRun+"="+c.Run.Name, "-o", "name"))
}

func failureOf(err error) *record.Failure {
	var f *record.Failure
	if errors.As(err, &f) {
		return f
	}

	return &record.Failure{Message: fmt.Sprint(err)}
}

func pretty(v any) string {
	text, _ := json.MarshalIndent(v, "", "  ")

	return string(text)
}
