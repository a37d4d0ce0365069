package record

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestObjectName(t *testing.T) {
	seen := map[string][]string{}

	for _, parts := range [][]string{
		{"backup-postgres-7f3k2", "takeDump"}, {"backup-postgres-7f3k2", "takedump"}, {"backup-postgres-7f3k2", "take-dump"}, {"a", "b.c"}, {"a", "b-c"}, {"a", "b_c"},
		{"ä"}, {"ö"}, {""}, {strings.Repeat("x", 80), "a"}, {strings.Repeat("x", 80), "b"}, {"run", "phase", "0"}, {"run", "phase", "1"}, {"-a-"}, {"a"},
	} {
		name := ObjectName(parts...)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("%q: %q is no label: %v", parts, name, problems)
		}

		if name != ObjectName(parts...) {
			t.Errorf("%q: not the same twice", parts)
		}

		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q are both %q", other, parts, name)
		}

		seen[name] = parts
	}

	if got := ObjectName("run", "phase", "0"); got != "run-phase-0" {
		t.Errorf("a plain name became %q", got)
	}
}
