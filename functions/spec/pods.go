package spec

import "slices"

// podArgs are the arguments of every function that starts a pod (COMPAT §4.0.2, §4.0.3).
func podArgs() []Arg {
	return []Arg{
		{Name: "podOverride", Type: Map, Doc: "A part of a PodSpec, laid over the pod by strategic merge; the worker container is named `container`. The run's own podOverride is laid over this one."},
		{Name: "podLabels", Type: StringMap, Doc: "Labels for the pod, over those of the run."},
		{Name: "podAnnotations", Type: StringMap, Doc: "Annotations for the pod, over those of the run."},
	}
}

// podRules are what worker pods need in the namespace that the argument names. workers are their indices (Rule.Workers), none for any pod.
func podRules(namespaceArg string, workers ...string) []Rule {
	return []Rule{
		{Resources: []string{"pods"}, Verbs: []string{"create", "list", "watch"}, Where: InArg, NamespaceArg: namespaceArg, Why: "run the worker pod and watch it"},
		{Resources: []string{"pods"}, Verbs: []string{"delete"}, Where: InArg, NamespaceArg: namespaceArg, Workers: workers, Why: "remove the worker pod"},
		{Resources: []string{"pods"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: namespaceArg, Workers: workers, Spare: true, Why: "find the worker pod again after a crash"},
		{Resources: []string{"pods/log"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: namespaceArg, Workers: workers, Why: "read what the worker pod writes"},
		{Resources: []string{"secrets"}, Verbs: []string{"create"}, Where: InArg, NamespaceArg: namespaceArg, Spare: true, Why: secretWhy},
		{Resources: []string{"secrets"}, Verbs: []string{"patch", "delete"}, Where: InArg, NamespaceArg: namespaceArg, Workers: workers, Spare: true, Why: secretWhy},
		{Resources: []string{"events"}, Verbs: []string{"list"}, Where: InArg, NamespaceArg: namespaceArg, Optional: true, Why: "say why a worker pod does not start"},
	}
}

const secretWhy = "keep secret parts of the command out of the pod's spec"

// execRules are what a command in a running container needs.
func execRules(namespaceArg, podArg string) []Rule {
	return []Rule{
		{Resources: []string{"pods/exec"}, Verbs: []string{"create", "get"}, Where: InArg, NamespaceArg: namespaceArg, NamesArg: podArg, Why: "run the command (get: over a websocket)"},
		{Resources: []string{"pods"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: namespaceArg, NamesArg: podArg, Optional: true, Why: "say whether the container was restarted when the connection breaks"},
	}
}

// with joins lists of the entries above.
func with[T any](lists ...[]T) []T { return slices.Concat(lists...) }
