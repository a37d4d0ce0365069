package spec

// scaleRules are what scaling one kind needs.
func scaleRules(group, resource string, kinds ...string) []Rule {
	return []Rule{
		{
			Group: group, Resources: []string{resource + "/scale"}, Verbs: []string{"get", "patch"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "name", OrTarget: true,
			Kinds: kinds, KindArg: "kind", Why: "read and set the replicas",
		},
		{
			Group: group, Resources: []string{resource}, Verbs: []string{"list", "watch"}, Where: InArg, NamespaceArg: "namespace", NamesArg: "name", OrTarget: true,
			Kinds: kinds, KindArg: "kind", Why: "wait until the workload has arrived",
		},
	}
}

var workloadFamily = []Function{{
	ID: "ScaleWorkload", Family: "workload",
	Summary: "Scale a workload and wait until it has arrived.",
	Doc: `Sets the replicas through the scale subresource and touches nothing else of the workload. Scaling down waits until all surplus pods have ended and are gone, scaling up until all replicas are up to date and ready. The wait is by watch and bounded by fifteen minutes, or the longest grace period of a pod and five minutes more; its error says what is missing. What is waited for shows in the run's progress.

Before it scales down, the way back is noted in the run record: if the run fails, is cancelled or its runner is lost for good, the workload is brought back to its replicas. A later phase that scales up takes that over.

Repeating it is safe: after a crash it goes on where it was.

Different from upstream: a conflict with another writer is no failure, and the wait ends.`,
	Args: []Arg{
		{Name: "namespace", Type: String, Default: "the target's namespace", Doc: "Namespace of the workload."},
		{Name: "name", Type: String, Default: "the target's name", Doc: "Name of the workload."},
		{Name: "kind", Type: String, Default: "the target's kind", Values: []string{"deployment", "statefulset", "deploymentconfig"}, Doc: "Kind of the workload."},
		{Name: "replicas", Type: Int, Required: true, Doc: "The number of replicas wanted, as a number or a text with one."},
		{Name: "waitForReady", Type: Bool, Default: "true", Doc: "Whether to wait until the workload has arrived."},
	},
	Outputs: []Output{{Name: "originalReplicaCount", Type: Int, Doc: "The replicas wanted before."}},
	Effects: []string{`scale {{with .kind}}{{.}}{{else}}the target{{end}}{{with .name}} {{.}}{{end}} to {{.replicas}}`},
	Rules: with(
		scaleRules("apps", "deployments", "deployment"),
		scaleRules("apps", "statefulsets", "statefulset"),
		scaleRules("apps.openshift.io", "deploymentconfigs", "deploymentconfig"),
		[]Rule{{Resources: []string{"pods"}, Verbs: []string{"list", "watch"}, Where: InArg, NamespaceArg: "namespace", OrTarget: true, Why: "wait until its pods are ready or gone"}},
	),
	Repeat: true,
	Example: `- func: ScaleWorkload
  name: examplePhase
  args:
    namespace: "{{ .Deployment.Namespace }}"
    name: "{{ .Deployment.Name }}"
    kind: deployment
    replicas: 0
`,
}}
