package record_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestLabelValue(t *testing.T) {
	for _, name := range []string{"", "postgres", "a", strings.Repeat("a", 63)} {
		if got := record.LabelValue(name); got != name {
			t.Errorf("LabelValue(%q) = %q, want it unchanged", name, got)
		}
	}

	seen := map[string]string{}

	for _, name := range []string{strings.Repeat("a", 64), strings.Repeat("a", 65), "a b", "a/b", "system:foo", "-", "ä", "_x_", "x.", strings.Repeat(".", 253)} {
		got := record.LabelValue(name)
		if problems := validation.IsValidLabelValue(got); len(problems) > 0 || got == "" {
			t.Errorf("LabelValue(%q) = %q: %v", name, got, problems)
		}

		if other, taken := seen[got]; taken {
			t.Errorf("LabelValue gives %q for both %q and %q", got, name, other)
		}

		seen[got] = name
	}
}
