package plan

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// runnerGrants are what the runner itself needs whatever the blueprint does: its record, the events that explain why a pod does not
// start, and what it takes to bring a workload back when its Job is deleted.
func runnerGrants(run, namespace string) []Grant {
	return []Grant{
		{Namespace: namespace, Why: "the run record", Rule: rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{run},
			Verbs: []string{"get", "list", "watch", "update", "patch"},
		}},
		{Namespace: namespace, Why: "why a pod does not start", Optional: true, Rule: rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list"},
		}},
		{Namespace: namespace, Why: "whether another runner will follow", Rule: rbacv1.PolicyRule{
			APIGroups: []string{"batch"}, Resources: []string{"jobs"}, ResourceNames: []string{run}, Verbs: []string{"get"},
		}},
		keepGrant(run, namespace, "", "serviceaccounts"), keepGrant(run, namespace, rbacv1.GroupName, "roles", "rolebindings"),
	}
}

// keepGrant lets the runner pod become an owner of what gives it its rights: it keeps them for its last minute when the Job is deleted.
// Nobody can widen a Role with it, Kubernetes sees to that.
func keepGrant(run, namespace, group string, resources ...string) Grant {
	return Grant{Namespace: namespace, Why: "to bring back what was changed when the Job is deleted", Rule: rbacv1.PolicyRule{
		APIGroups: []string{group}, Resources: resources, ResourceNames: []string{run}, Verbs: []string{"patch"},
	}}
}

// adoptionGrants let the runner make its Job the owner of what was applied without one.
func adoptionGrants(run, namespace string) []Grant {
	named := func(group string, resources ...string) Grant {
		return Grant{Namespace: namespace, Why: "to make the Job the owner of what was applied with it", Rule: rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: resources, ResourceNames: []string{run}, Verbs: []string{"get", "patch"},
		}}
	}

	return []Grant{named("", "secrets", "serviceaccounts"), named(rbacv1.GroupName, "roles", "rolebindings")}
}

// targetGrants are what the template parameters of the target are made from (COMPAT §7).
func targetGrants(target blueprint.ObjectReference) []Grant {
	namespace := target.Namespace
	if namespace == "" && target.Kind == "namespace" {
		namespace = target.Name
	}

	grant := func(group string, verbs []string, names []string, resources ...string) Grant {
		return Grant{Namespace: namespace, Why: "the target's template parameters", Rule: rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: resources, Verbs: verbs, ResourceNames: names,
		}}
	}

	var (
		get   = []string{"get"}
		list  = []string{"list"}
		named = []string{target.Name}
	)

	switch target.Kind {
	case "deployment":
		return []Grant{grant("apps", get, named, "deployments"), grant("apps", list, nil, "replicasets"), grant("", list, nil, "pods")}
	case "statefulset":
		return []Grant{grant("apps", get, named, "statefulsets"), grant("", list, nil, "pods")}
	case "deploymentconfig":
		return []Grant{
			grant("apps.openshift.io", get, named, "deploymentconfigs"),
			grant("", list, nil, "replicationcontrollers"), grant("", list, nil, "pods"),
		}
	case "pvc":
		return []Grant{grant("", get, named, "persistentvolumeclaims")}
	case "namespace":
		// A Role suffices: the API server authorizes `get namespaces/foo` inside namespace foo.
		return []Grant{grant("", get, named, "namespaces")}
	default:
		if target.Resource == "" { // kind unstructured without a resource: nothing is fetched
			return nil
		}

		return []Grant{grant(target.Group, get, named, target.Resource)} // namespace "" is the cluster, as it should be
	}
}

// referenceGrants are for the Secrets and ConfigMaps that the run reads by name.
func referenceGrants(references map[string]blueprint.ObjectReference, resource, why, runNamespace string) []Grant {
	var grants []Grant

	for _, name := range sortedKeys(references) {
		reference := references[name]
		if reference.Name == "" {
			continue
		}

		namespace := reference.Namespace
		if namespace == "" {
			namespace = runNamespace
		}

		grants = append(grants, Grant{Namespace: namespace, Why: why, Rule: rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{resource}, ResourceNames: []string{reference.Name}, Verbs: []string{"get"},
		}})
	}

	return grants
}

// objectGrants are for the objects of a phase, rendered. Only Secrets and ConfigMaps are fetched (COMPAT §1.1).
func objectGrants(objects map[string]blueprint.ObjectReference, phase, runNamespace string) []Grant {
	byResource := map[string]map[string]blueprint.ObjectReference{"secrets": {}, "configmaps": {}}

	for name, reference := range objects {
		if references := byResource[strings.ToLower(reference.Kind)+"s"]; references != nil {
			references[name] = reference
		}
	}

	why := "objects of phase " + phase

	return slices.Concat(
		referenceGrants(byResource["secrets"], "secrets", why, runNamespace),
		referenceGrants(byResource["configmaps"], "configmaps", why, runNamespace),
	)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}

	slices.Sort(keys)

	return keys
}
