package builtin

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
)

// checks are those of the forms that arguments have: what would fail in the run fails before it.
var checks = map[spec.Form]func(any) error{spec.Duration: duration, spec.Conditions: conditions, spec.Reference: reference}

func duration(value any) error {
	text := strings.TrimSpace(fmt.Sprint(value))
	if limit, err := time.ParseDuration(text); text != "" && (err != nil || limit <= 0) {
		return fmt.Errorf("%q is no duration above zero, such as 5m or 1h30m", text)
	}

	return nil
}

func conditions(value any) error {
	if _, ok := value.(map[string]any); !ok {
		return nil // the type is wrong, which is said already
	}

	read, err := document.ReadConditions(value, unrendered)

	for _, c := range read.All() {
		if wrong := document.Check(c.Reference); wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: objectReference: %w", c.Path, wrong))
		}
	}

	return err
}

func reference(value any) error {
	if fields, ok := value.(map[string]any); !ok || len(fields) == 0 {
		return nil // of another type, or not given
	}

	read, err := document.Reference(value, unrendered)
	if err != nil {
		return err
	}

	return document.Check(read)
}

// unrendered leaves templates as they are: what they give is known in the run.
func unrendered(_, text string) (string, error) { return text, nil }
