package template_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

func TestRenderArgs(t *testing.T) {
	t.Parallel()

	args := map[string]any{
		"text": "{{ .StatefulSet.Name }}", "number": int64(3), "float": 1.5, "json": json.Number("7"), "yes": true, "nothing": nil,
		"list": []any{"a", "{{ .StatefulSet.Name }}", int64(1), nil, []any{"{{ .Time }}"}},
		"map": map[string]any{
			"{{ .StatefulSet.Name }}-key": "{{ .StatefulSet.Namespace }}", "inner": map[string]any{"{{ .StatefulSet.Name }}": []any{true}},
		},
		"strings":             []string{"{{ .StatefulSet.Name }}"},
		"stringMap":           map[string]string{"{{ .StatefulSet.Name }}": "x"},
		"anyMap":              map[any]any{1: "{{ .StatefulSet.Name }}", true: "x"},
		"location":            blueprint.LocationS3,
		"bytes":               []byte("{{ no }}"),
		"{{ .Options.mode }}": "a rendered name",
		"podOverride":         map[string]any{"containers": []any{map[string]any{"name": "container", "image": "{{ index .StatefulSet.Pods 0 }}"}}},
	}

	got, err := template.RenderArgs(args, postgres())
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]any{
		"text": "pg", "number": int64(3), "float": 1.5, "json": "7", "yes": true, "nothing": nil,
		"list":      []any{"a", "pg", int64(1), nil, []any{"2026-11-23T07:08:09.123456789Z"}},
		"map":       map[string]any{"pg-key": "demo", "inner": map[string]any{"pg": []any{true}}},
		"strings":   []any{"pg"},
		"stringMap": map[string]any{"pg": "x"}, "anyMap": map[string]any{"1": "pg", "true": "x"},
		"location": "s3Compliant", "bytes": []byte("{{ no }}"), "full": "a rendered name",
		"podOverride": map[string]any{"containers": []any{map[string]any{"name": "container", "image": "pg-0"}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	if args["text"] != "{{ .StatefulSet.Name }}" {
		t.Error("the arguments were changed")
	}

	if got, err := template.RenderArgs(nil, postgres()); got != nil || err != nil {
		t.Errorf("no arguments render to %v, %v", got, err)
	}

	for want, args := range map[string]map[string]any{
		`rendering command[1]: line 1, column 4: {{ .Options.zz }}: "zz" not found`: {"command": []any{"a", "{{ .Options.zz }}"}},
		`rendering podOverride.a.b: line 1`:                                         {"podOverride": map[string]any{"a": map[string]any{"b": "{{ .Nope }}"}}},
		`rendering the key "x.{{ .Nope }}"`:                                         {"x": map[string]any{"{{ .Nope }}": 1}},
		`rendering the key "m.{{ .StatefulSet.Name }}": it becomes "pg", which`:     {"m": map[string]any{"pg": 1, "{{ .StatefulSet.Name }}": 2}},
	} {
		if _, err := template.RenderArgs(args, postgres()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestRenderObjectsAndArtifacts(t *testing.T) {
	t.Parallel()

	objects, err := template.RenderObjects(map[string]blueprint.ObjectReference{
		"{{ .Time }}": {Kind: "Secret", Name: "{{ .StatefulSet.Name }}-creds", Namespace: "{{ .StatefulSet.Namespace }}"},
	}, postgres())
	if err != nil {
		t.Fatal(err)
	}

	if d := cmp.Diff(map[string]blueprint.ObjectReference{"{{ .Time }}": {Kind: "Secret", Name: "pg-creds", Namespace: "demo"}}, objects); d != "" {
		t.Error(d)
	}

	if _, err := template.RenderObjects(map[string]blueprint.ObjectReference{"s": {Name: "{{ .Phases.x.Output.y }}"}}, postgres()); err == nil ||
		!strings.Contains(err.Error(), "rendering objects.s.name:") {
		t.Errorf("error %v", err)
	}

	artifacts, err := template.RenderArtifacts(map[string]blueprint.Artifact{
		"{{ .Time }}": {KeyValue: map[string]string{"{{ .Time }}": "{{ .Phases.dump.Output.version }}"}, KopiaSnapshot: "{{ .StatefulSet.Name }}"},
		"empty":       {},
	}, postgres())
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]blueprint.Artifact{"{{ .Time }}": {KeyValue: map[string]string{"{{ .Time }}": "17"}, KopiaSnapshot: "pg"}, "empty": {}}
	if d := cmp.Diff(want, artifacts); d != "" {
		t.Error(d)
	}

	if _, err := template.RenderArtifacts(map[string]blueprint.Artifact{"a": {KeyValue: map[string]string{"k": "{{ .Nope }}"}}}, postgres()); err == nil ||
		!strings.Contains(err.Error(), "rendering outputArtifacts.a.keyValue.k:") {
		t.Errorf("error %v", err)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()

	type decoded struct {
		Text     string            `mapstructure:"text"`
		Number   int32             `mapstructure:"number"`
		Flag     bool              `mapstructure:"flag"`
		List     []string          `mapstructure:"list"`
		Map      map[string]string `mapstructure:"map"`
		Override map[string]any    `mapstructure:"override"`
		Optional *int              `mapstructure:"optional"`
	}

	for name, tc := range map[string]struct {
		args  map[string]any
		want  decoded
		fails string
	}{
		"true as text":    {map[string]any{"text": true}, decoded{Text: "1"}, ""},
		"float as text":   {map[string]any{"text": 1.5}, decoded{Text: "1.5"}, ""},
		"number as text":  {map[string]any{"text": int64(3)}, decoded{Text: "3"}, ""},
		"JSON number":     {map[string]any{"text": float64(3), "number": float64(3)}, decoded{Text: "3", Number: 3}, ""},
		"text as list":    {map[string]any{"list": "ls -l"}, decoded{List: []string{"ls -l"}}, ""},
		"empty as list":   {map[string]any{"list": ""}, decoded{List: []string{""}}, ""},
		"list":            {map[string]any{"list": []any{"a", int64(1), true}}, decoded{List: []string{"a", "1", "1"}}, ""},
		"text as number":  {map[string]any{"number": "12"}, decoded{Number: 12}, ""},
		"text as bool":    {map[string]any{"flag": "t"}, decoded{Flag: true}, ""},
		"empty as bool":   {map[string]any{"flag": ""}, decoded{}, ""},
		"yes as bool":     {map[string]any{"flag": "yes"}, decoded{}, "flag"},
		"map as text":     {map[string]any{"text": map[string]any{"a": "b"}}, decoded{}, "text"},
		"text as map":     {map[string]any{"map": "x"}, decoded{}, "map"},
		"map":             {map[string]any{"map": map[string]any{"a": int64(1)}}, decoded{Map: map[string]string{"a": "1"}}, ""},
		"free map":        {map[string]any{"override": map[string]any{"a": []any{map[string]any{"b": nil}}}}, decoded{Override: map[string]any{"a": []any{map[string]any{"b": nil}}}}, ""},
		"nil":             {map[string]any{"optional": nil, "text": nil}, decoded{}, ""},
		"other spelling":  {map[string]any{"Text": "x", "TEXT": "y"}, decoded{}, ""},
		"not of our kind": {map[string]any{"unknown": "x"}, decoded{}, ""},
		"not a number":    {map[string]any{"number": "two"}, decoded{}, "number"},
	} {
		var got decoded

		err := template.Decode(tc.args, &got)

		switch {
		case tc.fails != "":
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s: error %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}

	kept := decoded{Text: "default", Number: 5}
	if err := template.Decode(map[string]any{"text": nil}, &kept); err != nil || kept.Text != "default" || kept.Number != 5 {
		t.Errorf("defaults became %+v, %v", kept, err)
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()

	aliases := map[string]string{"mode": "statsMode"}

	got, err := template.Canonical(map[string]any{"mode": "x", "other": 1}, aliases)
	if err != nil || got["statsMode"] != "x" || got["other"] != 1 || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}

	if _, err := template.Canonical(map[string]any{"mode": "x", "statsMode": "y"}, aliases); err == nil ||
		!strings.Contains(err.Error(), `"mode" and as "statsMode"`) {
		t.Errorf("error %v", err)
	}
}

func TestRenderPartial(t *testing.T) {
	t.Parallel()

	before := postgres()
	before.Phases = map[string]*params.Phase{"dump": {Secrets: map[string]corev1.Secret{"s": {}}}}
	before.Secrets = nil

	for text, want := range map[string]struct {
		out        string
		unresolved bool
		fails      bool
	}{
		"plain":                                           {"plain", false, false},
		"{{ .StatefulSet.Name }}":                         {"pg", false, false},
		"{{ .Phases.dump.Output.x }}":                     {"{{ .Phases.dump.Output.x }}", true, false},
		"{{ .Phases.later.Output.x }}":                    {"{{ .Phases.later.Output.x }}", true, false},
		"{{ with .Phases.dump }}{{ .Output.x }}{{ end }}": {"{{ with .Phases.dump }}{{ .Output.x }}{{ end }}", true, false},
		"{{ range .Phases }}x{{ end }}":                   {"{{ range .Phases }}x{{ end }}", true, false},
		`{{ (index .Phases "dump").Output.x }}`:           {`{{ (index .Phases "dump").Output.x }}`, true, false},
		"{{ .Phases.dump.Secrets.s.Name }}":               {"", false, false},
		"{{ .Secrets.creds.Data.password | toString }}":   {"{{ .Secrets.creds.Data.password | toString }}", true, false},
		"{{ .DeferPhase.Output.x }}":                      {"{{ .DeferPhase.Output.x }}", true, false},
		"{{ .Time }}":                                     {"{{ .Time }}", true, false},
		"{{ randAlphaNum 5 }}":                            {"{{ randAlphaNum 5 }}", true, false},
		"{{ toJson . }}":                                  {"{{ toJson . }}", true, false},
		"{{ .Options.zz }}":                               {"", false, true},
		"{{ nope }}":                                      {"", false, true},
		"{{ .Deployment.Name }}":                          {"", false, true},
	} {
		out, unresolved, err := template.RenderPartial(text, before)
		if out != want.out || unresolved != want.unresolved || (err != nil) != want.fails {
			t.Errorf("RenderPartial(%q) = %q, %t, %v", text, out, unresolved, err)
		}
	}

	args, unresolved, err := template.RenderPartialArgs(map[string]any{
		"a": "{{ .StatefulSet.Name }}", "b": []any{"x", "{{ .Phases.dump.Output.x }}"}, "c": map[string]any{"{{ .Phases.later.Output.k }}": 1},
	}, before)
	if err != nil {
		t.Fatal(err)
	}

	if d := cmp.Diff([]string{"b[1]", "c.{{ .Phases.later.Output.k }}"}, unresolved); d != "" {
		t.Error(d)
	}

	if args["a"] != "pg" || args["b"].([]any)[1] != "{{ .Phases.dump.Output.x }}" {
		t.Errorf("args %v", args)
	}
}

func TestSensitive(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]bool{
		"plain":                   false,
		"{{ .StatefulSet.Name }}": false,
		"{{ toJson .Profile }}":   true,
		"{{ .Profile.Credential.KeyPair.Secret }}":                                 true,
		"{{ .Profile.Location.Bucket }}":                                           false,
		"{{ if .Profile }}x{{ end }}":                                              false,
		"{{ with .Profile }}{{ .Location.Bucket }}{{ end }}":                       false,
		"{{ with .Profile }}{{ .Credential.KeyPair.Secret }}{{ end }}":             true,
		"{{ $p := .Profile }}{{ $p.Location.Bucket }}":                             false,
		"{{ $p := .Profile }}{{ toJson $p }}":                                      true,
		"{{ .Secrets.x.Data.y | toString }}":                                       true,
		`{{ index .Phases.dump.Secrets.creds.Data "password" | toString }}`:        true,
		`{{ (index .Phases "dump").Secrets.creds.Data.password }}`:                 true,
		`{{ index .Phases .Options.mode }}`:                                        true,
		"{{ .Phases.dump.Output.version }}":                                        false,
		"{{ range .Secrets }}{{ .Data.x }}{{ end }}":                               true,
		"{{ range $k, $v := .Phases }}{{ $v.Secrets }}{{ end }}":                   true,
		"{{ $x := 1 }}{{ if true }}{{ $x = .Secrets }}{{ end }}{{ $x }}":           true,
		"{{ . | toJson }}":                                                         true,
		"{{ template \"a\" . }}{{ define \"a\" }}{{ .StatefulSet.Name }}{{ end }}": false,
		"{{ template \"a\" . }}{{ define \"a\" }}{{ .Secrets.x }}{{ end }}":        true,
		"{{ template \"a\" .Secrets }}{{ define \"a\" }}{{ .x }}{{ end }}":         true,
		"{{ .DeferPhase.Secrets.x.Data.y }}":                                       true,
		"{{ .Object.data.password | b64dec }}":                                     true,
		"{{ .Object.spec.x }}":                                                     false,
		"{{ .RepositoryServer.Username }}":                                         false,
		"{{ toJson .RepositoryServer }}":                                           true,
		"{{ and .Profile true }}":                                                  true,
		"{{ broken":                                                                true,
	} {
		if got := template.Sensitive(text); got != want {
			t.Errorf("Sensitive(%q) = %t", text, got)
		}
	}
}
