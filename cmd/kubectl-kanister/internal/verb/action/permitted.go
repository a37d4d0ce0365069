package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/access"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
)

// permitted checks that the user may do all that the plans need, before anything is created. What is missing is printed as
// a Role that an administrator can apply. Optional permissions that the user lacks are taken out of the plans.
func (o *Options) permitted(ctx context.Context, attempts []*attempt) error {
	if o.DryRun == dryRunClient {
		for _, a := range going(attempts) {
			a.err = a.denied
		}

		return nil
	}

	reviewer := access.Remember(access.Cluster{Client: o.client})

	var (
		missing  []string
		document []byte
	)

	for _, a := range going(attempts) {
		denied, err := check(ctx, reviewer, a.plan)
		if apierrors.IsForbidden(err) {
			fmt.Fprintf(o.talk(), "warning: your permissions cannot be checked before: %v\n", err)

			return nil
		}

		if err != nil {
			return fmt.Errorf("checking your permissions: %w", err)
		}

		if len(denied) == 0 {
			continue
		}

		for _, line := range access.Summary(a.plan, denied) {
			if !slices.Contains(missing, line) {
				missing = append(missing, line)
			}
		}

		role, err := manifest(ctx, reviewer, a.plan)
		if err != nil {
			return err
		}

		if len(document) > 0 {
			document = append(document, "---\n"...)
		}

		document = append(document, role...)
	}

	if len(missing) == 0 {
		for _, a := range going(attempts) {
			a.err = a.denied // the plan has gaps, whatever the API server says of permissions
		}

		return nil
	}

	fmt.Fprintf(o.talk(), "# An administrator of the namespace applies this to let you do it:\n%s# end\n", document)

	return exit.New(exit.NotPermitted, errors.New("you lack permissions, nothing was created:\n  "+strings.Join(missing, "\n  ")),
		"have the Role above applied, or use --service-account with an account that exists")
}

// check returns what the user lacks and takes optional permissions that he lacks out of the plan.
func check(ctx context.Context, reviewer access.Reviewer, p *plan.Plan) ([]plan.Grant, error) {
	result, err := access.Check(ctx, reviewer, access.Needs(p))
	if err != nil {
		return nil, err
	}

	if err := forgive(ctx, reviewer, p, result); err != nil {
		return nil, err
	}

	drop(p, result.Dropped)

	return result.Missing, nil
}

// forgive removes from the missing permissions those that the user need not hold, because he may grant what he does not have.
func forgive(ctx context.Context, reviewer access.Reviewer, p *plan.Plan, result *access.Result) error {
	own, err := access.Check(ctx, reviewer, access.Own(p))
	if err != nil || (len(result.Missing) == len(own.Missing) && len(result.Dropped) == len(own.Dropped)) {
		return err
	}

	for _, namespace := range append(p.Namespaces(), "") {
		free, err := access.MayEscalate(ctx, reviewer, namespace)
		if err != nil {
			return err
		}

		if !free {
			continue
		}

		isOwn := func(g plan.Grant, of []plan.Grant) bool {
			return slices.ContainsFunc(of, func(o plan.Grant) bool { return access.Words(o) == access.Words(g) })
		}
		result.Missing = slices.DeleteFunc(result.Missing, func(g plan.Grant) bool { return g.Namespace == namespace && !isOwn(g, own.Missing) })
		result.Dropped = slices.DeleteFunc(result.Dropped, func(g plan.Grant) bool { return g.Namespace == namespace && !isOwn(g, own.Dropped) })
	}

	return nil
}

// drop takes optional grants that the user cannot pass on out of the plan, and says so. Without the right to make cluster
// roles no optional cluster-scoped grant can be given at all.
func drop(p *plan.Plan, dropped []plan.Grant) {
	if len(dropped) == 0 || p.ServiceAccount != "" {
		return
	}

	noClusterRoles := slices.ContainsFunc(dropped, func(g plan.Grant) bool {
		return g.Namespace == "" && g.Rule.APIGroups[0] == rbacv1.GroupName && g.Rule.Verbs[0] == "create"
	})

	var kept []plan.Grant

	for _, grant := range p.Grants {
		lacking := noClusterRoles && grant.Namespace == ""

		for _, atom := range dropped {
			lacking = lacking || atom.Namespace == grant.Namespace && slices.Contains(grant.Rule.Resources, atom.Rule.Resources[0]) &&
				slices.Contains(grant.Rule.APIGroups, atom.Rule.APIGroups[0]) && slices.Contains(grant.Rule.Verbs, atom.Rule.Verbs[0])
		}

		if !grant.Optional || !lacking {
			kept = append(kept, grant)

			continue
		}

		if grant.Why != "" {
			p.Warnings = append(p.Warnings, fmt.Sprintf("the run goes without %s (%s): you do not hold it", access.Words(grant), grant.Why))
		}
	}

	p.Grants = kept
}

func manifest(ctx context.Context, reviewer access.Reviewer, p *plan.Plan) ([]byte, error) {
	user, err := reviewer.User(ctx)
	if err != nil {
		user = rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "YOUR-USER-NAME"} // the API server is older than 1.28
	}

	return access.Manifest(p, access.Needs(p), user)
}
