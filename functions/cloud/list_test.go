package cloud

import (
	"strings"
	"testing"
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
		"output":      {"- sg-1\n- sg-2\n", []string{"sg-1", "sg-2"}},
		"no groups":   {"[]\n", nil},
		"flow":        {`["sg-1", "sg-2"]`, []string{"sg-1", "sg-2"}},
		"go":          {"[sg-1 sg-2]", []string{"sg-1", "sg-2"}},
		"commas":      {"sg-1, sg-2", []string{"sg-1", "sg-2"}},
		"lines":       {"a\nb", []string{"a", "b"}},
		"one":         {"shop", []string{"shop"}},
		"blanks kept": {[]any{"my db"}, []string{"my db"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := List("x", tc.value)
			if err != nil || strings.Join(got, "|") != strings.Join(tc.want, "|") {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}

	for _, bad := range []any{7, map[string]any{"a": 1}, "[unclosed"} {
		if got, err := List("x", bad); err == nil {
			t.Errorf("%v was read as %q", bad, got)
		}
	}
}
