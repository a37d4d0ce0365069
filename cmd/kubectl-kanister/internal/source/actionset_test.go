package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// TestActionSets: what stands beside an ActionSet in its file is found before what the cluster has.
func TestActionSets(t *testing.T) {
	set := "apiVersion: cr.kanister.io/v1alpha1\nkind: ActionSet\nmetadata: {generateName: x-}\nspec: {actions: [{name: backup, blueprint: cr, object: {kind: pvc, name: p}}]}\n"
	write := func(name, content string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}

		return file
	}
	r, _, _ := resolver(t, []runtime.Object{fromYAML(t, text("cr")), fromYAML(t, text("volumes"))})

	if found, err := r.ActionSetBlueprint(t.Context(), "volumes", "demo"); err != nil || found.Source != Cluster {
		t.Errorf("an ActionSet's blueprint is upstream's first: %v, %v", found, err)
	}

	if found, err := r.ActionSetBlueprint(t.Context(), "both", "demo"); err != nil || found.Source != BuiltIn {
		t.Errorf("got %v, %v", found, err)
	}

	sets, err := r.ActionSets([]string{write("set.yaml", set), write("bp.yaml", text("cr")+"---\n"+set)})
	if err != nil || len(sets) != 2 || sets[0].Spec.Actions[0].Name != "backup" {
		t.Fatalf("got %v, %v", sets, err)
	}

	if found, err := r.ActionSetBlueprint(t.Context(), "cr", "demo"); err != nil || found.Source != File {
		t.Errorf("got %v, %v", found, err)
	}

	for content, says := range map[string]string{
		text("only"): "there is no ActionSet in it",
		set + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n": "v1 Service",
		strings.Replace(set, "object:", "objekt:", 1):                     "objekt",
		strings.Replace(set, "[{name: backup,", "[{", 1):                  "spec.actions[0].name",
	} {
		if _, err := r.ActionSets([]string{write("x.yaml", content)}); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

// TestArtifactsOf: which of several actions a restore takes.
func TestArtifactsOf(t *testing.T) {
	action := func(kind, name, namespace string, artifacts bool) blueprint.ActionStatus {
		s := blueprint.ActionStatus{Object: blueprint.ObjectReference{Kind: kind, Name: name, Namespace: namespace}}
		if artifacts {
			s.Artifacts = map[string]blueprint.Artifact{"a": {}}
		}

		return s
	}
	two := []blueprint.ActionStatus{action("Deployment", "x", "n", false), action("StatefulSet", "x", "n", true), action("PersistentVolumeClaim", "x", "n", true)}
	ref := func(kind, namespace string) *blueprint.ObjectReference {
		return &blueprint.ObjectReference{Kind: kind, Name: "x", Namespace: namespace}
	}

	for name, tc := range map[string]struct {
		actions []blueprint.ActionStatus
		target  *blueprint.ObjectReference
		want    int
		says    string
	}{
		"by kind":           {two, ref("statefulset", "n"), 1, ""},
		"a claim":           {two, ref("pvc", ""), 2, ""},
		"other namespace":   {two, ref("pvc", "m"), 0, "none of them is the target"},
		"none named":        {two, nil, 0, "want one"},
		"the only one":      {two[:2], nil, 1, ""},
		"onto another":      {two[:2], ref("deployment", "m"), 1, ""},
		"none left any":     {two[:1], nil, 0, "none of its actions has left artifacts"},
		"nothing was asked": {nil, nil, 0, "none of its actions has left artifacts"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := artifactsOf("set", &blueprint.ActionSet{Status: &blueprint.ActionSetStatus{State: "complete", Actions: tc.actions}}, tc.target)
			if tc.says == "" && (err != nil || got != tc.want) || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %d, %v; want %d, %q", got, err, tc.want, tc.says)
			}
		})
	}
}
