package access

import (
	"context"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Cluster is the Reviewer that asks the API server.
type Cluster struct{ Client kubernetes.Interface }

// Rules asks for the user's rules. The cluster-scoped ones are those that hold in any namespace, so they cannot be told from a
// namespace's: for "" nothing is known, and every permission is asked for by itself.
func (c Cluster) Rules(ctx context.Context, namespace string) ([]rbacv1.PolicyRule, bool, error) {
	if namespace == "" {
		return nil, false, nil
	}

	review, err := c.Client.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx,
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	if err != nil {
		return nil, false, fmt.Errorf("asking for your permissions in namespace %q: %w", namespace, err)
	}

	rules := make([]rbacv1.PolicyRule, 0, len(review.Status.ResourceRules))
	for _, rule := range review.Status.ResourceRules {
		rules = append(rules, rbacv1.PolicyRule{
			Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames,
		})
	}

	return rules, !review.Status.Incomplete, nil
}

// Allowed asks by a SelfSubjectAccessReview.
func (c Cluster) Allowed(ctx context.Context, what authorizationv1.ResourceAttributes) (bool, error) {
	review, err := c.Client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx,
		&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &what}}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking whether you may %s %s: %w", what.Verb, what.Resource, err)
	}

	return review.Status.Allowed, nil
}

// User asks who the user is.
func (c Cluster) User(ctx context.Context) (rbacv1.Subject, error) {
	review, err := c.Client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return rbacv1.Subject{}, fmt.Errorf("asking who you are: %w", err)
	}

	return subject(review.Status.UserInfo.Username), nil
}

func subject(user string) rbacv1.Subject {
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		if namespace, name, ok := strings.Cut(account, ":"); ok {
			return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
		}
	}

	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}
}
