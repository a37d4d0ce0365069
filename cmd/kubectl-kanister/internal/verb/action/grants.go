package action

import (
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
)

// runNamespace stands for the run's namespace, which is not known when the flags are read.
const runNamespace = "\x00"

// grants parses VERBS:RESOURCE[.GROUP][/SUBRESOURCE][=NAME][@NAMESPACE]; the resource is spelt as by kubectl create role.
func grants(words []string) ([]plan.Grant, error) {
	parsed := make([]plan.Grant, 0, len(words))

	for _, word := range words {
		verbs, what, found := strings.Cut(word, ":")
		what, namespace, elsewhere := strings.Cut(what, "@")
		what, name, named := strings.Cut(what, "=")
		what, subresource, below := strings.Cut(what, "/")
		resource, group, _ := strings.Cut(what, ".")
		empty := resource == "" || named && name == "" || below && subresource == ""

		if below {
			resource += "/" + subresource
		}

		rule := rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: strings.Split(verbs, ",")}
		if named {
			rule.ResourceNames = []string{name}
		}

		for _, verb := range rule.Verbs {
			empty = empty || verb == ""
		}

		if !found || empty {
			return nil, fmt.Errorf("reading --grant %q: want VERBS:RESOURCE[.GROUP][/SUBRESOURCE][=NAME][@NAMESPACE], such as get,list:pods or patch:deployments.apps=web", word)
		}

		if !elsewhere {
			namespace = runNamespace
		}

		parsed = append(parsed, plan.Grant{Namespace: namespace, Rule: rule, Why: "--grant"})
	}

	return parsed, nil
}

// inNamespace puts the namespace of a run into the grants that name none.
func inNamespace(grants []plan.Grant, namespace string) []plan.Grant {
	placed := make([]plan.Grant, len(grants))

	for i, grant := range grants {
		if grant.Namespace == runNamespace {
			grant.Namespace = namespace
		}

		placed[i] = grant
	}

	return placed
}
