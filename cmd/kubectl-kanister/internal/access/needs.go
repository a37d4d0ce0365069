package access

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
)

// Needs are what the user must be able to do himself to start and follow the run, and what he must hold because the run's
// Role grants it. The Role's part is left out when an existing ServiceAccount is used.
func Needs(p *plan.Plan) []plan.Grant {
	needs := append(Own(p), p.Reads...)

	if p.ServiceAccount == "" {
		needs = append(needs, p.Grants...)
	}

	return needs
}

// Own are the user's own permissions: making the run's objects, starting the Job, giving it up, following it.
func Own(p *plan.Plan) []plan.Grant {
	namespace, run := p.Namespace(), p.Run()
	grant := func(namespace, group, why string, verbs, names []string, resources ...string) plan.Grant {
		return plan.Grant{Namespace: namespace, Why: why, Rule: rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: resources, Verbs: verbs, ResourceNames: names,
		}}
	}
	create, named := []string{"create"}, []string{run}

	const start, follow = "to start the run", "to follow the run"

	needs := []plan.Grant{
		grant(namespace, "batch", start, create, nil, "jobs"),
		grant(namespace, "batch", "to start the Job and to give up one that cannot start", []string{"get", "patch", "delete"}, named, "jobs"),
		grant(namespace, "batch", follow, []string{"list", "watch"}, named, "jobs"),
		grant(namespace, "", start, create, nil, "secrets", "configmaps"),
		grant(namespace, "", follow, []string{"get", "list", "watch", "update", "patch"}, named, "configmaps"),
	}

	for _, need := range []plan.Grant{
		grant(namespace, "", follow, []string{"list", "watch"}, nil, "pods"),
		grant(namespace, "", follow, []string{"get"}, nil, "pods/log"),
		grant(namespace, "", follow, []string{"list", "watch"}, nil, "events"),
	} {
		need.Optional = true
		needs = append(needs, need)
	}

	if p.ServiceAccount != "" {
		return needs
	}

	needs = append(needs, grant(namespace, "", start, create, nil, "serviceaccounts"))

	for _, at := range p.Namespaces() {
		needs = append(needs, grant(at, rbacv1.GroupName, start, create, nil, "roles", "rolebindings"))
		if at != namespace { // not owned by the Job: removed by us
			needs = append(needs, grant(at, rbacv1.GroupName, "to remove what the Job cannot own", []string{"delete"}, named, "roles", "rolebindings"))
		}
	}

	if len(p.Rules("")) > 0 {
		clusterName := []string{pack.ClusterName(run, namespace)}
		for _, need := range []plan.Grant{
			grant("", rbacv1.GroupName, start, create, nil, "clusterroles", "clusterrolebindings"),
			grant("", rbacv1.GroupName, "to remove what the Job cannot own", []string{"delete"}, clusterName, "clusterroles", "clusterrolebindings"),
		} {
			need.Optional = onlyOptional(p)
			needs = append(needs, need)
		}
	}

	return needs
}

// onlyOptional tells whether the run can do without all its cluster-scoped permissions.
func onlyOptional(p *plan.Plan) bool {
	for _, grant := range p.Grants {
		if grant.Namespace == "" && !grant.Optional {
			return false
		}
	}

	return true
}
