package template_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// postgres is a run on a StatefulSet after its first phase.
func postgres() *params.TemplateParams {
	return &params.TemplateParams{
		StatefulSet: &params.StatefulSetParams{
			Name: "pg", Namespace: "demo", Pods: []string{"pg-0", "pg-1"},
			Containers:             [][]string{{"postgres", "sidecar"}, {"postgres"}},
			PersistentVolumeClaims: map[string]map[string]string{"pg-0": {"data-pg-0": "/var/lib/postgresql"}},
		},
		Time:    "2026-11-23T07:08:09.123456789Z",
		Options: map[string]string{"mode": "full"},
		Object: map[string]any{
			"metadata": map[string]any{"name": "pg", "labels": map[string]any{"app.kubernetes.io/instance": "my-pg"}},
			"spec":     map[string]any{"replicas": int64(2)},
		},
		Secrets:    map[string]corev1.Secret{"creds": {Data: map[string][]byte{"password": []byte("pa'ss<1>")}}},
		ConfigMaps: map[string]corev1.ConfigMap{"location": {Data: map[string]string{"bucket": "b"}}},
		Profile: &params.Profile{
			Location: blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Region: "us-east-1"},
			Credential: params.Credential{
				Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "it's <&>"},
			},
			RepositoryPassword: "hidden",
		},
		ArtifactsIn: map[string]blueprint.Artifact{"dump": {KeyValue: map[string]string{"path": "a/b"}}},
		Phases: map[string]*params.Phase{
			"dump": {Output: map[string]any{"version": "17", "info": map[string]any{"a": "b"}}},
			"idle": {},
		},
	}
}

func TestRender(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		text, want, fails string
	}{
		"plain text":         {text: "a { b } \x00", want: "a { b } \x00"},
		"root":               {text: "{{ .StatefulSet.Namespace }}/{{ .StatefulSet.Name }}", want: "demo/pg"},
		"pods":               {text: "{{ index .StatefulSet.Pods 1 }}", want: "pg-1"},
		"range":              {text: "{{ range .StatefulSet.Pods }} {{ . }}{{ end }}", want: " pg-0 pg-1"},
		"break":              {text: "{{ range .StatefulSet.Pods }}{{ . }}{{ break }}{{ end }}", want: "pg-0"},
		"containers":         {text: "{{ index .StatefulSet.Containers 0 1 }}", want: "sidecar"},
		"claims":             {text: "{{ range $p, $m := .StatefulSet.PersistentVolumeClaims }}{{ $p }}:{{ $m }}{{ end }}", want: "pg-0:map[data-pg-0:/var/lib/postgresql]"},
		"odd label":          {text: `{{ index .Object.metadata.labels "app.kubernetes.io/instance" }}`, want: "my-pg"},
		"secret":             {text: "{{ .Secrets.creds.Data.password | toString }}", want: "pa'ss<1>"},
		"date idiom":         {text: `{{ toDate "2006-01-02T15:04:05.999999999Z07:00" .Time | date "2006-01-02T15-04-05" }}`, want: "2026-11-23T07-08-09"},
		"output":             {text: "{{ .Phases.dump.Output.version }}", want: "17"},
		"nested output":      {text: "{{ .Phases.dump.Output.info.a }}", want: "b"},
		"artifact":           {text: "{{ .ArtifactsIn.dump.KeyValue.path }}", want: "a/b"},
		"if nil":             {text: "{{ if .Deployment }}d{{ else }}s{{ end }}", want: "s"},
		"index option":       {text: `[{{ index .Options "zz" }}]`, want: "[]"},
		"index object":       {text: `{{ index .Object "zz" }}`, want: "<no value>"},
		"quote":              {text: `{{ .StatefulSet.Name | quote | upper }}`, want: `"PG"`},
		"env":                {text: `[{{ env "HOME" }}{{ expandenv "a${HOME}b$PATH" }}]`, want: "[ab]"},
		"json":               {text: "{{ toJson .Profile }}", want: `{"Location":{"type":"s3Compliant","bucket":"b","endpoint":"","prefix":"","region":"us-east-1"},"Credential":{"Type":"keyPair","KeyPair":{"ID":"id","Secret":"it\u0027s \u003c\u0026\u003e"},"Secret":null,"KopiaServerSecret":null},"SkipSSLVerify":false}`},
		"json nil":           {text: "{{ toJson .Deployment }}", want: "null"},
		"define":             {text: `{{ define "x" }}<{{ . }}>{{ end }}{{ template "x" .StatefulSet.Name }}`, want: "<pg>"},
		"number":             {text: "{{ .Object.spec.replicas }}", want: "2"},
		"pointer":            {text: "{{ .PVC }}", want: "<nil>"},
		"trim":               {text: "a {{- /* c */ -}} b", want: "ab"},
		"superset":           {text: `{{ (fromJson "{\"a\":1}").a }}`, want: "1"},
		"set is not shared":  {text: `{{ $_ := set .Object "x" 1 }}{{ .Object.x }}`, want: "1"},
		"nil deployment":     {text: "{{ .Deployment.Name }}", fails: ".Deployment is not set: the target is a StatefulSet"},
		"missing option":     {text: "{{ .Options.zz }}", fails: `{{ .Options.zz }}: "zz" not found in .Options, which has "mode"; an option that need not be given is read with index .Options "zz"`},
		"default idiom":      {text: `{{ default "q" .Options.zz }}`, fails: `"zz" not found`},
		"missing suggestion": {text: "{{ .Options.moed }}", fails: `(did you mean "mode"?)`},
		"missing object":     {text: "{{ .Object.spec.x }}", fails: `"x" not found in .Object.spec, which has "replicas"`},
		"missing phase":      {text: "{{ .Phases.foo.Output.x }}", fails: `"foo" not found in .Phases, which has "dump", "idle"`},
		"nil output":         {text: "{{ .Phases.idle.Output.x }}", fails: `"x" not found: .Phases.idle.Output is empty`},
		"missing artifact":   {text: "{{ .ArtifactsIn.foo.KeyValue.x }}", fails: `"foo" not found in .ArtifactsIn, which has "dump"; artifacts come from an earlier run`},
		"unknown root":       {text: "{{ .Statefulset.Name }}", fails: `there is no parameter .Statefulset`},
		"unknown root word":  {text: "{{ .Statefulset.Name }}", fails: `(did you mean "StatefulSet"?)`},
		"unknown field":      {text: "{{ .StatefulSet.Pod }}", fails: `(did you mean "Pods"?)`},
		"unknown function":   {text: "a\n{{ fromJsn 1 }}", fails: `line 2, column 4: the template language has no function "fromJsn" (did you mean "fromJson"?)`},
		"syntax":             {text: "{{ .a ", fails: "line 1: unclosed action"},
		"fips":               {text: `{{ derivePassword 1 "long" "p" "u" "s" }}`, fails: "sprig usage of 'derivePassword' is not allowed by kanister as it is not FIPS compatible"},
		"fips dsa":           {text: `{{ genPrivateKey "dsa" }}`, fails: "not FIPS compatible"},
		"look up":            {text: `{{ getHostByName "localhost" }}`, fails: "getHostByName is not supported"},
		"fail":               {text: `{{ fail "no way" }}`, fails: "no way"},
		"division":           {text: `{{ div 1 0 }}`, fails: "divide by zero"},
		"index range":        {text: `{{ index .StatefulSet.Pods 7 }}`, fails: "out of range: 7; .StatefulSet.Pods has the running pods, of which there are 2"},
		"woven names":        {text: `{{ kanister_tick }}`, fails: `no function "kanister_tick"`},
		"method":             {text: `{{ .Secrets.creds.GetName }}`, fails: "GetName"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := template.Render(tc.text, postgres())

			switch {
			case tc.fails == "" && err != nil:
				t.Fatalf("Render(%q): %v", tc.text, err)
			case tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)):
				t.Fatalf("Render(%q) = %q, %v; want an error with %q", tc.text, got, err, tc.fails)
			case got != tc.want:
				t.Fatalf("Render(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
}
