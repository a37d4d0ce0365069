package wait_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	discoveryfake "k8s.io/client-go/discovery/fake"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/wait"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// cluster is a run on a Deployment "web" in a cluster with one ConfigMap "web-state".
func cluster(t *testing.T) (*functions.Run, *dynamicfake.FakeDynamicClient) {
	t.Helper()

	clientset := fake.NewClientset()

	discovery, ok := clientset.Discovery().(*discoveryfake.FakeDiscovery)
	if !ok {
		t.Fatal("the fake clientset has another discovery client")
	}

	discovery.Resources = []*metav1.APIResourceList{{GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "configmaps", Kind: "ConfigMap", Namespaced: true}}}}
	dynamic := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		{Version: "v1", Resource: "configmaps"}: "ConfigMapList",
	}, state("red"))

	run := functest.Run()
	run.Kube = &kube.Client{Clientset: clientset, Dynamic: dynamic}
	run.Params = &params.TemplateParams{
		Deployment: &params.DeploymentParams{Name: "web", Namespace: "demo"}, Options: map[string]string{"patience": "50ms"},
	}

	return run, dynamic
}

func state(colour string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "web-state", "namespace": "demo"}, "data": map[string]any{"c": colour},
	}}
}

// about is the reference that all conditions have: rendered with the run's parameters.
var about = map[string]any{"apiVersion": "v1", "resource": "configmaps", "name": "{{ .Deployment.Name }}-state", "namespace": "{{ .Deployment.Namespace }}"}

func conditions(list string, texts ...string) map[string]any {
	var all []any
	for _, text := range texts {
		all = append(all, map[string]any{"condition": text, "objectReference": about})
	}

	return map[string]any{list: all}
}

func exec(ctx context.Context, t *testing.T, name string, run *functions.Run, args map[string]any) error {
	t.Helper()

	f, ok := functions.Default.Lookup(name)
	if !ok {
		t.Fatal(name + " is not registered")
	}

	_, err := f.Exec(ctx, run, args)

	return err
}

// TestRawConditions: a condition reaches the object as the blueprint has it, the reference and Wait's timeout are rendered with the run's
// parameters (COMPAT §2.4, §4.27, §4.28).
func TestRawConditions(t *testing.T) {
	for name, test := range map[string]struct {
		function, timeout string
		conditions        map[string]any
		fails             string // "": the wait is over at once
		never             bool   // it fails before it has waited
	}{
		"WaitV2": {function: "WaitV2", timeout: "1h", conditions: conditions("anyOf", `{{ if eq .data.c "red" }}true{{ end }}`)},
		"WaitV2, a name that only the object has": {
			function: "WaitV2", timeout: "1h", conditions: conditions("allOf", ` {{ eq $.metadata.name "web-state" }} `),
		},
		"WaitV2, a name that only the run has": {
			function: "WaitV2", timeout: "50ms", conditions: conditions("allOf", `{{ eq .Deployment.Name "web" }}`), fails: `it renders to "false"`,
		},
		"WaitV2, a path in braces is text":      {function: "WaitV2", timeout: "50ms", conditions: conditions("allOf", `{ $.data.c }`), fails: `it renders to "{ $.data.c }"`},
		"WaitV2, its timeout is not rendered":   {function: "WaitV2", timeout: "{{ .Options.patience }}", conditions: conditions("allOf", "true"), fails: "is no duration", never: true},
		"WaitV2, broken":                        {function: "WaitV2", timeout: "1h", conditions: conditions("anyOf", "true", "{{ if }}"), fails: "anyOf[1]: the condition", never: true},
		"WaitV2, sprig":                         {function: "WaitV2", timeout: "1h", conditions: conditions("anyOf", "{{ upper .data.c }}"), fails: "upper", never: true},
		"Wait":                                  {function: "Wait", timeout: "1h", conditions: conditions("allOf", `{{ if eq "{ $.data.c }" "red" }}true{{ end }}`)},
		"Wait, sprig":                           {function: "Wait", timeout: "1h", conditions: conditions("allOf", `{{ eq ("{$.data.c}" | upper) "RED" }}`)},
		"Wait, its timeout is rendered":         {function: "Wait", timeout: "{{ .Options.patience }}", conditions: conditions("allOf", "false"), fails: "waited 50ms"},
		"Wait, no parameters in the condition":  {function: "Wait", timeout: "50ms", conditions: conditions("allOf", "{{ .Deployment.Name }}"), fails: "allOf[0]"},
		"Wait, broken":                          {function: "Wait", timeout: "1h", conditions: conditions("allOf", "{{ if }}"), fails: "allOf[0]: the condition", never: true},
		"any before all":                        {function: "WaitV2", timeout: "1h", conditions: both(conditions("anyOf", "no", "true"), conditions("allOf", "no"))},
		"all, none of any":                      {function: "WaitV2", timeout: "1h", conditions: both(conditions("anyOf", "no"), conditions("allOf", "true"))},
		"neither":                               {function: "WaitV2", timeout: "50ms", conditions: both(conditions("anyOf", "no"), conditions("allOf", "{{ .data.c }}")), fails: `it renders to "red"`},
		"a reference to nothing the run has":    {function: "WaitV2", timeout: "1h", conditions: elsewhere("{{ .StatefulSet.Name }}"), fails: ".StatefulSet is not set", never: true},
		"an object that is not there":           {function: "WaitV2", timeout: "50ms", conditions: elsewhere("none"), fails: "the object does not exist"},
		"a template that only the object reads": {function: "WaitV2", timeout: "1h", conditions: conditions("anyOf", `{{ range $k, $v := .data }}{{ if eq $k "c" }}true{{ end }}{{ end }}`)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run, _ := cluster(t)
				begun := time.Now()
				err := exec(t.Context(), t, test.function, run, map[string]any{"timeout": test.timeout, "conditions": test.conditions})
				took := time.Since(begun)

				switch {
				case test.fails == "" && err != nil:
					t.Error(err)
				case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
					t.Errorf("error %v, want %q", err, test.fails)
				case test.fails != "" && !test.never && !kube.IsReason(err, kube.ReasonTimeout):
					t.Errorf("%v is no timeout", err)
				case (test.never || test.fails == "") && took > 0:
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func both(a, b map[string]any) map[string]any {
	return map[string]any{"anyOf": a["anyOf"], "allOf": b["allOf"]}
}

func elsewhere(name string) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{
		"condition": "true", "objectReference": map[string]any{"apiVersion": "v1", "resource": "configmaps", "name": name, "namespace": "demo"},
	}}}
}

// TestChangeIsSeen: an object that becomes what is waited for ends the wait, and a cancel does.
func TestChangeIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, dynamic := cluster(t)
		args := map[string]any{"timeout": "1h", "conditions": conditions("anyOf", `{{ eq .data.c "green" }}`)}
		done := make(chan error, 1)

		go func() { done <- exec(t.Context(), t, "WaitV2", run, args) }()

		synctest.Wait()

		if _, err := dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("demo").
			Update(t.Context(), state("green"), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}

		if err := <-done; err != nil {
			t.Error(err)
		}

		run, _ = cluster(t)

		ctx, cancel := context.WithCancel(t.Context())

		go func() { done <- exec(ctx, t, "WaitV2", run, args) }()

		synctest.Wait()
		cancel()

		if err := <-done; err == nil || !strings.Contains(err.Error(), `it renders to "false"`) {
			t.Errorf("a cancelled wait says %v", err)
		}
	})
}
