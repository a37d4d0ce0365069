package syntax_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

func TestReferences(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"plain":                                      "",
		"{{ .Time }}":                                "1:4 .Time",
		"a\n  {{ .Options.mode }}":                   "2:6 .Options.mode",
		"{{ $.Options.mode }}":                       "1:4 .Options.mode",
		"{{ . }}":                                    "1:4 .",
		`{{ index .Phases "a" }}`:                    "1:10 .Phases.a soft",
		`{{ index .Phases.a.Output "b" "c" }}`:       "1:10 .Phases.a.Output.b.c soft",
		`{{ (index .Phases "a").Output.b }}`:         "1:23 .Phases.a.Output.b",
		`{{ index .Phases .Options.x }}`:             "1:10 .Phases index | 1:18 .Options.x index",
		`{{ get .Options "a" }}`:                     "1:8 .Options.a soft",
		`{{ .Options.a | default "b" }}`:             "1:4 .Options.a default",
		`{{ default "b" .Options.a }}`:               "1:16 .Options.a default",
		`{{ if .Profile }}{{ .Profile.X }}{{ end }}`: "1:7 .Profile tested if | 1:21 .Profile.X conditional [Profile]",
		`{{ if not .A }}{{ end }}`:                   "1:11 .A tested not",
		`{{ with .A.B }}{{ .C }}{{ $.D }}{{ else }}{{ .E }}{{ end }}`:       "1:9 .A.B scope with | 1:19 .A.B.C conditional [A.B] | 1:27 .D conditional [A.B] | 1:46 .E conditional [A.B]",
		`{{ range .A }}{{ .B }}{{ $.C }}{{ end }}`:                          "1:10 .A range | 1:26 .C conditional [A]",
		`{{ range $k, $v := .A }}{{ $k }}{{ $v.X }}{{ end }}`:               "1:20 .A range",
		`{{ $x := .A.B }}{{ $x.C }}`:                                        "1:10 .A.B scope | 1:20 .A.B.C",
		`{{ $x := .A }}{{ $x = .B }}{{ $x.C }}`:                             "1:10 .A scope | 1:23 .B",
		`{{ $x := 1 }}{{ with $x := .A }}{{ $x.B }}{{ end }}`:               "1:28 .A scope with | 1:28 .A scope | 1:36 .A.B conditional [A,A]",
		`{{ define "t" }}{{ .X }}{{ $.Y }}{{ end }}{{ template "t" .A }}`:   "1:59 .A scope template | 1:20 .A.X conditional | 1:28 .A.Y conditional",
		`{{ define "t" }}{{ .X }}{{ end }}`:                                 "",
		`{{ define "t" }}{{ template "t" . }}{{ end }}{{ template "t" . }}`: "1:62 . scope template | 1:33 . conditional template",
		`{{ and .A .B.C }}`:                                                 "1:8 .A and | 1:11 .B.C conditional and [A]",
		`{{ and .A (or .B .C) }}`:                                           "1:8 .A and | 1:15 .B conditional or [A] | 1:18 .C conditional or [A,B]",
		`{{ printf "%s" (toJson .A) | upper }}`:                             "1:24 .A toJson",
		`{{ if eq .A.B "x" }}{{ else if .C }}{{ .D }}{{ end }}`:             "1:10 .A.B eq | 1:32 .C conditional tested if [A.B] | 1:40 .D conditional [A.B,C]",
		`{{/* .A */}}{{ ".B" }}`:                                            "",
	} {
		refs, err := syntax.References(text)
		if err != nil {
			t.Errorf("References(%q): %v", text, err)

			continue
		}

		var got []string

		for _, r := range refs {
			s := fmt.Sprintf("%d:%d %s", r.Line, r.Column, r)

			for word, is := range map[string]bool{"soft": r.Soft, "scope": r.Scope} {
				if is {
					s += " " + word
				}
			}

			if r.Conditional {
				s += " conditional"
			}

			if r.Tested {
				s += " tested"
			}

			if r.Function != "" {
				s += " " + r.Function
			}

			if len(r.Guards) > 0 {
				s += " [" + strings.Join(r.Guards, ",") + "]"
			}

			got = append(got, s)
		}

		if strings.Join(got, " | ") != want {
			t.Errorf("References(%q)\n got %s\nwant %s", text, strings.Join(got, " | "), want)
		}
	}
}

// The places of many references are found in time that grows with the text, not with its square.
func TestReferencesOfALongText(t *testing.T) {
	t.Parallel()

	started := time.Now()

	refs, err := syntax.References(strings.Repeat("{{ .Options.mode }}\n", 100_000))
	if err != nil || len(refs) != 100_000 || refs[99_999].Line != 100_000 || refs[99_999].Column != 4 {
		t.Fatalf("%d references, %v", len(refs), err)
	}

	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"a\nb {{ fromJsn . }}": `line 2, column 6: the template language has no function "fromJsn" (did you mean "fromJson"?)`,
		"{{ if }}":             "line 1: missing value for if",
		"{{ end }}":            "line 1: unexpected {{end}}",
		"x\n{{ .A":             "line 2: unclosed action",
		"{{ .A }":              `line 1: unexpected "}" in operand`,
		"{{ \"a }}":            "line 1: unterminated quoted string",
		strings.Repeat("x", syntax.MaxText) + "{{ 1 }}": "the template has",
	} {
		err := syntax.Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse(%.40q): %v, want %q", text, err, want)
		}

		if _, ok := syntax.AsError(err); !ok {
			t.Errorf("Parse(%.40q): error of type %T", text, err)
		}
	}
}
