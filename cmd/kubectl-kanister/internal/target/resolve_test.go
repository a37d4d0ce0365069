package target_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

type object = map[string]any

func named(apiVersion, kind, namespace, name string, labels object) object {
	meta := object{"name": name, "labels": labels}
	if namespace != "" {
		meta["namespace"] = namespace
	}

	return object{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
}

// cluster is an API server that knows enough to be asked for objects: discovery, get, list.
func cluster(t *testing.T, forbidden bool) genericclioptions.RESTClientGetter {
	t.Helper()

	resource := func(name, singular, kind string, namespaced bool, short ...string) metav1.APIResource {
		return metav1.APIResource{Name: name, SingularName: singular, Kind: kind, Namespaced: namespaced, ShortNames: short, Verbs: metav1.Verbs{"get", "list"}}
	}
	groups := map[string][]metav1.APIResource{
		"/api/v1": {
			resource("namespaces", "namespace", "Namespace", false, "ns"),
			resource("persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", true, "pvc"),
			resource("configmaps", "configmap", "ConfigMap", true, "cm"), resource("nodes", "node", "Node", false, "no"),
		},
		"/apis/apps/v1": {resource("deployments", "deployment", "Deployment", true, "deploy"), resource("statefulsets", "statefulset", "StatefulSet", true, "sts")},
		"/apis/apps.openshift.io/v1": {
			resource("deploymentconfigs", "deploymentconfig", "DeploymentConfig", true, "dc"),
		},
		"/apis/shop.example/v1beta2": {resource("widgets", "widget", "Widget", true), resource("racks", "rack", "Rack", false)},
	}
	web := named("apps/v1", "Deployment", "demo", "web", object{"app": "shop"})
	web["metadata"].(object)["annotations"] = object{target.AnnotationBlueprintUpstream: "pg"}
	objects := map[string]object{
		"/apis/apps/v1/namespaces/demo/deployments/web":                    web,
		"/apis/apps/v1/namespaces/demo/deployments/api":                    named("apps/v1", "Deployment", "demo", "api", object{"app": "shop"}),
		"/apis/apps/v1/namespaces/demo/statefulsets/db":                    named("apps/v1", "StatefulSet", "demo", "db", nil),
		"/apis/apps.openshift.io/v1/namespaces/demo/deploymentconfigs/old": named("apps.openshift.io/v1", "DeploymentConfig", "demo", "old", nil),
		"/api/v1/namespaces/demo/persistentvolumeclaims/data":              named("v1", "PersistentVolumeClaim", "demo", "data", nil),
		"/api/v1/namespaces/demo/configmaps/settings":                      named("v1", "ConfigMap", "demo", "settings", nil),
		"/api/v1/namespaces/demo":                                          named("v1", "Namespace", "", "demo", nil),
		"/api/v1/nodes/n1":                                                 named("v1", "Node", "", "n1", nil),
	}

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any

		code := http.StatusOK

		switch {
		case r.URL.Path == "/api":
			answer = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
		case r.URL.Path == "/apis":
			list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
			for _, name := range []string{"apps/v1", "apps.openshift.io/v1", "shop.example/v1beta2"} {
				group, number, _ := strings.Cut(name, "/")
				version := metav1.GroupVersionForDiscovery{GroupVersion: name, Version: number}
				list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version})
			}

			answer = list
		case groups[r.URL.Path] != nil:
			_, version, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			answer = metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version, APIResources: groups[r.URL.Path]}
		case forbidden:
			code = http.StatusForbidden
			answer = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonForbidden, Code: int32(code), Message: "forbidden: no"}
		case objects[r.URL.Path] != nil:
			answer = objects[r.URL.Path]
		case r.URL.Query().Has("labelSelector"):
			items := []object{}
			for _, path := range slices.Sorted(func(yield func(string) bool) {
				for path := range objects {
					if !yield(path) {
						return
					}
				}
			}) {
				labels, _ := objects[path]["metadata"].(object)["labels"].(object)
				if strings.HasPrefix(path, r.URL.Path+"/") && labels["app"] != nil && r.URL.Query().Get("labelSelector") == "app="+labels["app"].(string) {
					items = append(items, objects[path])
				}
			}

			answer = object{"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": object{}, "items": items}
		default:
			parts := strings.Split(r.URL.Path, "/")
			code = http.StatusNotFound
			answer = metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: int32(code),
				Message: "not found", Details: &metav1.StatusDetails{Name: parts[len(parts)-1], Kind: parts[len(parts)-2]},
			}
		}

		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)

		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))

	flags := genericclioptions.NewConfigFlags(false)
	flags.APIServer = &server.URL
	cache := t.TempDir()
	flags.CacheDir = &cache

	return flags
}

func apps(kind, resource, name string) blueprint.ObjectReference {
	return blueprint.ObjectReference{APIVersion: "v1", Group: "apps", Resource: resource, Kind: kind, Name: name, Namespace: "demo"}
}

func TestResolve(t *testing.T) {
	web, api, db := apps("deployment", "deployments", "web"), apps("deployment", "deployments", "api"), apps("statefulset", "statefulsets", "db")
	ns := blueprint.ObjectReference{APIVersion: "v1", Resource: "namespaces", Kind: "namespace", Name: "demo", Namespace: "demo"}

	manifest := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(manifest, []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	getter := cluster(t, false)

	for _, test := range []struct {
		request target.Request
		want    []blueprint.ObjectReference
	}{
		{target.Request{Args: []string{"deploy/web"}}, []blueprint.ObjectReference{web}},
		{target.Request{Args: []string{"deployments.v1.apps/web"}}, []blueprint.ObjectReference{web}},
		{target.Request{Args: []string{"deployment", "web", "api", "web"}}, []blueprint.ObjectReference{web, api}},
		{target.Request{Args: []string{"sts/db", "deploy/web"}}, []blueprint.ObjectReference{db, web}},
		{target.Request{Args: []string{"pvc/data"}}, []blueprint.ObjectReference{{APIVersion: "v1", Resource: "persistentvolumeclaims", Kind: "pvc", Name: "data", Namespace: "demo"}}},
		{target.Request{Args: []string{"ns/demo"}}, []blueprint.ObjectReference{ns}},
		{target.Request{Args: []string{"namespace/demo", "ns/demo"}}, []blueprint.ObjectReference{ns}},
		{target.Request{Args: []string{"dc/old"}}, []blueprint.ObjectReference{{
			APIVersion: "v1", Group: "apps.openshift.io", Resource: "deploymentconfigs", Kind: "deploymentconfig", Name: "old", Namespace: "demo",
		}}},
		{target.Request{Args: []string{"cm/settings"}}, []blueprint.ObjectReference{{APIVersion: "v1", Resource: "configmaps", Kind: "configmap", Name: "settings", Namespace: "demo"}}},
		{target.Request{Args: []string{"no/n1"}}, []blueprint.ObjectReference{{APIVersion: "v1", Resource: "nodes", Kind: "node", Name: "n1"}}},
		{target.Request{Args: []string{"deploy"}, Selector: "app=shop"}, []blueprint.ObjectReference{api, web}},
		{target.Request{Filenames: []string{manifest}}, []blueprint.ObjectReference{web, db}},
	} {
		targets, err := target.Resolve(getter, "demo", true, test.request)
		if err != nil {
			t.Errorf("%s: %v", test.request, err)

			continue
		}

		var got []blueprint.ObjectReference

		for _, found := range targets {
			got = append(got, found.Ref)

			if wantAnnotation := found.Ref == web; (found.Blueprint() == "pg") != wantAnnotation {
				t.Errorf("%s: %s asks for blueprint %q", test.request, found, found.Blueprint())
			}
		}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.request, diff)
		}
	}
}

func TestResolveFails(t *testing.T) {
	getter := cluster(t, false)

	unnamed := filepath.Join(t.TempDir(), "unnamed.yaml")
	if err := os.WriteFile(unnamed, []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {generateName: web-}\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		request target.Request
		says    []string
		hint    string
	}{
		{target.Request{Args: []string{"deploy/nope"}}, []string{`no deployment "nope" in namespace "demo"`}, "kubectl get deployments -n demo"},
		{target.Request{Args: []string{"deploy/nope", "sts/none", "deploy/web"}}, []string{`no deployment "nope"`, `no statefulset "none"`}, "kubectl get"},
		{target.Request{Args: []string{"ns/nowhere"}}, []string{`no namespace "nowhere"`}, "kubectl get namespaces"},
		{target.Request{Args: []string{"unicorn/x"}}, []string{`"unicorn"`}, "kubectl api-resources"},
		{target.Request{Args: []string{"deploy"}}, []string{"no name was specified"}, "deploy/foo"},
		{target.Request{Args: []string{"pvc"}, Selector: "app=shop"}, []string{`nothing in namespace "demo" matches "pvc -l app=shop"`}, "kubectl get pvc -n demo"},
		{target.Request{Args: []string{"deploy"}, Selector: "a==="}, []string{"a==="}, ""},
		{target.Request{Filenames: []string{unnamed}}, []string{"the Deployment in", "has no name"}, ""},
		{target.Request{Filenames: []string{"/nonexistent.yaml"}}, []string{"/nonexistent.yaml"}, ""},
	} {
		_, err := target.Resolve(getter, "demo", true, test.request)
		if exit.Of(err) != exit.Usage {
			t.Errorf("%s: %v, exit code %d", test.request, err, exit.Of(err))

			continue
		}

		for _, part := range test.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s says %q, not %q", test.request, err, part)
			}
		}

		if !strings.Contains(exit.HintOf(err), test.hint) {
			t.Errorf("%s hints %q, not %q", test.request, exit.HintOf(err), test.hint)
		}
	}
}

func TestResolveForbidden(t *testing.T) {
	getter, request := cluster(t, true), target.Request{Args: []string{"deploy/web"}}

	if _, err := target.Resolve(getter, "demo", true, request); exit.Of(err) != exit.NotPermitted {
		t.Errorf("got %v, exit code %d", err, exit.Of(err))
	}

	if named := target.Named(getter, "demo", request); len(named) != 1 || named[0].Ref != apps("deployment", "deployments", "web") {
		t.Errorf("Named gives %v", named)
	}

	if named := target.Named(getter, "demo", target.Request{Args: []string{"deploy"}, Selector: "a=b"}); named != nil {
		t.Errorf("a selector cannot be known without looking: %v", named)
	}
}

// TestResolveUnreachable: an API server that is away is not the user's mistake.
func TestResolveUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	url := gone.URL
	gone.Close()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))

	flags := genericclioptions.NewConfigFlags(false)
	flags.APIServer = &url
	cache := t.TempDir()
	flags.CacheDir = &cache

	if _, err := target.Resolve(flags, "demo", true, target.Request{Args: []string{"deploy/web"}}); err == nil || exit.Of(err) != exit.ToolFailed {
		t.Errorf("got %v, exit code %d", err, exit.Of(err))
	}
}
