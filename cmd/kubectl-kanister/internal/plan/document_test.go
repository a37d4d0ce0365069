package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discoveryfake "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// served is a cluster with some resources.
func served(t *testing.T) *document.Resources {
	t.Helper()

	client, ok := fake.NewClientset().Discovery().(*discoveryfake.FakeDiscovery)
	if !ok {
		t.Fatal("the fake clientset has another discovery client")
	}

	client.Resources = []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true}, {Name: "pods", Kind: "Pod", Namespaced: true},
			{Name: "namespaces", Kind: "Namespace"}, {Name: "persistentvolumes", Kind: "PersistentVolume"},
		}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
			{Name: "deployments", Kind: "Deployment", Namespaced: true}, {Name: "deployments/scale", Kind: "Scale", Namespaced: true},
		}},
		{GroupVersion: "cassandra.k8ssandra.io/v1alpha1", APIResources: []metav1.APIResource{
			{Name: "cassandrabackups", Kind: "CassandraBackup", Namespaced: true},
		}},
		{GroupVersion: "apiextensions.k8s.io/v1", APIResources: []metav1.APIResource{{Name: "customresourcedefinitions", Kind: "CustomResourceDefinition"}}},
	}

	return document.NewResources(client)
}

// find is a phase of which nothing is known before the run.
const find = `
    - func: KubeTask
      name: find
      args: {image: x, command: ["true"], namespace: shop}`

func planned(t *testing.T, phases string) *Plan {
	t.Helper()

	bp, err := blueprint.Load("x", []byte("apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions:\n  go:\n    phases:"+phases+"\n"))
	if err != nil {
		t.Fatal(err)
	}

	p, err := New(t.Context(), Request{
		Name: "go-web-1", Namespace: "run", Action: "go", Blueprint: bp, RunnerImage: "r", Resources: served(t),
		Target: blueprint.ObjectReference{APIVersion: "v1", Group: "apps", Resource: "deployments", Kind: "deployment", Name: "web", Namespace: "shop"},
		Params: &params.TemplateParams{Deployment: &params.DeploymentParams{Name: "web", Namespace: "shop"}, Time: "2026-01-01T00:00:00Z"},
	})
	if err != nil {
		t.Fatal(err)
	}

	return p
}

// The grants and warnings for the phases of one action, without those that every run has.
func TestDocumentGrants(t *testing.T) {
	for name, test := range map[string]struct {
		phases  string
		want    []string
		effects []string
		warns   []string
		madeUp  bool
	}{
		"the reference's example": {
			phases: `
    - func: KubeOps
      name: createDeploy
      args:
        operation: create
        namespace: "{{ .Deployment.Namespace }}"
        spec: |-
          apiVersion: apps/v1
          kind: Deployment
          metadata:
            name: "{{ .Deployment.Name }}"
    - func: KubeOps
      name: deleteDeploy
      args:
        operation: delete
        objectReference:
          apiVersion: "{{ .Phases.createDeploy.Output.apiVersion }}"
          group: "{{ .Phases.createDeploy.Output.group }}"
          resource: "{{ .Phases.createDeploy.Output.resource }}"
          name: "{{ .Phases.createDeploy.Output.name }}"
          namespace: "{{ .Phases.createDeploy.Output.namespace }}"`,
			want:    []string{"shop: create apps/deployments", "shop: delete,get,list,watch apps/deployments [web]"},
			effects: []string{"create deployments.apps shop/web", "delete deployments.apps shop/web"},
		},
		"several documents, of a namespace, another one and the cluster": {
			phases: `
    - func: KubeOps
      name: all
      args:
        operation: create
        namespace: demo
        spec: |
          apiVersion: v1
          kind: ConfigMap
          metadata: {name: a}
          ---
          apiVersion: v1
          kind: ConfigMap
          metadata: {name: b, namespace: "{{ .Deployment.Namespace }}"}
          ---
          apiVersion: v1
          kind: PersistentVolume
          metadata: {name: pv}`,
			want: []string{
				"demo: create /configmaps", "demo: get /configmaps [a]", "shop: create /configmaps", "shop: get /configmaps [b]",
				": create /persistentvolumes", ": get /persistentvolumes [pv]",
			},
			effects: []string{"create configmaps demo/a, configmaps shop/b, persistentvolumes pv"},
		},
		"a definition and its object": {
			phases: `
    - func: KubeOps
      name: both
      args:
        operation: create
        spec: |
          apiVersion: apiextensions.k8s.io/v1
          kind: CustomResourceDefinition
          metadata: {name: things.example.org}
          spec: {group: example.org, scope: Namespaced, names: {plural: things, kind: Thing}, versions: [{name: v1}]}
          ---
          apiVersion: example.org/v1
          kind: Thing
          metadata: {name: one}`,
			want: []string{
				": create apiextensions.k8s.io/customresourcedefinitions", ": get apiextensions.k8s.io/customresourcedefinitions [things.example.org]",
				"default: create example.org/things", "default: get example.org/things [one]",
			},
			effects: []string{"create customresourcedefinitions.apiextensions.k8s.io things.example.org, things.example.org default/one"},
		},
		"k8ssandra: the name has the time of the run in it": {
			phases: `
    - func: KubeOps
      name: createCassandraBackup
      args:
        operation: create
        namespace: '{{ .Deployment.Namespace }}'
        spec: |-
          apiVersion: cassandra.k8ssandra.io/v1alpha1
          kind: CassandraBackup
          metadata:
            name: kanister-{{ toDate "2006-01-02T15:04:05.999999999Z07:00" .Time  | date "2006-01-02t15-04-05" }}
    - func: Wait
      name: wait
      args:
        timeout: 45m
        conditions:
          anyOf:
          - condition: '{{ if "{$.status.finishTime}" }}true{{ end }}'
            objectReference:
              apiVersion: '{{ .Phases.createCassandraBackup.Output.apiVersion }}'
              group: '{{ .Phases.createCassandraBackup.Output.group }}'
              name: '{{ .Phases.createCassandraBackup.Output.name }}'
              namespace: '{{ .Phases.createCassandraBackup.Output.namespace }}'
              resource: '{{ .Phases.createCassandraBackup.Output.resource }}'`,
			want: []string{"shop: create,get,list,watch cassandra.k8ssandra.io/cassandrabackups"},
			effects: []string{
				"create cassandrabackups.cassandra.k8ssandra.io shop/…", "wait at most 45m for cassandrabackups.cassandra.k8ssandra.io shop/…",
			},
		},
		"postgres-start-stop: generateName, and the phase's own Secrets": {
			phases: `
    - func: KubeOps
      name: createBackupPod
      args:
        operation: create
        namespace: '{{ .Deployment.Namespace }}'
        spec: |-
          apiVersion: v1
          kind: Pod
          metadata:
            generateName: postgres-backup-session
          spec: {containers: [{name: c, env: [{name: P, value: '{{ index .Phases.createBackupPod.Secrets.pg.Data "p" | toString }}'}]}]}
    - func: WaitV2
      name: wait
      args:
        timeout: 5m
        conditions:
          allOf:
          - condition: '{{ $.status.ready }}'
            objectReference: {apiVersion: v1, resource: pods, name: "{{ .Phases.createBackupPod.Output.name }}", namespace: '{{ .Deployment.Namespace }}'}`,
			want:    []string{"shop: create,list /pods", "shop: get,watch /pods [postgres-backup-sessionNNNNN]"},
			effects: []string{"create pods shop/postgres-backup-sessionNNNNN", "wait at most 5m for pods shop/postgres-backup-sessionNNNNN"},
			madeUp:  true,
		},
		"a namespace is looked at from inside, deleted from outside": {
			phases: `
    - func: WaitV2
      name: wait
      args:
        timeout: 1m
        conditions:
          allOf:
          - {condition: '{{ eq $.status.phase "Active" }}', objectReference: {apiVersion: v1, resource: namespaces, name: "{{ .Deployment.Namespace }}"}}
          - {condition: '{{ eq $.status.phase "Active" }}', objectReference: {apiVersion: v1, resource: namespaces, name: "{{ .Deployment.Namespace }}"}}
    - func: KubeOps
      name: patch
      args: {operation: patch, objectReference: {apiVersion: v1, resource: namespaces, name: shop}, spec: "metadata: {labels: {a: b}}"}
    - func: KubeOps
      name: delete
      args: {operation: delete, objectReference: {apiVersion: v1, resource: namespaces, name: old}}`,
			want:    []string{"shop: get,patch /namespaces [shop]", ": delete,list,watch /namespaces [old]"},
			effects: []string{"wait at most 1m for namespaces shop", "patch namespaces shop", "delete namespaces old"},
		},
		"what another function puts out is not known": {
			phases: find + `
    - func: KubeOps
      name: delete
      args: {operation: delete, objectReference: {apiVersion: v1, resource: "{{ .Phases.find.Output.resource }}", name: x}}
    - func: KubeOps
      name: create
      args: {operation: create, spec: "{{ .Phases.find.Output.yaml }}"}`,
			effects: []string{"run a pod with image x in namespace shop", "delete …", "create …"},
			warns:   []string{`phase "delete"`, `phase "create"`, "--service-account"},
		},
		"a namespace that only the run knows": {
			phases: find + `
    - func: KubeOps
      name: delete
      args: {operation: delete, objectReference: {apiVersion: v1, resource: configmaps, name: x, namespace: "{{ .Phases.find.Output.ns }}"}}`,
			want:    []string{"shop: delete,list,watch /configmaps [x]", "run: delete,list,watch /configmaps [x]"},
			effects: []string{"run a pod with image x in namespace shop", "delete configmaps x"},
			warns:   []string{`the namespace of its configmaps`},
		},
		"what the cluster does not have": {
			phases: `
    - func: KubeOps
      name: delete
      args: {operation: delete, objectReference: {apiVersion: v1, group: apps, resource: deployment, name: x}}`,
			effects: []string{"delete …"}, warns: []string{`did you mean "deployments"?`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := planned(t, test.phases)
			base := append(lines(planned(t, find).Grants), "shop: list /pods") // of the target

			generated := ""
			for _, name := range p.MadeUp {
				if name != "go-web-1-find" { // that is the worker pod's
					generated = name
				}
			}

			if test.madeUp != (generated != "") {
				t.Errorf("made up: %q", p.MadeUp)
			}

			plain := func(text string) string {
				if generated == "" {
					return text
				}

				return strings.ReplaceAll(text, generated, generated[:len(generated)-5]+"NNNNN")
			}

			var got []string
			for _, l := range lines(p.Grants) {
				if !slices.Contains(base, l) {
					got = append(got, plain(l))
				}
			}

			slices.Sort(got)
			slices.Sort(test.want)

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("grants (-want +got):\n%s", diff)
			}

			var effects []string
			for _, phase := range p.Phases {
				effects = append(effects, plain(strings.Join(phase.Effects, "; ")))
			}

			if diff := cmp.Diff(test.effects, effects); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}

			warnings := strings.Join(p.Warnings, "\n")
			for _, says := range test.warns {
				if !strings.Contains(warnings, says) {
					t.Errorf("no warning says %q: %s", says, warnings)
				}
			}

			if len(test.warns) == 0 && strings.Contains(warnings, "phase") {
				t.Errorf("warnings: %s", warnings)
			}
		})
	}
}
