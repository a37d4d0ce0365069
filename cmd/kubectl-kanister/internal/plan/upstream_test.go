package plan_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/blueprinttest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

var update = flag.Bool("update", false, "rewrite the golden table and docs/compatibility.md")

// faults are what validation says of upstream's blueprints, and why each is the blueprint's own: by file, a part of the finding and the
// reason. A finding that is not here is a fault of ours.
var faults = map[string][]fault{
	"aws-rds-postgres/aws-rds-postgres-blueprint.yaml": {
		{`"restoreSnapshots" is used by action "delete" too`, "two actions share a phase name, which kanctl validate refuses as well"},
	},
	"elasticsearch-incremental/elasticsearch-incremental-blueprint.yaml": {
		{`"setupNodeKeyStore" is used by action "backup" too`, "three actions share a phase name, which kanctl validate refuses as well"},
	},
	"postgres-ha-hook/postgres-ha-hook-blueprint.yaml": {
		{"the condition is constant", "the path has no single braces, so upstream, too, compares a fixed text and never waits"},
	},
	"postgres/postgres-start-stop-blueprint.yaml": {
		{"the deferPhase cannot be rendered", "its deferPhase deletes the pod of a phase that may have failed; the run then says both"},
	},
	"postgresql-wale/postgresql-wale-blueprint.yaml": {
		{`when option "pitr" is not given`, "it asks for .Options where it means .Options.pitr: any other option breaks its restore"},
	},
}

type fault struct{ finding, reason string }

// verdict is what was found out about one blueprint.
type verdict struct {
	file        string
	validation  []string // findings with reasons
	unexplained []string
	plans       []string // one line an action
	failed      []string
}

// Every blueprint of upstream's loads, validates and plans, for targets such as its README has.
func TestUpstreamBlueprints(t *testing.T) {
	files := blueprinttest.Upstream(t)
	if len(files) != 38 {
		t.Errorf("found %d blueprints, want 38", len(files))
	}

	var (
		table    strings.Builder
		verdicts []verdict
	)

	for _, file := range slices.Sorted(maps.Keys(files)) {
		v := judge(t, file, files[file])
		verdicts = append(verdicts, v)

		for _, finding := range v.unexplained {
			t.Errorf("%s: %s", file, finding)
		}

		for _, failure := range v.failed {
			t.Errorf("%s does not plan: %s", file, failure)
		}

		fmt.Fprintf(&table, "%s\n", file)

		for _, line := range slices.Concat(v.validation, v.plans) {
			fmt.Fprintf(&table, "  %s\n", line)
		}
	}

	golden(t, filepath.Join("testdata", "upstream.txt"), table.String())
	golden(t, pagePath, page(t, verdicts))
}

func golden(t *testing.T, path, got string) {
	t.Helper()

	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}

		return
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is out of date (go test ./cmd/kubectl-kanister/internal/plan -update), -file +now:\n%s", path, diff)
	}
}

func judge(t *testing.T, file string, data []byte) verdict {
	t.Helper()

	v := verdict{file: file}

	bp, err := blueprint.Load(file, data)
	if err != nil {
		v.unexplained = append(v.unexplained, "loading: "+err.Error())

		return v
	}

	for _, finding := range blueprint.Validate(bp, blueprint.Options{Functions: builtin.Functions()}) {
		v.finding(finding)
	}

	for _, name := range slices.Sorted(maps.Keys(bp.Actions)) {
		p, err := plan.New(t.Context(), upstreamRequest(bp, name))
		if err != nil {
			v.failed = append(v.failed, fmt.Sprintf("%s: %v", name, err))

			continue
		}

		v.plans = append(v.plans, planLine(name, p))
	}

	return v
}

func (v *verdict) finding(f blueprint.Finding) {
	text := fmt.Sprintf("%s %s: %s", f.Severity, f.Path, f.Message)

	for _, fault := range faults[v.file] {
		if strings.Contains(f.Message, fault.finding) {
			v.validation = append(v.validation, fmt.Sprintf("%s (%s)", text, fault.reason))

			return
		}
	}

	v.unexplained = append(v.unexplained, text)
}

func planLine(action string, p *plan.Plan) string {
	words := []string{}

	for _, phase := range p.Phases {
		words = append(words, phase.Func)
	}

	line := fmt.Sprintf("%s of a %s: %s", action, p.Input.Target.Kind, strings.Join(words, ", "))
	if p.Defer != nil {
		line += "; defer " + p.Defer.Func
	}

	var later []string

	for _, phase := range p.Phases {
		for _, argument := range phase.Unknown {
			later = append(later, phase.Name+"."+argument)
		}
	}

	if len(later) > 0 {
		line += "; known in the run: " + strings.Join(later, " ")
	}

	return line
}

// upstreamRequest makes up the target that an action asks for, with all that the blueprint's README makes its user set.
func upstreamRequest(bp *blueprint.Blueprint, name string) plan.Request {
	action := bp.Actions[name]
	secret := corev1.Secret{Data: map[string][]byte{}}
	config := corev1.ConfigMap{Data: map[string]string{}}

	for _, key := range keysOf(action, `(?:\.Data|Data) *\\?"([\w.-]+)\\?"|\.Data\.(\w+)`) {
		secret.Data[key], config.Data[key] = []byte("value"), "value"
	}

	workload := params.WorkloadParams{
		Name: "db", Namespace: "apps", Pods: []string{"db-0", "db-1"}, Containers: [][]string{{"main"}, {"main"}},
		PersistentVolumeClaims: map[string]map[string]string{"db-0": {"data-db-0": "/data"}, "db-1": {"data-db-1": "/data"}},
	}
	p := &params.TemplateParams{
		Time: "2026-01-02T03:04:05.000000006Z", Options: map[string]string{}, ArtifactsIn: map[string]blueprint.Artifact{},
		Secrets: map[string]corev1.Secret{}, ConfigMaps: map[string]corev1.ConfigMap{}, Object: upstreamObject(),
		Profile: &params.Profile{
			Location:   blueprint.Location{Type: blueprint.LocationS3, Bucket: "backups", Region: "eu-central-1"},
			Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "secret"}},
		},
	}

	for _, key := range keysOf(action, `\.Secrets\.(\w+)`) {
		p.Secrets[key] = secret
	}

	for _, key := range keysOf(action, `\.ConfigMaps\.(\w+)`) {
		p.ConfigMaps[key] = config
	}

	for _, artifact := range keysOf(action, `\.ArtifactsIn\.(\w+)`) {
		values := map[string]string{}
		for _, key := range keysOf(action, `\.ArtifactsIn\.`+artifact+`\.KeyValue\.(\w+)`) {
			values[key] = "value"
		}

		p.ArtifactsIn[artifact] = blueprint.Artifact{KeyValue: values, KopiaSnapshot: `{"id":"k1"}`}
	}

	target := blueprint.ObjectReference{APIVersion: "v1", Group: "example.org", Resource: "databases", Kind: "database", Name: "db", Namespace: "apps"}

	switch {
	case plan.Mentions(action, ".StatefulSet"):
		target.Group, target.Resource, target.Kind = "apps", "statefulsets", "statefulset"
		p.StatefulSet = (*params.StatefulSetParams)(&workload)
	case plan.Mentions(action, ".DeploymentConfig"):
		target.Group, target.Resource, target.Kind = "apps.openshift.io", "deploymentconfigs", "deploymentconfig"
		p.DeploymentConfig = (*params.DeploymentConfigParams)(&workload)
	case plan.Mentions(action, ".Deployment"):
		target.Group, target.Resource, target.Kind = "apps", "deployments", "deployment"
		p.Deployment = (*params.DeploymentParams)(&workload)
	case plan.Mentions(action, ".PVC."):
		target.Group, target.Resource, target.Kind = "", "persistentvolumeclaims", "pvc"
		p.PVC = &params.PVCParams{Name: "db", Namespace: "apps"}
	case plan.ReadsNamespace(action):
		target = blueprint.ObjectReference{APIVersion: "v1", Resource: "namespaces", Kind: "namespace", Name: "apps", Namespace: "apps"}
		p.Namespace = &params.NamespaceParams{Name: "apps", Namespace: "apps"}
	}

	return plan.Request{
		Suffix: "7f3k2", Namespace: "apps", Action: name, Target: target, Blueprint: bp, Source: "file", RunnerImage: "runner:v1",
		Profile: record.ProfileOf(p.Profile), Artifacts: p.ArtifactsIn, Params: p,
	}
}

// upstreamObject has what the blueprints read of their targets.
func upstreamObject() map[string]any {
	labels := map[string]any{"app.kubernetes.io/instance": "db", "app.kubernetes.io/component": "master", "release": "db", "app": "db", "chart": "db"}

	return map[string]any{
		"metadata": map[string]any{"name": "db", "namespace": "apps", "labels": labels, "annotations": map[string]any{}},
		"data": map[string]any{
			"endpoints": "aHR0cDovL2V0Y2Q=", "labels": "YXBwPWV0Y2Q=", "etcdns": "ZXRjZA==",
			"postgres.instanceid": "db", "postgres.host": "db", "postgres.databases": "- shop\n", "postgres.secret": "creds", "region": "eu-central-1",
			"orgid": "o", "projectid": "p", "clustername": "c", "publickey": "k", "privatekey": "s",
		},
		"spec": map[string]any{
			"clusterName": "db", "security": map[string]any{"adminSecret": "creds"}, "nodeSets": []any{map[string]any{"name": "default", "count": 1}},
			"template": map[string]any{"spec": map[string]any{"volumes": []any{
				map[string]any{"name": "data", "persistentVolumeClaim": map[string]any{"claimName": "data"}},
			}}},
		},
	}
}

// keysOf are the distinct first groups that a pattern finds in the action.
func keysOf(action *blueprint.Action, pattern string) []string {
	found := map[string]bool{}

	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(plan.Text(action), -1) {
		for _, group := range match[1:] {
			if group != "" {
				found[group] = true
			}
		}
	}

	return slices.Sorted(maps.Keys(found))
}
