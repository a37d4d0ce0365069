package document_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	discoveryfake "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
)

func TestParse(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		text  string
		want  []string // kind/name
		error string
	}{
		"one":                {text: "apiVersion: v1\nkind: A\nmetadata: {name: a}", want: []string{"A/a"}},
		"json":               {text: `{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}}`, want: []string{"A/a"}},
		"several":            {text: "---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n# nothing\n---\n\n---\napiVersion: v1\nkind: B\nmetadata: {name: b}\n---\n", want: []string{"A/a", "B/b"}},
		"list":               {text: "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: A, metadata: {name: a}}, {apiVersion: v1, kind: ConfigMapList, items: [{apiVersion: v1, kind: B, metadata: {name: b}}]}]", want: []string{"A/a", "B/b"}},
		"items of an object": {text: "apiVersion: v1\nkind: A\nmetadata: {name: a}\nitems: [x]", want: []string{"A/a"}},
		"not rendered":       {text: "apiVersion: v1\nkind: A\nmetadata:\n  name: a-{{ .Time }}\n  namespace: \"{{ .Deployment.Namespace }}\"", want: []string{"A/a-{{ .Time }}"}},
		"empty":              {text: "\n# x\n---\n", error: "no Kubernetes document"},
		"no kind":            {text: "apiVersion: v1\nkind: A\n---\napiVersion: v1", error: "document 2: it has no kind"},
		"no version":         {text: "kind: A", error: "document 1: it has no apiVersion"},
		"no mapping":         {text: "- a\n- b", error: "document 1: it is no YAML mapping"},
		"broken":             {text: "a: [", error: "document 1"},
		"broken item":        {text: "apiVersion: v1\nkind: List\nitems: [x]", error: "item 0 of its list is no object"},
		"bad item":           {text: "apiVersion: v1\nkind: List\nitems: [{kind: A}]", error: "item 0 of its list: it has no apiVersion"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			objects, err := document.Parse(test.text)
			if test.error != "" {
				if err == nil || !strings.Contains(err.Error(), test.error) {
					t.Errorf("error %v, want %q", err, test.error)
				}

				return
			}

			var got []string
			for _, o := range objects {
				got = append(got, o.GetKind()+"/"+o.GetName())
			}

			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestGeneratedName(t *testing.T) {
	t.Parallel()

	name := document.GeneratedName("x-", "ns", "run", "phase", 0)
	if len(name) != 7 || !strings.HasPrefix(name, "x-") || name != document.GeneratedName("x-", "ns", "run", "phase", 0) {
		t.Errorf("name %q", name)
	}

	others := []string{
		document.GeneratedName("x-", "other", "run", "phase", 0), document.GeneratedName("x-", "ns", "other", "phase", 0),
		document.GeneratedName("x-", "ns", "run", "other", 0), document.GeneratedName("x-", "ns", "run", "phase", 1),
	}
	if slices.Contains(others, name) {
		t.Errorf("%q is among %q", name, others)
	}

	if long := document.GeneratedName(strings.Repeat("x", 300), "ns", "run", "phase", 0); len(long) != 63 {
		t.Errorf("a long name has %d characters", len(long))
	}
}

func same(_, text string) (string, error) { return text, nil }

func TestReference(t *testing.T) {
	t.Parallel()

	got, err := document.Reference(map[string]any{"apiVersion": "v1", "group": "apps", "resource": " deployments ", "name": 123, "namespace": nil}, same)
	if want := (blueprint.ObjectReference{APIVersion: "v1", Group: "apps", Resource: "deployments", Name: "123"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}

	failing := func(string, string) (string, error) { return "", errors.New("no such option") }

	for says, attempt := range map[string]func() error{
		"no mapping":           func() error { _, err := document.Reference("x", same); return err },
		`did you mean "name"`:  func() error { _, err := document.Reference(map[string]any{"nmae": "x"}, same); return err },
		"there are apiVersion": func() error { _, err := document.Reference(map[string]any{"zzzzzz": "x"}, same); return err },
		"name is no text":      func() error { _, err := document.Reference(map[string]any{"name": []any{}}, same); return err },
		"name: no such option": func() error { _, err := document.Reference(map[string]any{"name": "x"}, failing); return err },
		"name is empty":        func() error { return document.Check(blueprint.ObjectReference{APIVersion: "v1", Resource: "pods"}) },
		"apiVersion is empty":  func() error { return document.Check(blueprint.ObjectReference{Name: "x", Resource: "pods"}) },
		"resource is empty":    func() error { return document.Check(blueprint.ObjectReference{Name: "x", APIVersion: "v1"}) },
		"another group": func() error {
			_, err := document.GroupVersion(blueprint.ObjectReference{APIVersion: "apps/v1", Group: "batch"})
			return err
		},
		"unexpected GroupVersi": func() error {
			_, err := document.GroupVersion(blueprint.ObjectReference{APIVersion: "a/b/c"})
			return err
		},
	} {
		if err := attempt(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

func TestReadConditions(t *testing.T) {
	t.Parallel()

	condition := func(text any) map[string]any {
		return map[string]any{"condition": text, "objectReference": map[string]any{"name": "x"}}
	}

	got, err := document.ReadConditions(map[string]any{"anyOf": []any{condition("a"), condition(true)}, "allOf": []any{condition("b")}}, same)
	if err != nil {
		t.Fatal(err)
	}

	var paths []string
	for _, c := range got.All() {
		paths = append(paths, c.Path+"="+c.Text+"/"+c.Reference.Name)
	}

	if diff := cmp.Diff([]string{"anyOf[0]=a/x", "anyOf[1]=true/x", "allOf[0]=b/x"}, paths); diff != "" {
		t.Error(diff)
	}

	for says, value := range map[string]any{
		"no mapping":                     "x",
		`did you mean "anyOf"`:           map[string]any{"anyof": []any{}},
		"there is no condition":          map[string]any{"anyOf": []any{}, "allOf": nil},
		"anyOf is no list":               map[string]any{"anyOf": condition("a")},
		"anyOf[0]: it is no mapping":     map[string]any{"anyOf": []any{"a"}},
		"allOf[1]: condition is empty":   map[string]any{"allOf": []any{condition("a"), condition("")}},
		"anyOf[0]: objectReference: it ": map[string]any{"anyOf": []any{map[string]any{"condition": "a"}}},
		`did you mean "condition"`:       map[string]any{"anyOf": []any{map[string]any{"conditions": "a"}}},
	} {
		if _, err := document.ReadConditions(value, same); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

func TestResources(t *testing.T) {
	t.Parallel()

	client, _ := fake.NewClientset().Discovery().(*discoveryfake.FakeDiscovery)
	client.Resources = []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "namespaces", Kind: "Namespace"}}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
			{Name: "deployments", SingularName: "deployment", Kind: "Deployment", Namespaced: true, ShortNames: []string{"deploy"}},
			{Name: "deployments/scale", Kind: "Scale", Namespaced: true},
		}},
	}

	resources := document.NewResources(client)
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}

	got, err := resources.OfKind(t.Context(), apps.WithKind("Deployment"))
	if err != nil || got.GroupVersionResource != apps.WithResource("deployments") || !got.Namespaced || got.String() != "deployments.apps" {
		t.Errorf("%+v, %v", got, err)
	}

	if got.Namespace("", "a", "b") != "a" || got.Namespace("") != document.DefaultNamespace || got.ByGet() {
		t.Errorf("namespace of a deployment: %q, %q", got.Namespace("", "a", "b"), got.Namespace(""))
	}

	for _, reference := range []blueprint.ObjectReference{
		{APIVersion: "v1", Group: "apps", Resource: "deployments"}, {APIVersion: "apps/v1", Resource: "deployments"}, {APIVersion: "apps/v1", Kind: "Deployment"},
	} {
		if again, err := resources.OfReference(t.Context(), reference); err != nil || again != got {
			t.Errorf("%+v is %+v, %v", reference, again, err)
		}
	}

	namespaces, err := resources.OfReference(t.Context(), blueprint.ObjectReference{APIVersion: "v1", Resource: "namespaces"})
	if err != nil || namespaces.Namespace("a") != "" || !namespaces.ByGet() {
		t.Errorf("%+v, %v", namespaces, err)
	}

	for says, reference := range map[string]blueprint.ObjectReference{
		`no resource "deploy" in "apps/v1"; did you mean "deployments"?`:     {APIVersion: "apps/v1", Resource: "deploy"},
		`no resource "Deployment" in "apps/v1"; did you mean "deployments"?`: {APIVersion: "apps/v1", Resource: "Deployment"},
		`no resource "deploymets" in "apps/v1"; did you mean "deployments"?`: {APIVersion: "apps/v1", Resource: "deploymets"},
		`no resource "deployments/scale" in "apps/v1"`:                       {APIVersion: "apps/v1", Resource: "deployments/scale"},
		`no kind "deployment" in "apps/v1"; did you mean "Deployment"?`:      {APIVersion: "apps/v1", Kind: "deployment"},
		`does not serve "example.org/v1"`:                                    {APIVersion: "v1", Group: "example.org", Resource: "things"},
	} {
		_, err := resources.OfReference(t.Context(), reference)

		var unknown *document.UnknownError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}

	crds, err := document.Parse("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {group: example.org, scope: Namespaced, names: {plural: things, kind: Thing}, versions: [{name: v1}, {name: v2}]}")
	if err != nil || !resources.Learn(crds[0]) {
		t.Fatalf("not learnt: %v", err)
	}

	thing, err := resources.OfKind(t.Context(), schema.GroupVersionKind{Group: "example.org", Version: "v2", Kind: "Thing"})
	if err != nil || thing.GroupVersionResource.Resource != "things" || !thing.Namespaced {
		t.Errorf("%+v, %v", thing, err)
	}
}
