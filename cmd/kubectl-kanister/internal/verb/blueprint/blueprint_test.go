package blueprint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/source"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
)

const good = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata:
  name: pg
actions:
  backup:
    phases:
    - func: KubeTask
      name: dump
      args:
        image: postgres:17
        command: [sh, -c, "pg_dump"]
`

const profile = `apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata:
  name: p
location: {type: s3Compliant, bucket: b, region: r}
credential:
  type: keyPair
  keyPair: {idField: id, secretField: key, secret: {name: s, namespace: demo}}
`

func TestValidate(t *testing.T) {
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: demo}\nstringData: {id: a, key: b}\n"

	for name, test := range map[string]struct {
		text   string
		strict bool
		code   exit.Code
		want   string
	}{
		"good":                {good, true, exit.Done, `valid; blueprint "pg", 1 action, 1 phase`},
		"unknown argument":    {strings.Replace(good, "command:", "comand:", 1), false, exit.Usage, `(did you mean "command"?)`},
		"unknown function":    {strings.Replace(good, "KubeTask", "KubeTsk", 1), false, exit.Usage, "bp.yaml:8:"},
		"broken template":     {strings.Replace(good, "pg_dump", "{{ .Nothing", 1), false, exit.Usage, "bp.yaml:12:"},
		"broken YAML":         {"a: [", false, exit.Usage, "bp.yaml:"},
		"nothing in it":       {"apiVersion: v1\nkind: ConfigMap\n", false, exit.Usage, "holds no Blueprint"},
		"profile":             {profile + secret, true, exit.Done, `profile "p"`},
		"profile, no Secret":  {profile, false, exit.Done, "warning: "},
		"and strict":          {profile, true, exit.Usage, "was not checked"},
		"profile, wrong keys": {strings.Replace(profile, "idField: id", "idField: ident", 1) + secret, false, exit.Usage, `no key "ident"`},
		"profile, no bucket":  {strings.Replace(profile, "bucket: b", `bucket: ""`, 1) + secret, false, exit.Usage, "location.bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())

			if err := os.WriteFile("bp.yaml", []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}

			var out, errOut bytes.Buffer

			o := &ValidateOptions{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}, Files: []string{"bp.yaml"}, Strict: test.strict}

			err := o.Run()
			if exit.Of(err) != test.code || !strings.Contains(errOut.String(), test.want) || out.Len() > 0 {
				t.Errorf("code %d (%v), stderr %q, stdout %q; want %d, %q", exit.Of(err), err, errOut.String(), out.String(), test.code, test.want)
			}
		})
	}
}

func TestValidateStdinAsJSON(t *testing.T) {
	var out, errOut bytes.Buffer

	o := &ValidateOptions{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(strings.Replace(good, "KubeTask", "KubeTsk", 1)), Out: &out, ErrOut: &errOut},
		Files:     []string{"-"}, Output: "json",
	}
	if err := o.Run(); exit.Of(err) != exit.Usage || !strings.Contains(out.String(), `"suggestion": "KubeTask"`) {
		t.Errorf("%v, stdout %q", err, out.String())
	}
}

func TestGetBlueprints(t *testing.T) {
	held := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: "demo", Labels: map[string]string{source.LabelKind: source.KindBlueprint}},
		Data:       map[string]string{"blueprint.yaml": good},
	}
	broken := held.DeepCopy()
	broken.Name, broken.Data["blueprint.yaml"] = "broken", "actions: 1"
	custom := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cr.kanister.io/v1alpha1", "kind": "Blueprint", "metadata": map[string]any{"name": "upstream", "namespace": "demo"},
		"actions": map[string]any{"backup": map[string]any{"phases": []any{map[string]any{
			"func": "KubeTask", "name": "a", "args": map[string]any{"image": "i", "command": []any{"x"}},
		}}}},
	}}
	kinds := map[schema.GroupVersionResource]string{{Group: "cr.kanister.io", Version: "v1alpha1", Resource: "blueprints"}: "BlueprintList"}

	get := func(t *testing.T, args ...string) (string, error) {
		t.Helper()

		var out bytes.Buffer

		kube, dyn := fake.NewClientset(held, broken), dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, custom)
		o := &GetOptions{
			IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out}, Output: ui.NewOutput(), Sources: source.New(kube, dyn, nil),
			Session: &session.Session{Kubernetes: kube, Dynamic: dyn, Namespace: "demo"},
		}
		cmd := &cobra.Command{}
		o.AddFlags(cmd)

		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}

		o.Names = cmd.Flags().Args()
		err := o.Run(t.Context())

		return out.String(), err
	}

	table, err := get(t)
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"builtin/volumes", "configmap/mine", "configmap/broken", "blueprint/upstream", "built in", "cluster"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}

	for _, word := range []string{"configmap/mine", "mine", "builtin/volumes"} {
		if text, err := get(t, word, "-o", "yaml"); err != nil || !strings.Contains(text, "kind: Blueprint") {
			t.Errorf("get %s: %v, %q", word, err, text)
		}
	}

	if _, err := get(t, "nothing"); exit.Of(err) != exit.Usage {
		t.Errorf("get nothing: %v", err)
	}
}

// TestBuiltInsAreValid: what the plugin carries passes its own validation.
func TestBuiltInsAreValid(t *testing.T) {
	files, err := filepath.Glob("../../../../../manifests/blueprints/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %d files", err, len(files))
	}

	var out bytes.Buffer

	o := &ValidateOptions{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out}, Files: files}
	if err := o.Run(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
