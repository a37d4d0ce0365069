package target_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// TestReference: the kinds of COMPAT §1.4, as kanctl, upstream's documents and lazy hands write them. Nothing is looked up: the fixture
// has none of these objects.
func TestReference(t *testing.T) {
	getter := cluster(t, false)
	widget := blueprint.ObjectReference{APIVersion: "v1beta2", Group: "shop.example", Resource: "widgets", Kind: "widget", Name: "w", Namespace: "demo"}
	rack := blueprint.ObjectReference{APIVersion: "v1beta2", Group: "shop.example", Resource: "racks", Kind: "rack", Name: "r"}
	dc := blueprint.ObjectReference{APIVersion: "v1", Group: "apps.openshift.io", Resource: "deploymentconfigs", Kind: "deploymentconfig", Name: "d", Namespace: "demo"}
	pvc := blueprint.ObjectReference{APIVersion: "v1", Resource: "persistentvolumeclaims", Kind: "pvc", Name: "p", Namespace: "demo"}
	ns := blueprint.ObjectReference{APIVersion: "v1", Resource: "namespaces", Kind: "namespace", Name: "n", Namespace: "n"}
	cm := blueprint.ObjectReference{APIVersion: "v1", Resource: "configmaps", Kind: "configmap", Name: "c", Namespace: "demo"}
	elsewhere := apps("statefulset", "statefulsets", "s")
	elsewhere.Namespace = "other"

	for name, test := range map[string]struct{ in, want blueprint.ObjectReference }{
		"statefulset":                 {blueprint.ObjectReference{Kind: "StatefulSet", Name: "s"}, apps("statefulset", "statefulsets", "s")},
		"in another namespace":        {blueprint.ObjectReference{Kind: "statefulset", Name: "s", Namespace: "other"}, elsewhere},
		"deployment":                  {blueprint.ObjectReference{Kind: "deployment", Name: "d"}, apps("deployment", "deployments", "d")},
		"deployment in full":          {blueprint.ObjectReference{APIVersion: "v1", Group: "apps", Resource: "deployments", Kind: "Deployment", Name: "d"}, apps("deployment", "deployments", "d")},
		"as a manifest has it":        {blueprint.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d"}, apps("deployment", "deployments", "d")},
		"of long ago":                 {blueprint.ObjectReference{APIVersion: "extensions/v1beta1", Kind: "Deployment", Name: "d"}, apps("deployment", "deployments", "d")},
		"a version that is gone":      {blueprint.ObjectReference{APIVersion: "v1beta1", Group: "apps", Kind: "StatefulSet", Name: "s"}, apps("statefulset", "statefulsets", "s")},
		"deploymentconfig":            {blueprint.ObjectReference{Kind: "deploymentconfig", Name: "d"}, dc},
		"pvc":                         {blueprint.ObjectReference{Kind: "pvc", Name: "p"}, pvc},
		"persistentvolumeclaim":       {blueprint.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: "p"}, pvc},
		"namespace, as kanctl":        {blueprint.ObjectReference{Kind: "namespace", Name: "n", Namespace: "n"}, ns},
		"namespace by its name":       {blueprint.ObjectReference{Kind: "Namespace", Name: "n"}, ns},
		"namespace by its namespace":  {blueprint.ObjectReference{Kind: "namespace", Namespace: "n"}, ns},
		"core object by its kind":     {blueprint.ObjectReference{Kind: "ConfigMap", Name: "c"}, cm},
		"core object by its resource": {blueprint.ObjectReference{APIVersion: "v1", Resource: "configmaps", Name: "c"}, cm},
		"custom, kind and group":      {blueprint.ObjectReference{Kind: "Widget", Group: "shop.example", Name: "w"}, widget},
		"custom, kind alone":          {blueprint.ObjectReference{Kind: "Widget", Name: "w"}, widget},
		"custom, resource": {
			blueprint.ObjectReference{APIVersion: "v1beta2", Group: "shop.example", Resource: "widgets", Name: "w", Namespace: "demo"}, widget,
		},
		"custom, as kanctl -o": {
			blueprint.ObjectReference{Kind: "unstructured", APIVersion: "v1beta2", Group: "shop.example", Resource: "widgets", Name: "w", Namespace: "demo"}, widget,
		},
		"custom, of the whole cluster": {blueprint.ObjectReference{Kind: "Rack", APIVersion: "shop.example/v1beta2", Name: "r"}, rack},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := target.Reference(getter, test.in, "demo")
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.want, got.Ref); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReferenceFails: what does not say which object it means is refused before anything runs.
func TestReferenceFails(t *testing.T) {
	getter := cluster(t, false)

	for name, test := range map[string]struct {
		in   blueprint.ObjectReference
		says string
	}{
		"no name":               {blueprint.ObjectReference{Kind: "Deployment"}, `kind "Deployment": its name is empty`},
		"nothing of the kind":   {blueprint.ObjectReference{Kind: "Unicorn", Name: "u"}, `"u" of kind "Unicorn": the cluster has nothing of this kind`},
		"another group's":       {blueprint.ObjectReference{Kind: "Widget", Group: "zoo.example", Name: "w"}, `"w" of kind "Widget"`},
		"neither kind nor word": {blueprint.ObjectReference{Kind: "unstructured", Group: "shop.example", Name: "w"}, "neither kind nor resource"},
		"namespace without one": {blueprint.ObjectReference{Kind: "namespace"}, "its name is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := target.Reference(getter, test.in, "demo")
			if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, exit code %d; want %q", err, exit.Of(err), test.says)
			}
		})
	}
}

// TestReferenceUnreachable: an API server that is away is not the user's mistake.
func TestReferenceUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	url := gone.URL
	gone.Close()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))

	flags := genericclioptions.NewConfigFlags(false)
	flags.APIServer = &url
	cache := t.TempDir()
	flags.CacheDir = &cache

	if _, err := target.Reference(flags, blueprint.ObjectReference{Kind: "deployment", Name: "d"}, "demo"); exit.Of(err) != exit.ToolFailed {
		t.Errorf("got %v, exit code %d", err, exit.Of(err))
	}
}
