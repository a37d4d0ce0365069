package template_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// runaways are templates that would run forever, or eat the memory of the process, if they were let.
var runaways = []string{
	`{{ range 1000000000000 }}{{ end }}`,
	`{{ range until 1000 }}{{ range until 1000 }}{{ range until 1000 }}{{ end }}{{ end }}{{ end }}`,
	`{{ range 100000000 }}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{ end }}`,
	`{{ until 1000000000 }}`,
	`{{ untilStep 0 1000000000 1 }}`,
	`{{ untilStep -9223372036854775807 9223372036854775807 1 }}`,
	`{{ until -9223372036854775808 }}`,
	`{{ seq 1 1 1000000000 }}`,
	`{{ seq 1000000000 }}`,
	`{{ repeat 1000000000 "x" }}`,
	`{{ repeat 9223372036854775807 "xx" }}`,
	`{{ repeat -1 "x" }}`,
	`{{ "x" | repeat 1000000 | replace "x" (repeat 1000000 "y") }}`,
	`{{ "x" | repeat 1000000 | replace "" (repeat 1000000 "y") }}`,
	`{{ regexReplaceAll "x" (repeat 1000000 "x") (repeat 1000000 "y") }}`,
	`{{ regexReplaceAll ".*" (repeat 10000000 "x") (repeat 1000 "${0}") }}`,
	`{{ indent 1000000 (repeat 1000000 "\n") }}`,
	`{{ nindent -1 "x" }}`,
	`{{ randAlphaNum 1000000000 }}`,
	`{{ randBytes 1000000000 }}`,
	`{{ randAscii -5 }}`,
	`{{ printf (repeat 1000 "%999999d") 1 }}`,
	`{{ printf (repeat 100 "%*d") 999999 1 }}`,
	`{{ join (repeat 1000000 "x") (until 100000) }}`,
	`{{ wrapWith 1 (repeat 1000000 "x") (repeat 1000000 "a ") }}`,
	`{{ split "" (repeat 2000000 "x") }}`,
	`{{ $x := "xxxxxxxx" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}{{ $x }}`,
	`{{ $x := "xxxxxxxx" }}{{ range until 60 }}{{ $x = cat $x $x }}{{ end }}{{ $x }}`,
	`{{ $l := list 1 2 }}{{ range until 60 }}{{ $l = list $l $l }}{{ end }}{{ $l }}`,
	`{{ $l := list 1 2 }}{{ range until 60 }}{{ $l = list $l $l }}{{ end }}{{ toJson $l }}`,
	`{{ $l := list 1 2 }}{{ range until 60 }}{{ $l = concat $l $l }}{{ end }}{{ len $l }}`,
	`{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ $d }}`,
	`{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ deepCopy $d }}`,
	`{{ $_ := set .Object "a" .Object }}{{ toJson .Object }}`,
	`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`,
	`{{ define "a" }}{{ template "b" }}{{ template "b" }}{{ end }}{{ define "b" }}{{ template "c" }}{{ template "c" }}{{ end }}` +
		`{{ define "c" }}{{ template "d" }}{{ template "d" }}{{ end }}{{ define "d" }}{{ range 100000 }}{{ template "e" }}{{ end }}{{ end }}` +
		`{{ define "e" }}{{ range 1000 }}{{ end }}{{ end }}{{ template "a" }}`,
	`{{ range until 1000 }}{{ $_ := genPrivateKey "rsa" | len }}{{ end }}`,
	`{{ html (repeat 20000000 "<") }}`,
	`{{ ` + strings.Repeat("(", 500000) + `1` + strings.Repeat(")", 500000) + ` }}`,
	strings.Repeat("{{ if true }}", 100000) + strings.Repeat("{{ end }}", 50000),
	strings.Repeat("x", 3<<20) + "{{ 1 }}",
	`{{ toDecimal (repeat 100000000 "7") }}`,
	`{{ mulf 1e308 1e308 | round 400 }}`,
}

func TestRenderIsBounded(t *testing.T) {
	for _, text := range runaways {
		// What works up to the limit is many times slower under the race detector, and has nothing to race with.
		if (race || testing.Short()) && (strings.Contains(text, "range") || strings.Contains(text, "html")) {
			continue
		}

		name := text[:min(len(text), 60)]

		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)

			go func() {
				_, err := template.Render(text, postgres())
				done <- err
			}()

			select {
			case err := <-done:
				if err == nil {
					t.Fatal("rendered without an error")
				}

				if len(err.Error()) > 4096 {
					t.Errorf("the error has %d bytes: %.200s", len(err.Error()), err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("still rendering after 30 s")
			}
		})
	}
}

func TestRenderWithinBounds(t *testing.T) {
	t.Parallel()

	for _, text := range []string{
		`{{ repeat 1000000 "x" }}`,
		`{{ range until 1000 }}{{ . }},{{ end }}`,
		`{{ range $i := until 300 }}{{ range until 300 }}.{{ end }}{{ end }}`,
		`{{ untilStep 3 0 0 }}{{ untilStep 10 0 -2 }}{{ seq 5 1 }}{{ seq 0 2 10 }}`,
		`{{ printf "%5d %-20s %[1]d" 3 "x" }}`,
		`{{ genPrivateKey "ecdsa" }}`,
		`{{ "a,b,c" | splitList "," | join ";" | quote | indent 4 }}`,
		`{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }}`,
		`{{ dict "a" (list 1 2 (dict "b" "c")) | toPrettyJson }}`,
	} {
		if _, err := template.Render(text, postgres()); err != nil {
			t.Errorf("Render(%q): %v", text, err)
		}
	}
}

func TestLimitErrorIsFound(t *testing.T) {
	t.Parallel()

	_, err := template.Render(`{{ repeat 1000000000 "x" }}`, postgres())

	var limit *syntax.LimitError
	if !errors.As(err, &limit) {
		t.Fatalf("%v is no LimitError", err)
	}
}

func FuzzRender(f *testing.F) {
	// The short ones among the runaways: TestRenderIsBounded has them all, and under coverage the slow ones outlast the fuzzer.
	for _, text := range runaways {
		if len(text) < 50 && !strings.Contains(text, "range") && !strings.Contains(text, "html") {
			f.Add(text)
		}
	}

	for _, text := range []string{
		"", "{{", "}}", "{{}}", "{{ . }}", "{{ .Options.mode }}", `{{ index .Object.metadata.labels "a/b" }}`, "{{ toJson . }}",
		`{{ with .Phases.dump }}{{ .Output.version }}{{ end }}`, `{{ $x := .Secrets }}{{ range $k, $v := $x }}{{ $k }}{{ end }}`,
		`{{ toDate "2006" .Time | date "2006" }}`, `{{- /* x */ -}}`, "{{ `raw` }}", `{{ define "x" }}{{ end }}{{ block "y" . }}{{ end }}`,
		`{{ .Profile.Credential.KeyPair.Secret | b64enc }}`, `{{ range $i, $e := .StatefulSet.Pods }}{{ if eq $i 1 }}{{ break }}{{ end }}{{ end }}`,
	} {
		f.Add(text)
	}

	f.Fuzz(func(t *testing.T, text string) {
		out, err := template.Render(text, postgres())
		if err == nil && len(out) > syntax.MaxOutput {
			t.Errorf("%d bytes of output", len(out))
		}

		if err == nil && !strings.Contains(text, "{{") && out != text {
			t.Errorf("plain text changed from %q to %q", text, out)
		}

		if (template.Parse(text) == nil) != (parses(text)) {
			t.Error("Parse and References disagree")
		}

		if partial, unresolved, err := template.RenderPartial(text, &params.TemplateParams{}); err == nil && unresolved && partial != text {
			t.Errorf("unresolved text changed from %q to %q", text, partial)
		}

		template.Sensitive(text)

		if err != nil && !utf8.ValidString(text) {
			_ = err.Error()
		}
	})
}

func parses(text string) bool {
	_, err := syntax.References(text)

	return err == nil || !strings.Contains(text, "{{")
}
