package source

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func text(name string) string {
	return "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nmetadata:\n  name: " + name + `
actions:
  backup:
    phases:
    - func: KubeTask
      name: one
      args:
        image: busybox
        command: [sh, -c, "true"]
`
}

func fromYAML(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()

	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}

	object.SetNamespace("demo")

	return object
}

// resolver has "volumes" and "both" built in.
func resolver(t *testing.T, custom []runtime.Object, objects ...runtime.Object) (*Resolver, *fake.Clientset, *dynamicfake.FakeDynamicClient) {
	t.Helper()

	kube := fake.NewClientset(objects...)
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		{Group: "cr.kanister.io", Version: "v1alpha1", Resource: "blueprints"}: "BlueprintList",
		{Group: "cr.kanister.io", Version: "v1alpha1", Resource: "profiles"}:   "ProfileList",
		{Group: "cr.kanister.io", Version: "v1alpha1", Resource: "actionsets"}: "ActionSetList",
	}, custom...)

	return &Resolver{
		Kubernetes: kube, Dynamic: dyn, Stdin: strings.NewReader(text("from-stdin")),
		BuiltIn: func(name string) ([]byte, bool) {
			return []byte(text(name)), name == "volumes" || name == "both"
		},
		BuiltInNames: func() []string { return []string{"both", "volumes"} },
	}, kube, dyn
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "demo"}, Data: data}
}

func TestBlueprint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.yaml")
	if err := os.WriteFile(file, []byte(text("from-file")), 0o600); err != nil {
		t.Fatal(err)
	}

	r, _, _ := resolver(t, []runtime.Object{fromYAML(t, text("cr")), fromYAML(t, text("cm"))},
		configMap("both", map[string]string{"blueprint.yaml": text("from-cm-both")}),
		configMap("cm", map[string]string{"blueprint.yaml": text("from-cm"), "README": "hello"}),
		configMap("single", map[string]string{"odd.txt": text("from-single")}),
		configMap("several", map[string]string{"a": "1", "b": "2"}),
		configMap("broken", map[string]string{"blueprint.yaml": strings.Replace(text("x"), "KubeTask", "KubeTusk", 1)}),
	)

	for word, want := range map[string]string{
		file: "from-file (file)", "-": "from-stdin (file)",
		"volumes": "volumes (built in)", "both": "both (built in)", "builtin/both": "both (built in)",
		"configmap/both": "from-cm-both (configmap)", "cm": "from-cm (configmap)", "cm/demo/single": "from-single (configmap)",
		"cr": "cr (cluster)", "blueprint/cm": "cm (cluster)",
	} {
		found, err := r.Blueprint(t.Context(), word, "demo")
		if err != nil {
			t.Errorf("Blueprint(%q): %v", word, err)

			continue
		}

		if got := found.Name + " (" + found.Source + ")"; got != want {
			t.Errorf("Blueprint(%q) = %s, want %s", word, got, want)
		}
	}

	for word, says := range map[string][]string{
		"nowhere":           {`"nowhere"`, "built in: both, volumes", "configmap demo/nowhere", "blueprint.cr.kanister.io demo/nowhere"},
		"./nowhere.yaml":    {"nowhere.yaml", "no such file"},
		"builtin/nowhere":   {"both, volumes"},
		"configmap/nowhere": {`configmaps "nowhere" not found`},
		"blueprint/nowhere": {`"nowhere" not found`},
		"dir/nowhere":       {"./dir/nowhere"},
		"several":           {"several", "blueprint.yaml", `["a" "b"]`},
		"broken":            {"configmap demo/broken, key blueprint.yaml", "KubeTusk", "KubeTask"},
	} {
		_, err := r.Blueprint(t.Context(), word, "demo")
		if exit.Of(err) != exit.Usage {
			t.Errorf("Blueprint(%q) = %v, exit code %d", word, err, exit.Of(err))

			continue
		}

		for _, part := range says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("Blueprint(%q) says %q, not %q", word, err, part)
			}
		}
	}
}

// TestBlueprintForbidden: what may not be read does not hide what comes later, and is not reported as missing.
func TestBlueprintForbidden(t *testing.T) {
	r, kube, _ := resolver(t, []runtime.Object{fromYAML(t, text("cr"))})
	kube.PrependReactor("get", "configmaps", func(action k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "x", errors.New("no"))
	})

	if found, err := r.Blueprint(t.Context(), "cr", "demo"); err != nil || found.Source != Cluster {
		t.Errorf("got %v, %v", found, err)
	}

	if _, err := r.Blueprint(t.Context(), "nowhere", "demo"); exit.Of(err) != exit.NotPermitted || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("got %v", err)
	}
}

// TestNamedBlueprintReadsNoFile: an annotation in the cluster does not make the plugin read files of the user's machine.
func TestNamedBlueprintReadsNoFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.yaml")
	if err := os.WriteFile(file, []byte(text("from-file")), 0o600); err != nil {
		t.Fatal(err)
	}

	r, _, _ := resolver(t, nil)

	for _, word := range []string{file, "-", "./b.yaml"} {
		if _, err := r.NamedBlueprint(t.Context(), word, "demo"); err == nil {
			t.Errorf("NamedBlueprint(%q) found something", word)
		}
	}
}

func held(t *testing.T, name string, change func(*record.Record)) *corev1.ConfigMap {
	t.Helper()

	r := &record.Record{
		SchemaVersion: record.SchemaVersion, Run: name, Namespace: "demo", Action: "backup", State: record.Complete, Profile: "s3",
		Created: time.Unix(1, 0), Blueprint: record.BlueprintInfo{Name: "volumes", Source: BuiltIn},
		Target:    blueprint.ObjectReference{Kind: "statefulset", Name: "db", Namespace: "demo"},
		Artifacts: map[string]blueprint.Artifact{"data": {KeyValue: map[string]string{"path": name}}},
	}
	if change != nil {
		change(r)
	}

	data, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}

	data[record.KeyBlueprint] = text("kept")

	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "demo", Labels: record.Labels(r), CreationTimestamp: metav1.NewTime(r.Created)}, Data: data,
	}
}

func at(seconds int64) func(*record.Record) {
	return func(r *record.Record) { r.Created = time.Unix(seconds, 0) }
}

func and(changes ...func(*record.Record)) func(*record.Record) {
	return func(r *record.Record) {
		for _, change := range changes {
			change(r)
		}
	}
}

const actionSet = `apiVersion: cr.kanister.io/v1alpha1
kind: ActionSet
metadata: {name: backup-1, namespace: demo}
spec:
  actions:
  - name: backup
    blueprint: pg
    object: {kind: StatefulSet, name: db, namespace: demo}
    profile: {name: s3, namespace: kanister}
    options: {a: b}
status:
  state: STATE
  actions:
  - name: backup
    blueprint: pg
    object: {kind: StatefulSet, name: db, namespace: demo}
    artifacts: {dump: {keyValue: {path: /x}}}
`

// asPrinted is a record as get prints it.
func asPrinted(t *testing.T, kind string) string {
	t.Helper()

	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(held(t, "printed", nil).Data[record.KeyRecord]), &object); err != nil {
		t.Fatal(err)
	}

	object["apiVersion"], object["kind"], object["restorable"] = "kanister.io/v1", kind, "yes"
	object["metadata"] = map[string]any{"name": object["run"], "namespace": object["namespace"], "creationTimestamp": "2026-11-23T07:00:00Z"}
	delete(object, "run")
	delete(object, "namespace")

	raw, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}

	return string(raw)
}

func TestFrom(t *testing.T) {
	failed := func(r *record.Record) { r.State, r.Error = record.Failed, &record.Failure{Message: "disk full"} }
	running := func(r *record.Record) { r.State = record.Running }
	deletes := func(run string) func(*record.Record) {
		return func(r *record.Record) { r.Action, r.From, r.Artifacts = "delete", run, nil }
	}
	r, _, _ := resolver(t, []runtime.Object{fromYAML(t, strings.Replace(actionSet, "STATE", "complete", 1))},
		held(t, "one", at(1)), held(t, "two", at(2)), held(t, "gone", at(3)), held(t, "del", and(at(4), deletes("gone"))),
		held(t, "broken", and(at(5), failed)), held(t, "going", and(at(6), running)),
		held(t, "back", and(at(7), func(r *record.Record) { r.Action = "restore" })),
		held(t, "other", and(at(8), func(r *record.Record) { r.Target.Name, r.Server = "web", "ns/server" })),
		configMap("stranger", nil),
	)
	db, nobody := &blueprint.ObjectReference{Kind: "statefulset", Name: "db"}, &blueprint.ObjectReference{Kind: "deployment", Name: "x"}

	file := filepath.Join(t.TempDir(), "run.json")
	if err := os.WriteFile(file, []byte(held(t, "filed", nil).Data[record.KeyRecord]), 0o600); err != nil {
		t.Fatal(err)
	}

	printed := filepath.Join(t.TempDir(), "printed.yaml")
	if err := os.WriteFile(printed, []byte(asPrinted(t, "Backup")), 0o600); err != nil {
		t.Fatal(err)
	}

	item := "- " + strings.ReplaceAll(strings.TrimSpace(asPrinted(t, "Run")), "\n", "\n  ") + "\n"
	list := func(items string) string {
		file := filepath.Join(t.TempDir(), "list.yaml")
		if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: List\nmetadata: {}\nitems:\n"+items), 0o600); err != nil {
			t.Fatal(err)
		}

		return file
	}

	set := filepath.Join(t.TempDir(), "set.yaml")
	if err := os.WriteFile(set, []byte(strings.Replace(actionSet, "STATE", "complete", 1)), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		word   string
		target *blueprint.ObjectReference
		want   string // name of the run
		says   []string
	}{
		{word: "one", want: "one"},
		{word: "run/two", want: "two"},
		{word: "latest", target: db, want: "two"},
		{word: "backup.kanister.io/two", want: "two"},
		{word: "latest", says: []string{"more than one target", "statefulset/db"}},
		{word: file, want: "filed"},
		{word: printed, want: "printed"},
		{word: list(item), want: "printed"},
		{word: list("  []\n"), says: []string{"it is a list of 0, want one"}},
		{word: list(item + item), says: []string{"it is a list of 2, want one"}},
		{word: "actionset/backup-1", want: "actionset/backup-1"},
		{word: set, want: "actionset/backup-1"},
		{word: "latest", target: nobody, says: []string{"deployment/x", "no complete one"}},
		{word: "gone", says: []string{`deleted by run "del"`}},
		{word: "broken", says: []string{"failed: disk full"}},
		{word: "going", says: []string{"still running"}},
		{word: "stranger", says: []string{`no run record of this name in namespace "demo"`}},
		{word: "missing", says: []string{`"missing"`, `"demo"`}},
		{word: "actionset/missing", says: []string{`"missing" not found`}},
		{word: "pod/x", says: []string{`"pod"`}},
		{word: "./missing.yaml", says: []string{"missing.yaml"}},
	} {
		from, err := r.From(t.Context(), test.word, "demo", test.target)

		switch {
		case test.want != "" && err != nil:
			t.Errorf("From(%q): %v", test.word, err)
		case test.want != "":
			if from.Name != test.want || len(from.Artifacts) != 1 || from.Target.Name == "" {
				t.Errorf("From(%q) = %+v, want run %q", test.word, from, test.want)
			}
		case exit.Of(err) != exit.Usage || slices.ContainsFunc(test.says, func(part string) bool { return !strings.Contains(err.Error(), part) }):
			t.Errorf("From(%q) = %v (code %d), want %q", test.word, err, exit.Of(err), test.says)
		}
	}

	from, err := r.From(t.Context(), "actionset/backup-1", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}

	if from.Profile != "kanister/s3" || from.Blueprint != "blueprint/demo/pg" || from.Options["a"] != "b" {
		t.Errorf("ActionSet: %+v", from)
	}

	from, err = r.From(t.Context(), "other", "demo", nil)
	if err != nil || from.Server != "ns/server" {
		t.Errorf("the server is forgotten: %+v, %v", from, err)
	}

	from, err = r.From(t.Context(), "one", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}

	if from.Kept == nil || from.Kept.Name != "kept" || from.Profile != "s3" || from.Blueprint != "builtin/volumes" {
		t.Errorf("run: %+v", from)
	}
}

// TestFromLatestWithoutTarget: the latest backup of whatever there is, as long as there is only one thing. A backup that was deleted is
// none.
func TestFromLatestWithoutTarget(t *testing.T) {
	web := func(r *record.Record) { r.Target.Name = "web" }
	deletesWeb := func(r *record.Record) { r.Action, r.From, r.Artifacts, r.Target.Name = "delete", "web", nil, "web" }
	r, _, _ := resolver(t, nil, held(t, "one", at(1)), held(t, "two", at(2)), held(t, "web", and(at(3), web)), held(t, "del", and(at(4), deletesWeb)))

	if from, err := r.From(t.Context(), Latest, "demo", nil); err != nil || from.Name != "two" {
		t.Errorf("got %+v, %v", from, err)
	}

	r, _, _ = resolver(t, nil, held(t, "one", at(1)), held(t, "two", at(2)), held(t, "web", and(at(3), web)))

	_, err := r.From(t.Context(), Latest, "demo", nil)
	if exit.Of(err) != exit.Usage || !strings.Contains(exit.HintOf(err), "statefulset/web --from latest") {
		t.Errorf("got %v, hint %q", err, exit.HintOf(err))
	}
}

func TestFromUnfinishedActionSet(t *testing.T) {
	for state, says := range map[string]string{"running": "it is running", "failed": "it is failed", `""`: "has not run"} {
		r, _, _ := resolver(t, []runtime.Object{fromYAML(t, strings.Replace(actionSet, "STATE", state, 1))})
		if _, err := r.From(t.Context(), "actionset/backup-1", "demo", nil); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("state %s: %v", state, err)
		}
	}
}
