package wait

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestCompile(t *testing.T) {
	t.Parallel()

	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "X",
		"data":   map[string]any{"c": "green", "n": int64(3), "yes": true, "odd": "a\"}} {{ print 1 }}`\\\n", "braces": "{{ fail \"injected\" }}"},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}, map[string]any{"type": "Done", "status": "False"}}},
	}}

	for name, test := range map[string]struct {
		compile func(string) (evaluation, error)
		text    string
		want    string
		refused string // compile's error
		fails   string // the evaluation's error
	}{
		"in quotes":          {compilePaths, `{{ if eq "{ $.data.c }" "green" }}true{{ end }}`, "true", "", ""},
		"no spaces":          {compilePaths, `{{ if eq "{$.data.c}" "green" }}true{{ end }}`, "true", "", ""},
		"bare number":        {compilePaths, `{{ gt {$.data.n} 2 }}`, "true", "", ""},
		"bare word":          {compilePaths, `{{ eq {$.data.c} "green" }}`, "true", "", ""},
		"bare boolean":       {compilePaths, `{{ {$.data.yes} }}`, "true", "", ""},
		"in text":            {compilePaths, `{$.data.yes}`, "true", "", ""},
		"in backquotes":      {compilePaths, "{{ eq `{$.data.c}` \"green\" }}", "true", "", ""},
		"filter":             {compilePaths, `{{ eq "{ $.status.conditions[?(@.type=='Ready')].status }" "True" }}`, "true", "", ""},
		"several values":     {compilePaths, `{$.status.conditions[*].status}`, "True False", "", ""},
		"empty index":        {compilePaths, `{{ if "{$.status.conditions[].type}" }}true{{ end }}`, "true", "", ""},
		"several lines":      {compilePaths, "{{ if \"{$.data.c}\" }}\n  true\n{{ else }}\n  false\n{{ end }}", "\n  true\n", "", ""},
		"odd in quotes":      {compilePaths, `{{ len "{$.data.odd}" }}`, "21", "", ""},
		"odd in text":        {compilePaths, `{$.data.odd}`, "a\"}} {{ print 1 }}`\\\n", "", ""},
		"no injection":       {compilePaths, `{$.data.braces}`, `{{ fail "injected" }}`, "", ""},
		"escaped quote":      {compilePaths, `{{ eq "\"{$.data.c}" "\"green" }}`, "true", "", ""},
		"variable":           {compilePaths, `{{ $x := "{$.data.c}" }}{{ if $x }}{{$x}}{{ end }}`, "green", "", ""},
		"no path":            {compilePaths, `{{ if "$.status.ready" }}true{{ end }}`, "true", "", ""},
		"sprig":              {compilePaths, `{{ "{$.data.c}" | upper }}`, "GREEN", "", ""},
		"missing":            {compilePaths, `{{ if "{$.none.x}" }}true{{ end }}`, "", "", "none is not found"},
		"backquote in value": {compilePaths, "{{ `{$.data.odd}` }}", "", "", "backquote"},
		"broken template":    {compilePaths, `{{ if "{$.x}" }}`, "", "does not parse", ""},
		"broken path":        {compilePaths, `{ $.x[ }`, "", `the path "$.x["`, ""},
		"open path":          {compilePaths, `{{ "{ $.x`, "", "no closing brace", ""},

		"go template":        {compileGoTemplate, `{{ range $.status.conditions }}{{ if eq .type "Ready" }}{{ .status }}{{ end }}{{ end }}`, "True", "", ""},
		"go: exists":         {compileGoTemplate, `{{ exists . "data" "c" }}{{ exists . "data" "z" }}`, "truefalse", "", ""},
		"go: missing key":    {compileGoTemplate, `{{ .data.none }}`, "<no value>", "", ""},
		"go: no sprig":       {compileGoTemplate, `{{ upper .data.c }}`, "", `function "upper" not defined`, ""},
		"go: broken":         {compileGoTemplate, `{{ if .x }}`, "", "unexpected EOF", ""},
		"go: not evaluated":  {compileGoTemplate, `{{ index .status.none 0 }}`, "", "", "index of untyped nil"},
		"go: no braces path": {compileGoTemplate, `{ $.data.c }`, "{ $.data.c }", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			evaluate, err := test.compile(test.text)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("error %v, want %q", err, test.refused)
				}

				return
			}

			if err != nil {
				t.Fatal(err)
			}

			got, err := evaluate(object)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) || strings.Contains(err.Error(), "raw data") {
					t.Errorf("error %v, want %q", err, test.fails)
				}

				return
			}

			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestMet(t *testing.T) {
	t.Parallel()

	// y and n are conditions that are met and not; those before the bar are of anyOf.
	for text, want := range map[string]bool{
		"y|": true, "n|": false, "ny|": true, "|y": true, "|n": false, "|yn": false, "n|yy": true, "y|n": true, "n|n": false,
	} {
		anyOf, allOf, _ := strings.Cut(text, "|")
		w := &waiting{any: len(anyOf)}

		for _, c := range anyOf + allOf {
			w.conditions = append(w.conditions, condition{met: c == 'y'})
		}

		if got := w.met(); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
