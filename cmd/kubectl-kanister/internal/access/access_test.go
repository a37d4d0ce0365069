package access_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/access"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// cluster is a Reviewer whose user has rules per namespace. Silent ones are not told by Rules, as with a webhook authorizer.
type cluster struct {
	rules, silent map[string][]rbacv1.PolicyRule
	fail          error

	mu    sync.Mutex
	asked []string
}

func (c *cluster) Rules(_ context.Context, namespace string) ([]rbacv1.PolicyRule, bool, error) {
	return c.rules[namespace], false, c.fail
}

func (c *cluster) Allowed(_ context.Context, what authorizationv1.ResourceAttributes) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.asked = append(c.asked, strings.Join([]string{what.Namespace, what.Verb, what.Group, what.Resource, what.Subresource, what.Name}, " "))

	for _, rule := range slices.Concat(c.rules[what.Namespace], c.silent[what.Namespace]) {
		resource := what.Resource
		if what.Subresource != "" {
			resource += "/" + what.Subresource
		}

		if slices.Contains(rule.Verbs, what.Verb) && slices.Contains(rule.Resources, resource) && slices.Contains(rule.APIGroups, what.Group) &&
			(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, what.Name)) {
			return true, nil
		}
	}

	return false, c.fail
}

func (c *cluster) User(context.Context) (rbacv1.Subject, error) {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "jane"}, nil
}

func rule(verbs, group, resources string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Split(verbs, ","), APIGroups: []string{group}, Resources: strings.Split(resources, ","), ResourceNames: names}
}

func grant(namespace string, r rbacv1.PolicyRule) plan.Grant {
	return plan.Grant{Namespace: namespace, Rule: r}
}

func words(grants []plan.Grant) []string {
	var all []string
	for _, g := range grants {
		all = append(all, access.Words(g))
	}

	return all
}

func TestCheck(t *testing.T) {
	optional := grant("", rule("list", "storage.k8s.io", "storageclasses"))
	optional.Optional = true

	needs := []plan.Grant{
		grant("demo", rule("get,patch", "apps", "deployments", "web")),
		grant("demo", rule("create", "", "pods,pods/exec")),
		grant("demo", rule("create", "", "pods")), // twice: asked once
		grant("db", rule("get", "", "secrets", "creds")),
		optional,
	}

	for name, test := range map[string]struct {
		cluster          *cluster
		missing, dropped []string
		questions        int
	}{
		"nothing held": {
			cluster: &cluster{},
			missing: []string{
				`get deployments.apps "web" in namespace demo`, `patch deployments.apps "web" in namespace demo`,
				"create pods in namespace demo", "create pods/exec in namespace demo", `get secrets "creds" in namespace db`,
			},
			dropped: []string{"list storageclasses.storage.k8s.io in the whole cluster"}, questions: 6,
		},
		"rules tell all": {
			cluster: &cluster{rules: map[string][]rbacv1.PolicyRule{
				"demo": {rule("*", "*", "*")}, "db": {rule("get,list", "", "secrets")}, "": nil,
			}},
			dropped: []string{"list storageclasses.storage.k8s.io in the whole cluster"}, questions: 1,
		},
		"rules are silent": {
			cluster: &cluster{silent: map[string][]rbacv1.PolicyRule{
				"demo": {rule("get", "apps", "deployments"), rule("create", "", "pods,pods/exec")},
				"db":   {rule("get", "", "secrets", "other")}, "": {rule("list", "storage.k8s.io", "storageclasses")},
			}},
			missing:   []string{`patch deployments.apps "web" in namespace demo`, `get secrets "creds" in namespace db`},
			questions: 6,
		},
		"a rule for pods is none for pods/exec": {
			cluster: &cluster{rules: map[string][]rbacv1.PolicyRule{
				"demo": {rule("create", "", "pods"), rule("*", "apps", "*")}, "db": {rule("*", "*", "*")},
			}},
			missing: []string{"create pods/exec in namespace demo"}, dropped: []string{"list storageclasses.storage.k8s.io in the whole cluster"}, questions: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := access.Check(t.Context(), test.cluster, needs)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.missing, words(result.Missing)); diff != "" {
				t.Errorf("missing: %s", diff)
			}

			if diff := cmp.Diff(test.dropped, words(result.Dropped)); diff != "" {
				t.Errorf("dropped: %s", diff)
			}

			if len(test.cluster.asked) != test.questions {
				t.Errorf("%d questions, want %d: %q", len(test.cluster.asked), test.questions, test.cluster.asked)
			}
		})
	}
}

func TestCheckFails(t *testing.T) {
	broken := errors.New("connection refused")
	if _, err := access.Check(t.Context(), &cluster{fail: broken}, []plan.Grant{grant("demo", rule("get", "", "pods"))}); !errors.Is(err, broken) {
		t.Errorf("got %v: an API server that does not answer is no denial", err)
	}
}

func examplePlan() *plan.Plan {
	return &plan.Plan{
		Input: record.Input{Run: "backup-web-7f3k2", Namespace: "demo", Action: "backup", Target: blueprint.ObjectReference{Kind: "deployment", Name: "web", Namespace: "demo"}},
		Grants: []plan.Grant{
			{Rule: rule("get", "storage.k8s.io", "storageclasses"), Optional: true},
			grant("demo", rule("get", "apps", "deployments", "web")),
			grant("demo", rule("get,update", "", "configmaps", "backup-web-7f3k2")),
			grant("demo", rule("delete", "", "pods", "session-7f3k2")),
		},
		MadeUp: []string{"session-7f3k2"},
	}
}

// TestManifestSuffices: whoever has nothing but the printed Role may do the run, and the next run of the same kind.
func TestManifestSuffices(t *testing.T) {
	p := examplePlan()

	document, err := access.Manifest(p, access.Needs(p), rbacv1.Subject{Kind: "User", Name: "jane@example.org"})
	if err != nil {
		t.Fatal(err)
	}

	held := map[string][]rbacv1.PolicyRule{}

	for _, part := range strings.Split(string(document), "---\n") {
		var role rbacv1.Role
		if err := yaml.UnmarshalStrict([]byte(part), &role); err == nil && role.Kind == "Role" {
			held[role.Namespace] = role.Rules
		}
	}

	next := examplePlan()
	next.Input.Run = "backup-web-zzzzz"
	next.Grants[2].Rule.ResourceNames = []string{next.Input.Run}
	next.Grants[3].Rule.ResourceNames = []string{"session-zzzzz"} // a name that is made of the run's

	for _, planned := range []*plan.Plan{p, next} {
		result, err := access.Check(t.Context(), &cluster{rules: held}, access.Needs(planned))
		if err != nil {
			t.Fatal(err)
		}

		if len(result.Missing) > 0 {
			t.Errorf("with the Role of\n%s\nrun %s still lacks %q", document, planned.Run(), words(result.Missing))
		}
	}

	if strings.Contains(string(document), "ClusterRole") {
		t.Errorf("the Role asks for the cluster for a convenience:\n%s", document)
	}
}

func TestManifestName(t *testing.T) {
	p := examplePlan()

	for user, want := range map[string]string{
		"jane":                         "name: kanister-backup-web-jane\n",
		"system:serviceaccount:ci:bot": "name: kanister-backup-web-system-serviceaccount-ci-bot-a642a5a7\n",
		"Jane Doe@example.org":         "name: kanister-backup-web-jane-doe-example.org-10b773a0\n",
		strings.Repeat("j", 200):       "name: kanister-jjjjjjj",
	} {
		document, err := access.Manifest(p, access.Needs(p), rbacv1.Subject{Kind: "User", Name: user})
		if err != nil {
			t.Fatal(err)
		}

		if !strings.Contains(string(document), want) {
			t.Errorf("user %q: no %q in\n%s", user, want, document)
		}
	}
}

// TestNeedsOfAnExistingAccount: no Role is made, so nothing need be held to be granted.
func TestNeedsOfAnExistingAccount(t *testing.T) {
	p := examplePlan()
	p.ServiceAccount = "operator"

	for _, need := range access.Needs(p) {
		if need.Rule.APIGroups[0] == rbacv1.GroupName || slices.Contains(need.Rule.Resources, "serviceaccounts") || slices.Contains(need.Rule.Resources, "deployments") {
			t.Errorf("needs %s", access.Words(need))
		}
	}
}

func TestRemember(t *testing.T) {
	c := &cluster{}
	remembered := access.Remember(c)

	for range 3 {
		if _, err := access.Check(t.Context(), remembered, []plan.Grant{grant("demo", rule("get", "", "pods"))}); err != nil {
			t.Fatal(err)
		}
	}

	if len(c.asked) != 1 {
		t.Errorf("asked %d times", len(c.asked))
	}
}
