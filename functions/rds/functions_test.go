package rds

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

func TestListReadsEverySpelling(t *testing.T) {
	for name, tc := range map[string]struct {
		value any
		want  []string
	}{
		"absent":      {nil, nil},
		"empty":       {"", nil},
		"no value":    {"<no value>", nil},
		"list":        {[]any{"sg-1", "sg-2"}, []string{"sg-1", "sg-2"}},
		"texts":       {[]string{"sg-1"}, []string{"sg-1"}},
		"output":      {text([]string{"sg-1", "sg-2"}), []string{"sg-1", "sg-2"}},
		"no groups":   {text(nil), nil},
		"flow":        {`["sg-1", "sg-2"]`, []string{"sg-1", "sg-2"}},
		"go":          {"[sg-1 sg-2]", []string{"sg-1", "sg-2"}},
		"commas":      {"sg-1, sg-2", []string{"sg-1", "sg-2"}},
		"lines":       {"a\nb", []string{"a", "b"}},
		"one":         {"shop", []string{"shop"}},
		"blanks kept": {[]any{"my db"}, []string{"my db"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := list("x", tc.value)
			if err != nil || strings.Join(got, "|") != strings.Join(tc.want, "|") {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}

	for _, bad := range []any{7, map[string]any{"a": 1}, "[unclosed"} {
		if got, err := list("x", bad); err == nil {
			t.Errorf("%v was read as %q", bad, got)
		}
	}
}

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
