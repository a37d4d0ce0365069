package access

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// MayEscalate tells whether the user may grant in namespace what he does not hold, by the verbs escalate and bind.
func MayEscalate(ctx context.Context, reviewer Reviewer, namespace string) (bool, error) {
	roles, bindings := "roles", "rolebindings"
	if namespace == "" {
		roles, bindings = "clusterroles", "clusterrolebindings"
	}

	for _, what := range []authorizationv1.ResourceAttributes{
		{Namespace: namespace, Group: rbacv1.GroupName, Resource: roles, Verb: "escalate"},
		{Namespace: namespace, Group: rbacv1.GroupName, Resource: roles, Verb: "bind"},
		{Namespace: namespace, Group: rbacv1.GroupName, Resource: bindings, Verb: "create"},
	} {
		allowed, err := reviewer.Allowed(ctx, what)
		if err != nil || !allowed {
			return false, err
		}
	}

	return true, nil
}

// Manifest is what an administrator applies so that user may do all of needs, not only what is missing now: a Role of this
// name that was applied before keeps its meaning. Names that the plan made up are left out, because the next run has others.
func Manifest(p *plan.Plan, needs []plan.Grant, user rbacv1.Subject) ([]byte, error) {
	name := "kanister-" + plan.RunName(p.Input.Action, p.Input.Target, strings.ToLower(record.LabelValue(user.Name)))
	byNamespace := map[string][]plan.Grant{}

	for _, need := range anyRun(p, needs) {
		if need.Optional && need.Namespace == "" {
			continue // nobody is asked to hand out the cluster for a convenience
		}

		need.Optional = false
		byNamespace[need.Namespace] = append(byNamespace[need.Namespace], need)
	}

	namespaces := make([]string, 0, len(byNamespace))
	for namespace := range byNamespace {
		namespaces = append(namespaces, namespace)
	}

	slices.Sort(namespaces)

	var documents [][]byte

	for _, namespace := range namespaces {
		for _, object := range pair(name, namespace, plan.Merge(byNamespace[namespace]), user) {
			document, err := yaml.Marshal(object)
			if err != nil {
				return nil, fmt.Errorf("writing the missing role: %w", err)
			}

			document = bytes.ReplaceAll(document, []byte("  creationTimestamp: null\n"), nil)
			documents = append(documents, document)
		}
	}

	return bytes.Join(documents, []byte("---\n")), nil
}

// anyRun leaves out of grants the names that the plan made up: the next run has others.
func anyRun(p *plan.Plan, grants []plan.Grant) []plan.Grant {
	madeUp := append([]string{p.Run(), pack.ClusterName(p.Run(), p.Namespace())}, p.MadeUp...)
	out := make([]plan.Grant, 0, len(grants))

	for _, grant := range grants {
		if slices.ContainsFunc(grant.Rule.ResourceNames, func(name string) bool { return slices.Contains(madeUp, name) }) {
			grant.Rule.ResourceNames = nil
		}

		out = append(out, grant)
	}

	return out
}

func pair(name, namespace string, grants []plan.Grant, user rbacv1.Subject) []any {
	rules := make([]rbacv1.PolicyRule, 0, len(grants))
	for _, grant := range grants {
		rules = append(rules, grant.Rule)
	}

	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	kind, bindingKind := "Role", "RoleBinding"

	if namespace == "" {
		kind, bindingKind = "ClusterRole", "ClusterRoleBinding"
	}

	version := rbacv1.SchemeGroupVersion.String()
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}

	return []any{
		rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: kind}, ObjectMeta: meta, Rules: rules},
		rbacv1.RoleBinding{TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: bindingKind}, ObjectMeta: meta, Subjects: []rbacv1.Subject{user}, RoleRef: ref},
	}
}
