package rds

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

func TestSuffixedIsAnIdentifier(t *testing.T) {
	run := &functions.Run{Name: "backup-shop", Namespace: "demo", Phase: "export"}

	for _, id := range []string{"shop", strings.Repeat("long", 20), strings.Repeat("a", 51) + "-bcd", "a-"} {
		got := suffixed(run, id)
		if len(got) > longestIdentifier || strings.Contains(got, "--") || strings.HasSuffix(got, "-") || got != suffixed(run, id) {
			t.Errorf("%q becomes %q", id, got)
		}
	}

	other := *run
	other.Phase = "snapshot"

	if suffixed(run, "shop") == suffixed(&other, "shop") {
		t.Error("two phases share a name")
	}

	if got := memberOf(strings.Repeat("c", 63)); len(got) > longestIdentifier || !strings.HasSuffix(got, "-instance-1") {
		t.Errorf("member %q", got)
	}
}

func TestEveryArgumentOfTheSpecIsRead(t *testing.T) {
	for _, f := range spec.All() {
		if f.Family != "rds" {
			continue
		}

		for _, arg := range f.Args {
			for _, name := range append([]string{arg.Name}, arg.Aliases...) {
				var a arguments

				value := map[spec.Type]any{spec.String: "x", spec.Strings: []any{"x"}, spec.Map: map[string]any{"x": "x"}, spec.StringMap: map[string]any{"x": "x"}}[arg.Type]
				if err := functions.Decode(f, map[string]any{name: value}, &a); err != nil {
					t.Errorf("%s %s: %v", f.ID, name, err)
				}

				if reflect.DeepEqual(a, arguments{}) {
					t.Errorf("%s does not read %q", f.ID, name)
				}
			}
		}
	}
}
