// Package wait holds Wait and WaitV2, which wait until objects of the cluster are in a state.
package wait

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// Wait waits by conditions with JSON paths (COMPAT §4.28).
type Wait struct{ spec.Function }

var _ = functions.Register(Wait{spec.Must("Wait")})

// Exec implements functions.Func.
func (f Wait) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	text, err := template.Render(fmt.Sprint(args["timeout"]), run.Params)
	if err != nil {
		return nil, fmt.Errorf("reading argument %q: %w", "timeout", err)
	}

	return nil, exec(ctx, run, text, args["conditions"], compilePaths)
}

// evaluation is a condition that is ready to be judged: what it renders to on an object. Its error says that it cannot be
// evaluated on the object as it is.
type evaluation func(*unstructured.Unstructured) (string, error)

// exec is what Wait and WaitV2 have in common. compile makes a condition ready; its error is one of the blueprint.
func exec(ctx context.Context, run *functions.Run, timeout string, conditions any, compile func(text string) (evaluation, error)) error {
	limit, err := time.ParseDuration(strings.TrimSpace(timeout))
	if err != nil || limit <= 0 {
		return fmt.Errorf("reading argument %q: %q is no duration greater than zero, such as 5m", "timeout", timeout)
	}

	read, err := document.ReadConditions(conditions, func(_, text string) (string, error) { return template.Render(text, run.Params) })
	if err != nil {
		return fmt.Errorf("reading argument %q: %w", "conditions", err)
	}

	w := &waiting{run: run, any: len(read.AnyOf)}

	for _, condition := range read.All() {
		if err := document.Check(condition.Reference); err != nil {
			return fmt.Errorf("reading argument %q: %s: objectReference: %w", "conditions", condition.Path, err)
		}

		evaluate, err := compile(condition.Text)
		if err != nil {
			return fmt.Errorf("reading argument %q: %s: the condition %q: %w", "conditions", condition.Path, shorten(condition.Text), err)
		}

		w.add(condition, evaluate)
	}

	return w.wait(ctx, limit)
}

const longestShown = 160

// shorten is text in one line that a message can hold.
func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")

	if runes := []rune(text); len(runes) > longestShown {
		return string(runes[:longestShown]) + "…"
	}

	return text
}
