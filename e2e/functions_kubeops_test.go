//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// thing is a CustomResourceDefinition of the test's own group, for its custom resource Thing.
const thing = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.{{ns}}.example.org}
spec:
  group: {{ns}}.example.org
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, listKind: ThingList}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// ofCluster are objects of the cluster that tests make; their names begin with the namespace of the test.
var ofCluster = []schema.GroupVersionResource{
	{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
	{Group: "scheduling.k8s.io", Version: "v1", Resource: "priorityclasses"},
}

// dropFromCluster deletes an object of the cluster at the end of the test.
func (w *World) dropFromCluster(resource schema.GroupVersionResource, name string) {
	w.Cleanup(func() {
		err := w.Dynamic.Resource(resource).Delete(context.Background(), name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			w.Logf("deleting %s %s: %v", resource.Resource, name, err)
		}
	})
}

// The reference's example, several documents with a definition and its object, objects of the cluster, generateName, both kinds
// of patch, waits, and deletions, one of them held by a finalizer; with exactly the declared rules.
func TestKubeOpsLife(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	w.dropFromCluster(ofCluster[0], "things."+w.Namespace+".example.org")
	w.dropFromCluster(ofCluster[1], w.Namespace)

	w.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.org/slow]}\n")

	file := w.Blueprint(`    phases:
      - func: KubeOps
        name: createDeploy
        args:
          operation: create
          namespace: "{{ .Deployment.Namespace }}"
          spec: |-
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              name: "{{ .Deployment.Name }}-copy"
            spec:
              replicas: 1
              selector:
                matchLabels:
                  app: example
              template:
                metadata:
                  labels:
                    app: example
                spec:
                  terminationGracePeriodSeconds: 1
                  securityContext: ` + restrictedPod + `
                  containers:
                  - image: ` + toolsImage + `
                    imagePullPolicy: IfNotPresent
                    name: container
                    command: ` + sleep + `
                    securityContext: ` + restrictedContainer + `
                    ports:
                    - containerPort: 80
                      name: http
                      protocol: TCP
      - func: KubeOps
        name: several
        args:
          operation: create
          namespace: "{{ .Deployment.Namespace }}"
          spec: |
            apiVersion: v1
            kind: ConfigMap
            metadata: {generateName: drawn-}
            data: {a: "1"}
            ---
            # nothing but a comment
            ---
            apiVersion: scheduling.k8s.io/v1
            kind: PriorityClass
            metadata: {name: {{ns}}}
            value: 1
            ---
` + indent(thing, 12) + `
            ---
            apiVersion: {{ns}}.example.org/v1
            kind: Thing
            metadata: {generateName: "thing-"}
            spec: {color: red, list: [1, 2]}
      - func: WaitV2
        name: waitForDeploymentReady
        args:
          timeout: 2m
          conditions:
            anyOf:
            - condition: '{{ $available := false }}{{ range $condition := $.status.conditions }}{{ if and (eq .type "Available") (eq .status "True") }}{{ $available = true }}{{ end }}{{ end }}{{ $available }}'
              objectReference:
                apiVersion: "v1"
                group: "apps"
                name: "{{ .Phases.createDeploy.Output.name }}"
                namespace: "{{ .Deployment.Namespace }}"
                resource: "deployments"
      - func: KubeOps
        name: patchDeploy
        args:
          operation: patch
          objectReference: {apiVersion: v1, group: apps, resource: deployments, name: app-copy, namespace: "{{ .Deployment.Namespace }}"}
          spec: |
            metadata: {labels: {patched: "yes"}}
            spec: {template: {spec: {containers: [{name: container, env: [{name: X, value: "1"}]}]}}}
      - func: KubeOps
        name: patchThing
        args:
          operation: patch
          namespace: "{{ .Deployment.Namespace }}"
          objectReference:
            apiVersion: "{{ .Phases.several.Output.apiVersion }}"
            group: "{{ .Phases.several.Output.group }}"
            resource: "{{ .Phases.several.Output.resource }}"
            name: "{{ .Phases.several.Output.name }}"
          spec: |
            spec: {color: green, list: [3]}
      - func: Wait
        name: waitGreen
        args:
          timeout: "{{ if .Deployment }}60s{{ end }}"
          conditions:
            allOf:
            - condition: '{{ if (eq "{ $.spec.color }" "green")}}true{{ else }}false{{ end }}'
              objectReference:
                apiVersion: v1
                group: "{{ .Phases.several.Output.group }}"
                resource: things
                name: "{{ .Phases.several.Output.name }}"
                namespace: "{{ .Deployment.Namespace }}"
            - condition: '{{ if (eq "{ $.status.phase }" "Active")}}true{{ else }}false{{ end }}'
              objectReference: {apiVersion: v1, resource: namespaces, name: "{{ .Deployment.Namespace }}"}
      - func: KubeOps
        name: deletePriority
        args:
          operation: delete
          objectReference: {apiVersion: v1, group: scheduling.k8s.io, resource: priorityclasses, name: {{ns}}}
      - func: KubeOps
        name: deleteHeld
        args:
          operation: delete
          objectReference: {apiVersion: v1, resource: configmaps, name: held, namespace: "{{ .Deployment.Namespace }}"}
    deferPhase:
      func: KubeOps
      name: deleteDeploy
      args:
        operation: delete
        objectReference:
          apiVersion: "{{ .Phases.createDeploy.Output.apiVersion }}"
          group: "{{ .Phases.createDeploy.Output.group }}"
          resource: "{{ .Phases.createDeploy.Output.resource }}"
          name: "{{ .Phases.createDeploy.Output.name }}"
          namespace: "{{ .Phases.createDeploy.Output.namespace }}"
`)

	// The finalizer goes when the run says that it waits for it.
	released := make(chan error, 1)

	go func() { released <- w.release("held", "example.org/slow") }()

	run := w.Exactly(0, "run", "test", "deploy/app", "--blueprint", file)

	if err := <-released; err != nil {
		t.Error(err)
	}

	if got, want := fmt.Sprint(run.Phases[0].Output), fmt.Sprint(map[string]any{
		"apiVersion": "v1", "group": "apps", "resource": "deployments", "kind": "Deployment", "name": "app-copy", "namespace": w.Namespace,
	}); got != want {
		t.Errorf("outputs %s, want %s", got, want)
	}

	last := run.Phases[1].Output
	name, _ := last["name"].(string)

	if last["kind"] != "Thing" || last["group"] != w.Namespace+".example.org" || !strings.HasPrefix(name, "thing-") || len(name) != len("thing-")+5 {
		t.Errorf("outputs of several documents: %v", last)
	}

	if _, has := run.Phases[6].Output["namespace"]; has {
		t.Errorf("an object of the cluster has a namespace: %v", run.Phases[6].Output)
	}

	if got := w.Kubectl("get", "things."+w.Namespace+".example.org", name, "-o", "jsonpath={.spec.color} {.spec.list} {.metadata.annotations.kanister\\.io/created-by}"); !strings.HasPrefix(got, "green [3] "+w.Namespace+"/"+run.Run+"/several") {
		t.Errorf("the patched thing is %s", got)
	}

	if got := w.Kubectl("get", "cm", "-o", "name"); strings.Contains(got, "held") || !strings.Contains(got, "drawn-") {
		t.Errorf("config maps: %s", got)
	}

	if got := w.Kubectl("get", "deploy,priorityclass", "-o", "name"); strings.Contains(got, "app-copy") || strings.Contains(got, w.Namespace) {
		t.Errorf("not deleted: %s", got)
	}
}

// release takes the finalizer from a config map that is being deleted, once a run says that it waits.
func (w *World) release(name, finalizer string) error {
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		list, err := w.Client.CoreV1().ConfigMaps(w.Namespace).List(context.Background(), metav1.ListOptions{LabelSelector: record.LabelRecord})
		if err != nil {
			return err
		}

		for i := range list.Items {
			if !strings.Contains(list.Items[i].Data["progress"], finalizer) {
				continue
			}

			_, err := w.Client.CoreV1().ConfigMaps(w.Namespace).Patch(context.Background(), name, types.MergePatchType,
				[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})

			return err
		}

		if time.Now().After(end) {
			return fmt.Errorf("no run says that it waits for finalizer %s", finalizer)
		}
	}
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func (w *World) reference(resource, name string) map[string]any {
	return map[string]any{"apiVersion": "v1", "resource": resource, "name": name, "namespace": w.Namespace}
}

func TestFunctionKubeOpsFailures(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(configMap("taken"))
	w.Apply(thing)
	w.dropFromCluster(ofCluster[0], "things."+w.Namespace+".example.org")
	w.Kubectl("wait", "--for=condition=Established", "crd/things."+w.Namespace+".example.org", "--timeout=30s")
	w.Apply("apiVersion: {{ns}}.example.org/v1\nkind: Thing\nmetadata: {name: one}\n")

	create := func(spec string) map[string]any {
		return map[string]any{"operation": "create", "namespace": w.Namespace, "spec": spec}
	}

	for name, tc := range map[string]struct {
		args   map[string]any
		reason string
		says   []string
	}{
		"taken":         {args: create(configMap("taken")), reason: "AlreadyExists", says: []string{`configmaps "taken"`, "kubectl delete configmaps taken -n " + w.Namespace}},
		"second taken":  {args: create(configMap("first") + "---\n" + configMap("taken")), reason: "AlreadyExists", says: []string{`created before, and left there: configmaps "first"`}},
		"no namespace":  {args: map[string]any{"operation": "create", "namespace": "no-such-namespace", "spec": configMap("x")}, reason: kube.ReasonNamespace, says: []string{"no-such-namespace"}},
		"kind":          {args: create("apiVersion: v1\nkind: configMap\nmetadata: {name: x}"), reason: kube.ReasonNotFound, says: []string{"document 1", `did you mean "ConfigMap"`}},
		"group":         {args: create(configMap("early") + "---\napiVersion: nobody.example.org/v1\nkind: X\nmetadata: {name: x}"), reason: kube.ReasonNotFound, says: []string{"document 2", "nobody.example.org/v1"}},
		"no name":       {args: create("apiVersion: v1\nkind: ConfigMap\nmetadata: {}"), says: []string{"document 1", "generateName"}},
		"no document":   {args: create("# nothing\n---\n"), says: []string{`"spec"`, "no Kubernetes document"}},
		"no yaml":       {args: create("{{ x"), says: []string{`"spec"`, "document 1"}},
		"invalid":       {args: create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'A B'}"), reason: "Invalid", says: []string{"A B"}},
		"no object":     {args: map[string]any{"operation": "delete", "objectReference": w.reference("configmaps", "nothing")}, reason: kube.ReasonNotFound, says: []string{"deleting", "nothing"}},
		"singular":      {args: map[string]any{"operation": "delete", "objectReference": w.reference("configmap", "taken")}, reason: kube.ReasonNotFound, says: []string{`did you mean "configmaps"`}},
		"nameless":      {args: map[string]any{"operation": "delete", "objectReference": w.reference("configmaps", "")}, says: []string{`"objectReference"`, "name is empty"}},
		"field":         {args: map[string]any{"operation": "delete", "objectReference": map[string]any{"names": "x"}}, says: []string{`did you mean "name"`}},
		"operation":     {args: map[string]any{"operation": "replace"}, says: []string{"create, delete, patch"}},
		"timeout":       {args: map[string]any{"operation": "delete", "timeout": "soon", "objectReference": w.reference("configmaps", "x")}, says: []string{`"timeout"`, "soon"}},
		"empty patch":   {args: map[string]any{"operation": "patch", "objectReference": w.reference("configmaps", "taken")}, says: []string{`"spec"`, "empty"}},
		"patch nothing": {args: map[string]any{"operation": "patch", "objectReference": w.reference("configmaps", "nothing"), "spec": "data: {a: b}"}, reason: kube.ReasonNotFound, says: []string{"patching"}},
		"directive": {args: map[string]any{"operation": "patch", "spec": "spec: {$patch: replace}", "objectReference": map[string]any{
			"apiVersion": w.Namespace + ".example.org/v1", "resource": "things", "name": "one", "namespace": w.Namespace}}, says: []string{"$patch", "strategic merge"}},
	} {
		_, err := w.Call("fails").Do(t.Context(), "KubeOps", tc.args)
		if err == nil {
			t.Errorf("%s: no error", name)

			continue
		}

		f := failureOf(err)
		if tc.reason != "" && f.Reason != tc.reason {
			t.Errorf("%s: reason %q, want %q", name, f.Reason, tc.reason)
		}

		for _, part := range tc.says {
			if text := err.Error() + "\n" + f.Hint; !strings.Contains(text, part) {
				t.Errorf("%s: %q is not in %s", name, part, text)
			}
		}
	}

	if got := w.Kubectl("get", "cm", "-o", "name"); strings.Contains(got, "early") {
		t.Errorf("a document was created although a later one means nothing: %s", got)
	}
}

// A finalizer that nobody removes: the wait ends by its bound or by a cancel, and says who holds the object. A successor of a
// lost runner goes on.
func TestFunctionKubeOpsHeldCancelledRepeated(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.org/never]}\n")
	t.Cleanup(func() {
		_, _ = w.Client.CoreV1().ConfigMaps(w.Namespace).Patch(context.Background(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	})

	args := map[string]any{"operation": "delete", "objectReference": w.reference("configmaps", "held"), "timeout": "2s"}

	_, err := w.Call("held").Do(t.Context(), "KubeOps", args)
	if !kube.IsReason(err, kube.ReasonTimeout) || !strings.Contains(err.Error(), "example.org/never") {
		t.Errorf("after the bound: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	c := w.Call("held")

	go func() {
		for !c.notes.said("example.org/never") && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}

		cancel()
	}()

	args["timeout"] = "5m"

	began := time.Now()
	if _, err := c.Do(ctx, "KubeOps", args); err == nil || time.Since(began) > 20*time.Second || !strings.Contains(err.Error(), "goes on being deleted") {
		t.Errorf("cancelled after %s: %v", time.Since(began), err)
	}

	// The first runner was lost after it had created one of two, and after it had deleted.
	two := map[string]any{"operation": "create", "namespace": w.Namespace, "spec": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: gen-}\n---\n" + configMap("second")}
	first := w.Call("create")
	first.MustDo("KubeOps", two)
	w.Kubectl("delete", "cm", "second")

	again := w.Call("create")
	again.Attempt = 2

	if out := again.MustDo("KubeOps", two); out["name"] != "second" || !again.notes.said("as it was created before") {
		t.Errorf("the successor: %v, events %v", out, again.notes.events)
	}

	if got := w.Kubectl("get", "cm", "-o", "name"); strings.Count(got, "gen-") != 1 {
		t.Errorf("created twice: %s", got)
	}

	other := w.Call("other")
	if _, err := other.Do(t.Context(), "KubeOps", map[string]any{"operation": "create", "namespace": w.Namespace, "spec": configMap("second")}); !kube.IsReason(err, "AlreadyExists") {
		t.Errorf("another phase took the object for its own: %v", err)
	}

	gone := map[string]any{"operation": "delete", "objectReference": w.reference("configmaps", "second")}
	w.Call("delete").MustDo("KubeOps", gone)

	again = w.Call("delete")
	again.Attempt = 2
	again.MustDo("KubeOps", gone)
}
