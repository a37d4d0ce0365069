package plan

import (
	"cmp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Merge makes the shortest list of grants that allows the same: verbs of the same resources together, then resources of the
// same verbs; sorted by namespace, then by API group and resource. A grant that somebody needs is not optional any more.
func Merge(grants []Grant) []Grant {
	grants = widen(grants)
	grants = fold(grants, func(g Grant) string { return key(g, g.Rule.Resources, nil) }, func(into *Grant, from Grant) {
		into.Rule.Verbs = union(into.Rule.Verbs, from.Rule.Verbs)
	})
	grants = fold(grants, func(g Grant) string { return key(g, nil, g.Rule.Verbs) }, func(into *Grant, from Grant) {
		into.Rule.Resources = union(into.Rule.Resources, from.Rule.Resources)
	})

	slices.SortFunc(grants, func(a, b Grant) int {
		return cmp.Or(
			strings.Compare(a.Namespace, b.Namespace),
			slices.Compare(a.Rule.APIGroups, b.Rule.APIGroups),
			slices.Compare(a.Rule.Resources, b.Rule.Resources),
			slices.Compare(a.Rule.ResourceNames, b.Rule.ResourceNames),
			slices.Compare(a.Rule.Verbs, b.Rule.Verbs),
		)
	})

	return grants
}

// widen breaks the grants into one per resource and verb and drops those that another one allows already: a named one
// beside one for any name, an optional one beside a needed one.
func widen(grants []Grant) []Grant {
	type atom struct{ namespace, group, resource, verb, names string }

	var (
		needed   = map[atom]bool{}
		expanded []Grant
	)

	for _, grant := range grants {
		for _, group := range grant.Rule.APIGroups {
			for _, resource := range grant.Rule.Resources {
				for _, verb := range grant.Rule.Verbs {
					one := grant
					one.Rule = rbacv1.PolicyRule{
						APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb},
						ResourceNames: slices.Sorted(slices.Values(grant.Rule.ResourceNames)),
					}
					expanded = append(expanded, one)

					if !grant.Optional {
						needed[atom{grant.Namespace, group, resource, verb, strings.Join(one.Rule.ResourceNames, ",")}] = true
					}
				}
			}
		}
	}

	return slices.DeleteFunc(expanded, func(g Grant) bool {
		at := atom{namespace: g.Namespace, group: g.Rule.APIGroups[0], resource: g.Rule.Resources[0], verb: g.Rule.Verbs[0]}
		named := at
		named.names = strings.Join(g.Rule.ResourceNames, ",")

		return (g.Optional && needed[named]) || (len(g.Rule.ResourceNames) > 0 && needed[at])
	})
}

// fold joins grants that have the same key.
func fold(grants []Grant, keyOf func(Grant) string, join func(into *Grant, from Grant)) []Grant {
	var (
		out   []Grant
		index = map[string]int{}
	)

	for _, grant := range grants {
		k := keyOf(grant)

		i, known := index[k]
		if !known {
			index[k] = len(out)

			out = append(out, grant)

			continue
		}

		join(&out[i], grant)
		out[i].Why = reasons(out[i].Why, grant.Why)
	}

	return out
}

func key(g Grant, resources, verbs []string) string {
	parts := []string{g.Namespace, strings.Join(g.Rule.APIGroups, ","), strings.Join(resources, ","), strings.Join(verbs, ","),
		strings.Join(g.Rule.ResourceNames, ",")}
	if g.Optional {
		parts = append(parts, "optional")
	}

	return strings.Join(parts, "\x00")
}

// reasons are those of both, each once. A reason may itself have a semicolon.
func reasons(a, b string) string {
	if strings.Contains("; "+a+"; ", "; "+b+"; ") || b == "" {
		return a
	}

	if a == "" {
		return b
	}

	return a + "; " + b
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)

	return slices.Compact(all)
}
