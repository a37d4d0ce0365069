package pack

import (
	"crypto/sha256"
	"encoding/hex"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
)

const rbacVersion = "rbac.authorization.k8s.io/v1"

// addAccess adds a Role and its binding for every namespace of the plan, and the cluster-scoped pair if there are such grants.
func addAccess(objects *Objects, p *plan.Plan) {
	subject := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: p.Run(), Namespace: p.Namespace()}}

	for _, namespace := range p.Namespaces() {
		objects.Roles = append(objects.Roles, &rbacv1.Role{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacVersion, Kind: "Role"}, ObjectMeta: meta(p, namespace), Rules: p.Rules(namespace),
		})
		objects.Bindings = append(objects.Bindings, &rbacv1.RoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacVersion, Kind: "RoleBinding"}, ObjectMeta: meta(p, namespace), Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: p.Run()},
		})
	}

	if rules := p.Rules(""); len(rules) > 0 {
		m := meta(p, "")
		m.Name = ClusterName(p.Run(), p.Namespace())

		objects.ClusterRoles = append(objects.ClusterRoles, &rbacv1.ClusterRole{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacVersion, Kind: "ClusterRole"}, ObjectMeta: m, Rules: rules,
		})
		objects.ClusterBindings = append(objects.ClusterBindings, &rbacv1.ClusterRoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacVersion, Kind: "ClusterRoleBinding"}, ObjectMeta: m, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: m.Name},
		})
	}
}

// ClusterName is the name of a run's cluster-scoped objects: run names are unique in their namespace only.
func ClusterName(run, namespace string) string {
	sum := sha256.Sum256([]byte(namespace))

	return run + "-" + hex.EncodeToString(sum[:4])
}
