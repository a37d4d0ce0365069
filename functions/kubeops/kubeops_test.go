package kubeops_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	discoveryfake "k8s.io/client-go/discovery/fake"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/kubeops"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// cluster is a run in a cluster with config maps and persistent volumes.
func cluster(t *testing.T) (*functions.Run, *dynamicfake.FakeDynamicClient) {
	t.Helper()

	clientset := fake.NewClientset()

	discovery, ok := clientset.Discovery().(*discoveryfake.FakeDiscovery)
	if !ok {
		t.Fatal("the fake clientset has another discovery client")
	}

	discovery.Resources = []*metav1.APIResourceList{{GroupVersion: "v1", APIResources: []metav1.APIResource{
		{Name: "configmaps", Kind: "ConfigMap", Namespaced: true}, {Name: "persistentvolumes", Kind: "PersistentVolume"},
	}}}

	dynamic := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		{Version: "v1", Resource: "configmaps"}: "ConfigMapList", {Version: "v1", Resource: "persistentvolumes"}: "PersistentVolumeList",
	})

	run := functest.Run()
	run.Kube = &kube.Client{Clientset: clientset, Dynamic: dynamic}

	return run, dynamic
}

func exec(t *testing.T, run *functions.Run, args map[string]any) (map[string]any, error) {
	t.Helper()

	f, ok := functions.Default.Lookup("KubeOps")
	if !ok {
		t.Fatal("KubeOps is not registered")
	}

	return f.Exec(t.Context(), run, args)
}

const two = `
apiVersion: v1
kind: ConfigMap
metadata: {generateName: drawn-}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv, namespace: nonsense}
`

func TestCreateAgainAndDelete(t *testing.T) {
	t.Parallel()

	run, dynamic := cluster(t)

	out, err := exec(t, run, map[string]any{"operation": "Create", "namespace": "demo", "spec": two})
	if err != nil || out["resource"] != "persistentvolumes" || out["name"] != "pv" || out["kind"] != "PersistentVolume" || out["namespace"] != nil {
		t.Fatalf("%v, %v", out, err)
	}

	list, err := dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("demo").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || !strings.HasPrefix(list.Items[0].GetName(), "drawn-") ||
		list.Items[0].GetAnnotations()["kanister.io/created-by"] != "namespace/run/phase" {
		t.Fatalf("created %v, %v", list, err)
	}

	// The same phase finds its own; another one does not take them for its own.
	if _, err := exec(t, run, map[string]any{"operation": "create", "namespace": "demo", "spec": two}); err != nil {
		t.Errorf("again: %v", err)
	}

	run.Phase = "other"

	_, err = exec(t, run, map[string]any{"operation": "create", "namespace": "demo", "spec": two})
	if !kube.IsReason(err, "AlreadyExists") || !strings.Contains(err.Error(), `created before, and left there: configmaps "drawn-`) {
		t.Errorf("another phase: %v", err)
	}

	volume := map[string]any{"operation": "delete", "objectReference": map[string]any{"apiVersion": "v1", "resource": "persistentvolumes", "name": "pv"}}

	if out, err := exec(t, run, volume); err != nil || out["name"] != "pv" {
		t.Errorf("deleting: %v, %v", out, err)
	}

	if _, err := exec(t, run, volume); !kube.IsReason(err, kube.ReasonNotFound) {
		t.Errorf("deleting what is not there: %v", err)
	}

	run.Attempt = 2

	if _, err := exec(t, run, volume); err != nil {
		t.Errorf("a successor finds it deleted: %v", err)
	}
}

// A resource that knows no strategic merge gets a JSON merge, but never a directive as a field.
func TestPatchFallsBack(t *testing.T) {
	t.Parallel()

	run, dynamic := cluster(t)

	var kinds []string

	dynamic.PrependReactor("patch", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		patch, ok := action.(clienttesting.PatchAction)
		if !ok {
			t.Fatalf("action %T", action)
		}

		kinds = append(kinds, string(patch.GetPatchType()))

		if strings.Contains(string(patch.GetPatchType()), "strategic") {
			return true, nil, apierrors.NewGenericServerResponse(415, "patch", schema.GroupResource{}, "", "", 0, true)
		}

		return true, nil, nil
	})

	args := map[string]any{"operation": "patch", "spec": "data: {a: b}", "namespace": "demo", "objectReference": map[string]any{"apiVersion": "v1", "resource": "configmaps", "name": "x"}}

	out, err := exec(t, run, args)
	if err != nil || out["namespace"] != "demo" || len(kinds) != 2 || !strings.Contains(kinds[1], "application/merge-patch") {
		t.Errorf("%v, %v, patched by %q", out, err, kinds)
	}

	args["spec"] = "data: {list: [{$patch: delete, name: x}]}"
	kinds = nil

	if _, err := exec(t, run, args); err == nil || !strings.Contains(err.Error(), "$patch") || len(kinds) != 1 {
		t.Errorf("%v, patched by %q", err, kinds)
	}
}
