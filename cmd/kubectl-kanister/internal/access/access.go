// Package access checks, before anything is created, that the user may do what a run needs: make its objects, and hold every
// permission that the run's Role grants, because Kubernetes lets nobody grant what he does not hold.
package access

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
)

// Reviewer answers what the user may do. It is called from several goroutines at once.
type Reviewer interface {
	// Rules are those that the user is known to have in namespace ("" for the cluster); what they allow is allowed. complete
	// says that there are no others.
	Rules(ctx context.Context, namespace string) (rules []rbacv1.PolicyRule, complete bool, err error)
	// Allowed asks for one thing.
	Allowed(ctx context.Context, what authorizationv1.ResourceAttributes) (bool, error)
	// User is the user as role bindings name him.
	User(ctx context.Context) (rbacv1.Subject, error)
}

// Result of a check.
type Result struct {
	// Missing permissions, one verb on one resource each, sorted as the needs were. Empty: go ahead.
	Missing []plan.Grant
	// Dropped are optional grants that the user does not hold and so cannot pass on.
	Dropped []plan.Grant
}

// parallel requests at most: a laptop behind a VPN feels each round trip, an API server none of these.
const parallel = 16

// Check finds out which of needs the user does not have.
func Check(ctx context.Context, reviewer Reviewer, needs []plan.Grant) (*Result, error) {
	atoms := breakdown(needs)
	if len(atoms) == 0 {
		return &Result{}, nil
	}

	open, err := byRules(ctx, reviewer, atoms)
	if err != nil {
		return nil, err
	}

	denied, err := byQuestions(ctx, reviewer, open)
	if err != nil {
		return nil, err
	}

	result := &Result{}

	for _, grant := range denied {
		if grant.Optional {
			result.Dropped = append(result.Dropped, grant)
		} else {
			result.Missing = append(result.Missing, grant)
		}
	}

	return result, nil
}

// breakdown splits needs into one verb on one resource (and name) each, without doubles.
func breakdown(needs []plan.Grant) []plan.Grant {
	var (
		atoms []plan.Grant
		seen  = map[string]bool{}
	)

	for _, need := range needs {
		for _, rule := range validation.BreakdownRule(need.Rule) {
			atom := plan.Grant{Namespace: need.Namespace, Rule: rule, Why: need.Why, Optional: need.Optional}

			if k := key(atom); !seen[k] {
				seen[k] = true

				atoms = append(atoms, atom)
			}
		}
	}

	return atoms
}

func key(g plan.Grant) string {
	return strings.Join([]string{
		g.Namespace, g.Rule.APIGroups[0], g.Rule.Resources[0], strings.Join(g.Rule.ResourceNames, ","), g.Rule.Verbs[0], fmt.Sprint(g.Optional),
	}, "\x00")
}

// byRules drops what the user's rules allow: one request per namespace instead of one per permission. What is left is denied
// only if the answer was complete; it is asked for again in any case, since denials must be beyond doubt.
func byRules(ctx context.Context, reviewer Reviewer, atoms []plan.Grant) ([]plan.Grant, error) {
	rules := map[string][]rbacv1.PolicyRule{}

	for _, atom := range atoms {
		if _, asked := rules[atom.Namespace]; asked {
			continue
		}

		held, _, err := reviewer.Rules(ctx, atom.Namespace)
		if err != nil {
			return nil, err
		}

		rules[atom.Namespace] = held
	}

	return slices.DeleteFunc(slices.Clone(atoms), func(atom plan.Grant) bool {
		covered, _ := validation.Covers(rules[atom.Namespace], []rbacv1.PolicyRule{atom.Rule})

		return covered
	}), nil
}

// byQuestions asks for each of atoms and returns those that are denied.
func byQuestions(ctx context.Context, reviewer Reviewer, atoms []plan.Grant) ([]plan.Grant, error) {
	allowed := make([]bool, len(atoms))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)

	for i, atom := range atoms {
		group.Go(func() error {
			var err error

			allowed[i], err = reviewer.Allowed(ctx, attributes(atom))

			return err
		})
	}

	if err := group.Wait(); err != nil {
		return nil, err
	}

	var denied []plan.Grant

	for i, atom := range atoms {
		if !allowed[i] {
			denied = append(denied, atom)
		}
	}

	return denied, nil
}

func attributes(atom plan.Grant) authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(atom.Rule.Resources[0], "/")
	what := authorizationv1.ResourceAttributes{
		Namespace: atom.Namespace, Verb: atom.Rule.Verbs[0], Group: atom.Rule.APIGroups[0], Resource: resource, Subresource: subresource,
	}

	if len(atom.Rule.ResourceNames) > 0 {
		what.Name = atom.Rule.ResourceNames[0]
	}

	return what
}

// Words is a permission as a sentence: "create jobs.batch in namespace demo".
func Words(g plan.Grant) string {
	resources := make([]string, 0, len(g.Rule.Resources))

	for _, resource := range g.Rule.Resources {
		if group := g.Rule.APIGroups[0]; group != "" {
			base, sub, nested := strings.Cut(resource, "/")
			resource = base + "." + group

			if nested {
				resource += "/" + sub
			}
		}

		resources = append(resources, resource)
	}

	text := strings.Join(g.Rule.Verbs, ", ") + " " + strings.Join(resources, ", ")
	for _, name := range g.Rule.ResourceNames {
		text += fmt.Sprintf(" %q", name)
	}

	if g.Namespace == "" {
		return text + " in the whole cluster"
	}

	return text + " in namespace " + g.Namespace
}

// Summary is what is missing for p, in as few lines as possible. Names that the plan made up are left out.
func Summary(p *plan.Plan, missing []plan.Grant) []string {
	var lines []string
	for _, grant := range plan.Merge(anyRun(p, missing)) {
		lines = append(lines, Words(grant))
	}

	return lines
}
