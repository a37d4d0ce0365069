package pack_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func bareBlueprint() blueprint.Blueprint {
	return blueprint.Blueprint{
		TypeMeta:   metav1.TypeMeta{APIVersion: blueprint.APIVersion, Kind: "Blueprint"},
		ObjectMeta: metav1.ObjectMeta{Name: "postgres"},
		Actions: map[string]*blueprint.Action{"backup": {
			Phases:     []blueprint.Phase{{Func: "KubeTask", Name: "dump", Args: map[string]any{"image": "postgres:17"}}},
			DeferPhase: &blueprint.Phase{Func: "ScaleWorkload", Name: "up", Args: map[string]any{"replicas": "1"}},
		}},
	}
}

func examplePlan() *plan.Plan {
	return &plan.Plan{
		Digest: "d1", BlueprintDigest: "d2",
		Input: record.Input{
			SchemaVersion: record.SchemaVersion, Run: "backup-postgres-7f3k2", Namespace: "demo", Action: "backup",
			Blueprint: bareBlueprint(), BlueprintSource: "built in", RunnerImage: "example.org/runner:v1", ImagePullPolicy: "IfNotPresent",
			ServiceAccount: "backup-postgres-7f3k2", TimeoutSeconds: 3600,
			Target: blueprint.ObjectReference{Kind: "statefulset", APIVersion: "v1", Group: "apps", Resource: "statefulsets", Name: "postgres", Namespace: "demo"},
			Profile: &record.Profile{
				Name: "minio", Location: blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Region: "eu"},
				Credential:         params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "AKID", Secret: "s3cr3t-key"}},
				RepositoryPassword: "s3cr3t-password",
			},
		},
		Phases: []plan.Phase{{Name: "dump", Func: "KubeTask"}},
		Defer:  &plan.Phase{Name: "up", Func: "ScaleWorkload"},
		Grants: []plan.Grant{
			{Namespace: "demo", Rule: rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get"}}},
			{Namespace: "demo", Rule: rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"statefulsets"}, Verbs: []string{"get"}, ResourceNames: []string{"postgres"}}},
		},
	}
}

func options() pack.Options {
	return pack.Options{Created: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), Version: "v1.2.3", TTL: 24 * time.Hour}
}

func TestPack(t *testing.T) {
	for name, change := range map[string]func(*plan.Plan, *pack.Options){
		"own-account": func(*plan.Plan, *pack.Options) {},
		"standalone":  func(_ *plan.Plan, o *pack.Options) { o.Standalone = true },
		"existing-account": func(p *plan.Plan, _ *pack.Options) {
			p.ServiceAccount, p.Input.ServiceAccount = "operator", "operator"
		},
		"file-profile": func(p *plan.Plan, _ *pack.Options) {
			p.Input.Profile = &record.Profile{Name: "backups", Location: blueprint.Location{Type: blueprint.LocationFilestore, ClaimName: "backups"}}
		},
		"pod-labels": func(p *plan.Plan, _ *pack.Options) {
			p.Input.PodLabels = map[string]string{"azure.workload.identity/use": "true", record.LabelRun: "another", "sidecar.istio.io/inject": "true"}
			p.Input.PodAnnotations = map[string]string{"team": "dba", "kubectl.kubernetes.io/default-container": "other"}
		},
		"elsewhere": func(p *plan.Plan, _ *pack.Options) {
			p.Grants = append([]plan.Grant{
				{Rule: rbacv1.PolicyRule{APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}, Verbs: []string{"get"}}},
				{Namespace: "db", Rule: rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}},
			}, p.Grants...)
		},
		"odd-names": func(p *plan.Plan, _ *pack.Options) {
			p.Input.Action, p.Input.Blueprint.Name = "back up!", strings.Repeat("x", 70)
			p.Input.Target = plainTarget("Widget", strings.Repeat("w.", 60)+"w")
			p.Input.TimeoutSeconds, p.Defer = 0, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, o := examplePlan(), options()
			change(p, &o)

			objects, err := pack.Pack(p, o)
			if err != nil {
				t.Fatal(err)
			}

			got, err := pack.YAML(objects.All())
			if err != nil {
				t.Fatal(err)
			}

			golden(t, name+".yaml", got)
		})
	}
}

func plainTarget(kind, name string) blueprint.ObjectReference {
	return blueprint.ObjectReference{Kind: strings.ToLower(kind), Name: name, Namespace: "demo", APIVersion: "v1", Group: "example.org", Resource: "widgets"}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()

	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

// TestSecretsStayInTheSecret: credentials are in the input Secret and nowhere else.
func TestSecretsStayInTheSecret(t *testing.T) {
	objects, err := pack.Pack(examplePlan(), options())
	if err != nil {
		t.Fatal(err)
	}

	for _, object := range objects.All() {
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}

		if object != objects.Input && bytes.Contains(raw, []byte("s3cr3t")) {
			t.Errorf("%T holds a credential:\n%s", object, raw)
		}
	}

	var input record.Input
	if err := json.Unmarshal(objects.Input.Data[record.InputKey], &input); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(examplePlan().Input, input); diff != "" {
		t.Errorf("the runner is told something else than was planned:\n%s", diff)
	}
}

// TestOwn: everything in the run's namespace goes with the Job but the record; elsewhere an owner would be deleted at once by
// the garbage collector together with its dependent.
func TestOwn(t *testing.T) {
	p := examplePlan()
	p.Grants = append([]plan.Grant{{Namespace: "db", Rule: p.Grants[0].Rule}}, p.Grants...)

	objects, err := pack.Pack(p, options())
	if err != nil {
		t.Fatal(err)
	}

	objects.Own(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "backup-postgres-7f3k2", Namespace: "demo", UID: "u1"}})

	for _, object := range objects.All() {
		m, ok := object.(metav1.Object)
		if !ok {
			t.Fatalf("%T has no metadata", object)
		}

		owned := len(m.GetOwnerReferences()) == 1 && m.GetOwnerReferences()[0].UID == "u1"
		if want := object != objects.Record && object != objects.Job && m.GetNamespace() == "demo"; owned != want {
			t.Errorf("%T in %q: owned %t, want %t", object, m.GetNamespace(), owned, want)
		}

		if m.GetLabels()[record.LabelRun] != p.Run() {
			t.Errorf("%T lacks the run's label", object)
		}
	}
}

func TestTooLarge(t *testing.T) {
	p := examplePlan()
	p.Input.Options = map[string]string{"a": strings.Repeat("x", 1<<20)}

	if _, err := pack.Pack(p, options()); exit.Of(err) != exit.Usage {
		t.Errorf("an input beyond a Secret's size gives %v", err)
	}
}
