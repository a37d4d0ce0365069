package template_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// sprig2 are the functions of the sprig that upstream has, 2.22 (COMPAT §2.2).
const sprig2 = `abbrev abbrevboth add add1 ago append atoi b32dec b32enc b64dec b64enc base biggest buildCustomCert camelcase cat ceil clean
coalesce compact concat contains date dateInZone dateModify date_in_zone date_modify decryptAES deepCopy deepEqual default derivePassword
dict dir div empty encryptAES env expandenv ext fail first float64 floor genCA genPrivateKey genSelfSignedCert genSignedCert
getHostByName has hasKey hasPrefix hasSuffix hello htmlDate htmlDateInZone indent initial initials int int64 isAbs join kebabcase keys kindIs
kindOf last list lower max merge mergeOverwrite min mod mul nindent nospace now omit pick pluck plural prepend quote randAlpha randAlphaNum
randAscii randNumeric regexFind regexFindAll regexMatch regexReplaceAll regexReplaceAllLiteral regexSplit repeat replace rest reverse round
semver semverCompare set sha1sum sha256sum shuffle slice snakecase sortAlpha split splitList splitn squote sub substr swapcase ternary title
toDate toDecimal toJson toPrettyJson toString toStrings trim trimAll trimPrefix trimSuffix trimall trunc tuple typeIs typeIsLike typeOf uniq
unixEpoch unset until untilStep untitle upper urlJoin urlParse uuidv4 values without wrap wrapWith`

func TestUpstreamFunctionsAreThere(t *testing.T) {
	t.Parallel()

	for _, name := range strings.Fields(sprig2) {
		if !slices.Contains(syntax.FunctionNames(), name) {
			t.Errorf("there is no function %q", name)
		}
	}
}

// TestUpstreamExamples: what upstream documents and its blueprints write, beyond the cases of TestRender (COMPAT §2, §8.1).
func TestUpstreamExamples(t *testing.T) {
	t.Parallel()

	phase := func(secret string) *params.Phase {
		return &params.Phase{Secrets: map[string]corev1.Secret{"pg": {Data: map[string][]byte{"postgres-password": []byte(secret)}}}, Output: map[string]any{"n": "1"}}
	}
	deployment := &params.TemplateParams{
		Deployment: &params.DeploymentParams{
			Name: "web", Namespace: "demo", Pods: []string{"web-10", "web-2"}, Containers: [][]string{{"a"}, {"a"}},
			PersistentVolumeClaims: map[string]map[string]string{"web-10": {"odd.claim-1": "/mnt/x y"}, "web-2": {}},
		},
		Phases: map[string]*params.Phase{"odd-name": phase("o'dd\"$x"), "dump": phase("b")}, DeferPhase: phase("c"),
		Options: map[string]string{"a.b/c": "odd", "empty": ""}, PodLabels: map[string]string{"l": "v"},
		Object: map[string]any{"data": map[string]any{"k": "c2VjcmV0"}, "items": []any{int64(1), true, nil, 1.5}},
	}
	web := &params.TemplateParams{
		Deployment:     &params.DeploymentParams{Name: "web", Namespace: "demo", Pods: []string{"web-1"}},
		Secrets:        map[string]corev1.Secret{"aws": {Data: map[string][]byte{"aws_access_key_id": []byte("AKID")}}},
		ConfigMaps:     map[string]corev1.ConfigMap{"location": {Data: map[string]string{"path": "s3://b/p"}}},
		ArtifactsIn:    map[string]blueprint.Artifact{"snap": {KopiaSnapshot: `{"id":"k1"}`, KeyValue: map[string]string{"backup-id": "b1"}}},
		PodAnnotations: map[string]string{"a": "w"}, PodOverride: map[string]any{"serviceAccountName": "sa"}, Time: "2026-11-23T07:08:09.1Z",
		Profile: &params.Profile{
			Location:   blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Endpoint: "https://s3", Prefix: "p", Region: "r"},
			Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "key"}},
		},
		RepositoryServer: &params.RepositoryServer{Name: "server", Username: "kopia", Address: "https://s:51515"},
		Phases:           map[string]*params.Phase{"silent": {}},
		Object: map[string]any{"spec": map[string]any{
			"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"image": "web:1"}}}},
		}},
	}
	claim := &params.TemplateParams{PVC: &params.PVCParams{Name: "data", Namespace: "demo"}}
	space := &params.TemplateParams{Namespace: &params.NamespaceParams{Name: "demo", Namespace: "demo"}}

	for name, tc := range map[string]struct {
		with              *params.TemplateParams
		text, want, fails string
	}{
		"first pod by name":         {with: deployment, text: "{{ index .Deployment.Pods 0 }}", want: "web-10"},
		"container of a pod":        {with: deployment, text: "{{ index .Deployment.Containers 0 0 }}", want: "a"},
		"all pods":                  {with: deployment, text: "{{ range .Deployment.Pods }}{{ . }} {{ end }}", want: "web-10 web-2 "},
		"claims of a pod":           {with: deployment, text: `{{ range $c, $p := index .Deployment.PersistentVolumeClaims "web-10" }}{{ $c }}={{ $p }}{{ end }}`, want: "odd.claim-1=/mnt/x y"},
		"claims of no pod":          {with: deployment, text: `{{ range $c, $p := index .Deployment.PersistentVolumeClaims "gone" }}x{{ end }}`, want: ""},
		"phase with odd name":       {with: deployment, text: `{{ (index .Phases "odd-name").Output.n }}`, want: "1"},
		"odd name with a dot":       {with: deployment, text: `{{ .Phases.odd-name.Output.n }}`, fails: "bad character"},
		"odd option":                {with: deployment, text: `{{ index .Options "a.b/c" }}`, want: "odd"},
		"empty option":              {with: deployment, text: `[{{ .Options.empty }}]`, want: "[]"},
		"option or default":         {with: deployment, text: `{{ index .Options "no" | default "d" }}`, want: "d"},
		"secret of a phase":         {with: deployment, text: `{{ index .Phases.dump.Secrets.pg.Data "postgres-password" | toString }}`, want: "b"},
		"secret with odd bytes":     {with: deployment, text: `{{ index (index .Phases "odd-name").Secrets.pg.Data "postgres-password" | toString }}`, want: `o'dd"$x`},
		"secret of the deferred":    {with: deployment, text: `{{ index .DeferPhase.Secrets.pg.Data "postgres-password" | toString }}`, want: "c"},
		"output of the deferred":    {with: deployment, text: `{{ .DeferPhase.Output.n }}`, want: "1"},
		"no current phase":          {with: deployment, text: `{{ if .CurrentPhase }}x{{ end }}`, want: ""},
		"base64 in the object":      {with: deployment, text: `{{ .Object.data.k | b64dec }}`, want: "secret"},
		"values of a list":          {with: deployment, text: `{{ range .Object.items }}{{ . }},{{ end }}`, want: "1,true,<no value>,1.5,"},
		"labels of the run":         {with: deployment, text: `{{ .PodLabels.l }}`, want: "v"},
		"profile that is not":       {with: deployment, text: `{{ toJson .Profile }}{{ if .Profile }}x{{ end }}`, want: "null"},
		"there are no ArtifactsOut": {with: deployment, text: `{{ .ArtifactsOut }}`, fails: "there is no parameter .ArtifactsOut"},
		"secret of the run":         {with: web, text: `{{ .Secrets.aws.Data.aws_access_key_id | toString }}`, want: "AKID"},
		"secret's bytes as text":    {with: web, text: `{{ .Secrets.aws.Data.aws_access_key_id }}`, want: "[65 75 73 68]"},
		"config map of the run":     {with: web, text: `{{ .ConfigMaps.location.Data.path }}/{{ .Deployment.Name }}`, want: "s3://b/p/web"},
		"artifact, odd key":         {with: web, text: `{{ index .ArtifactsIn.snap.KeyValue "backup-id" }}`, want: "b1"},
		"artifact, kopia snapshot":  {with: web, text: `{{ .ArtifactsIn.snap.KopiaSnapshot }}`, want: `{"id":"k1"}`},
		"annotations of the run":    {with: web, text: `{{ .PodAnnotations.a }}`, want: "w"},
		"override of the run":       {with: web, text: `{{ .PodOverride.serviceAccountName }}`, want: "sa"},
		"bucket and region":         {with: web, text: `{{ .Profile.Location.Type }} {{ .Profile.Location.Bucket }} {{ .Profile.Location.Region }}`, want: "s3Compliant b r"},
		"endpoint and prefix":       {with: web, text: `{{ .Profile.Location.Endpoint }}/{{ .Profile.Location.Prefix }} {{ .Profile.SkipSSLVerify }}`, want: "https://s3/p false"},
		"keys of the profile":       {with: web, text: `{{ .Profile.Credential.KeyPair.ID }}:{{ .Profile.Credential.KeyPair.Secret }}`, want: "id:key"},
		"profile that is":           {with: web, text: `{{ if .Profile }}x{{ end }}`, want: "x"},
		"repository server":         {with: web, text: `{{ .RepositoryServer.Name }} {{ .RepositoryServer.Username }} {{ .RepositoryServer.Address }}`, want: "server kopia https://s:51515"},
		"list in the object":        {with: web, text: `{{ (index .Object.spec.template.spec.containers 0).image }}`, want: "web:1"},
		"phase without output":      {with: web, text: `{{ .Phases.silent.Output.x }}`, fails: `"x" not found`},
		"phase that is not run yet": {with: web, text: `{{ .Phases.later.Output.x }}`, fails: `"later" not found`},
		"artifact that is not":      {with: web, text: `{{ .ArtifactsIn.none.KeyValue.x }}`, fails: `"none" not found`},
		"key of the object":         {with: web, text: `{{ .Object.spec.zz }}`, fails: `"zz" not found`},
		"nil deployment config":     {with: web, text: `{{ .DeploymentConfig.Name }}`, fails: ".DeploymentConfig is not set"},
		"time, a day later":         {with: web, text: `{{ toDate "2006-01-02T15:04:05.999999999Z07:00" .Time | date_modify "24h" | date "2006-01-02" }}`, want: "2026-11-24"},
		"claim":                     {with: claim, text: "{{ .PVC.Namespace }}/{{ .PVC.Name }}", want: "demo/data"},
		"claim has no pods":         {with: claim, text: "{{ index .Deployment.Pods 0 }}", fails: ".Deployment is not set"},
		"namespace":                 {with: space, text: "{{ .Namespace.Name }}", want: "demo"},
		"nothing at all":            {text: "{{ .Time }}{{ len .Options }}", want: "0"},
		"environment by a pipe":     {with: claim, text: `[{{ "PATH" | env }}{{ "$HOME" | expandenv }}]`, want: "[]"},
		"environment by a name":     {with: claim, text: `{{ $f := list "PATH" "HOME" }}{{ range $f }}{{ env . }}{{ end }}`, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := template.Render(tc.text, tc.with)

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
