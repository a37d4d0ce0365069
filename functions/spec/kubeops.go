package spec

// documentRules are the permissions for what the documents or the reference in argument name, if operation says so.
func documentRules(operation, argument, why string, verbs ...string) Rule {
	return Rule{
		Verbs: verbs, Where: InDocument, DocumentArg: argument, NamespaceArg: "namespace",
		Kinds: []string{operation}, KindArg: "operation", Why: why,
	}
}

// spare marks a rule as needed only when something has gone wrong.
func spare(rule Rule) Rule {
	rule.Spare = true

	return rule
}

var kubeopsFamily = []Function{{
	ID: "KubeOps", Family: "kubeops",
	Summary: "Create, delete or patch Kubernetes objects.",
	Doc: `**create** makes every document of ` + "`spec`" + `, in order; a List is its items. All documents are read, and their kinds looked up in the cluster, before the first is created. A CustomResourceDefinition may be followed by its own objects: the phase waits, at most half a minute, until the cluster serves them. What a later failure leaves is said in the error. An object that is there already fails the phase, unless this run made it before a crash. With ` + "`generateName`" + ` the five characters behind it are made of run, phase and place in the spec, so that plan and successor know the name. Each object gets the annotation ` + "`kanister.io/created-by`" + ` and belongs to the user: it stays when the run has ended.

**delete** deletes the object of ` + "`objectReference`" + ` in the background, as kubectl does, and waits, by watch, until it is gone. Finalizers that hold it show in the run's progress and in the error when ` + "`timeout`" + ` is over. An object that does not exist fails the phase, unless a lost runner may have deleted it.

**patch** lays ` + "`spec`" + `, one part of the object, over the object of ` + "`objectReference`" + `: by strategic merge where the resource knows how, else (custom resources) by JSON merge, where lists are replaced as a whole.

The namespace is that of the document or of ` + "`objectReference`" + `, else ` + "`namespace`" + `, else ` + "`default`" + `, as upstream has it. Objects of the cluster have none. ` + "`apiVersion`" + ` in a reference is the version alone, with ` + "`group`" + ` beside it; ` + "`apps/v1`" + ` does, too.

Permissions are worked out from the document or reference for exactly these resources and names. What depends on an earlier phase's output is known if that phase is a KubeOps as well; otherwise the plan says what it cannot know. An object that grants permissions (a RoleBinding) needs a ServiceAccount that holds them.

Different from upstream: cluster-scoped objects can be deleted, custom resources patched, the wait for a deletion is bounded, ` + "`kind`" + ` is set, deleting a Job does not leave its pods.`,
	Args: []Arg{
		{Name: "operation", Type: String, Required: true, Values: []string{"create", "delete", "patch"}, Doc: "What to do."},
		{Name: "namespace", Type: String, Default: "default", Doc: "Namespace for documents and references that name none."},
		{Name: "spec", Type: String, Doc: "create: the documents, as YAML or JSON. patch: the part of the object to change."},
		{Name: "objectReference", Type: Map, Form: Reference, Doc: "delete and patch: the object, by apiVersion, group, resource, name and namespace."},
		{Name: "timeout", Type: String, Form: Duration, Default: "15m", Doc: "delete: how long to wait until the object is gone, as a Go duration. Ours."},
	},
	Outputs: []Output{
		{Name: "apiVersion", Type: String, Doc: "The version, without the group, of the object; of the last one if several were created."},
		{Name: "group", Type: String, Doc: "Its group; empty for the core group."},
		{Name: "resource", Type: String, Doc: "Its resource, the plural."},
		{Name: "kind", Type: String, Doc: "Its kind."},
		{Name: "name", Type: String, Doc: "Its name."},
		{Name: "namespace", Type: String, Doc: "Its namespace; absent for an object of the cluster."},
	},
	Effects: []string{`{{with .operation}}{{.}}{{end}} {{with .objects}}{{.}}{{end}}`},
	Rules: []Rule{
		documentRules("create", "spec", "create what the spec has", "create"),
		spare(documentRules("create", "spec", "recognise after a crash what the run has created", "get")),
		documentRules("delete", "objectReference", "delete the object and wait until it is gone", "delete", "list", "watch"),
		documentRules("patch", "objectReference", "patch the object", "patch"),
	},
	Repeat: true,
	Example: `- func: KubeOps
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
            containers:
            - image: busybox
              imagePullPolicy: IfNotPresent
              name: container
              ports:
              - containerPort: 80
                name: http
                protocol: TCP
- func: KubeOps
  name: deleteDeploy
  args:
    operation: delete
    objectReference:
      apiVersion: "{{ .Phases.createDeploy.Output.apiVersion }}"
      group: "{{ .Phases.createDeploy.Output.group }}"
      resource: "{{ .Phases.createDeploy.Output.resource }}"
      name: "{{ .Phases.createDeploy.Output.name }}"
      namespace: "{{ .Phases.createDeploy.Output.namespace }}"
`,
}}
