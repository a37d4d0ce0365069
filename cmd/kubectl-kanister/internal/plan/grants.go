package plan

import (
	"cmp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// resolver turns the rules of a function into grants for one phase.
type resolver struct {
	run          string
	runNamespace string
	target       blueprint.ObjectReference
	phase        string
	args         map[string]any // rendered; without the unknown ones
	unknown      map[string]bool
	// objects are those that the documents and references in the arguments name, by argument.
	objects map[string][]named
	warn    func(format string, args ...any)
}

// grants are what rule comes to with the phase's arguments: nothing if it does not apply.
func (r resolver) grants(rule spec.Rule) []Grant {
	if !r.applies(rule) {
		return nil
	}

	if rule.Where == spec.InDocument {
		return r.documentGrants(rule)
	}

	var grants []Grant

	for _, namespace := range r.namespaces(rule) {
		for _, policy := range split(rule, r.names(rule)) {
			grants = append(grants, Grant{Namespace: namespace, Rule: policy, Why: rule.Why, Optional: rule.Optional})
		}
	}

	return grants
}

// documentGrants are what rule comes to for the objects that its argument names.
func (r resolver) documentGrants(rule spec.Rule) []Grant {
	var grants []Grant

	for _, object := range r.objects[rule.DocumentArg] {
		one := rule
		one.Group, one.Resources = object.Group, []string{object.Resource.Resource}

		namespaces := object.namespaces

		// See document.Resource.ByGet. A Role inside the namespace also permits to patch it; but it is gone with it.
		if object.ByGet() {
			if slices.Equal(rule.Verbs, []string{"list", "watch"}) {
				one.Verbs = []string{"get"}
			}

			if object.name != "" && (slices.Equal(one.Verbs, []string{"get"}) && !rule.Spare || slices.Equal(one.Verbs, []string{"patch"})) {
				namespaces = []string{object.name}
			}
		}

		var names []string
		if object.name != "" {
			names = []string{object.name}
		}

		for _, namespace := range namespaces {
			for _, policy := range split(one, names) {
				grants = append(grants, Grant{Namespace: namespace, Rule: policy, Why: rule.Why, Optional: rule.Optional})
			}
		}
	}

	return grants
}

// applies checks When and Kinds. What depends on an argument that is not known yet applies.
func (r resolver) applies(rule spec.Rule) bool {
	for _, when := range strings.Fields(rule.When) {
		if name, absent := strings.CutPrefix(when, "!"); r.given(name) == absent {
			return false
		}
	}

	if len(rule.Kinds) == 0 {
		return true
	}

	kind := r.target.Kind

	if rule.KindArg != "" {
		if r.unknown[rule.KindArg] {
			return true
		}

		if text := words(r.args[rule.KindArg]); len(text) == 1 {
			kind = text[0]
		}
	}

	return slices.Contains(rule.Kinds, strings.ToLower(kind))
}

// given: an empty text, and an empty list in JSON, are what functions take for an absent argument.
func (r resolver) given(name string) bool {
	value, known := r.args[name]

	return r.unknown[name] || known && value != "" && value != "[]"
}

// namespaces are where the rule applies. A namespace that only the run itself will find out is taken to be the target's or
// the run's, with a warning: anything wider would be a guess with rights.
func (r resolver) namespaces(rule spec.Rule) []string {
	switch rule.Where {
	case spec.InCluster:
		return []string{""}
	case spec.InTarget:
		return []string{r.targetNamespace()}
	case spec.InArg:
		if r.unknown[rule.NamespaceArg] {
			r.warn("phase %q: argument %q is known only when the run reaches it; its permissions are for namespace %q only, use --service-account if that is not enough",
				r.phase, rule.NamespaceArg, r.targetNamespace())

			return distinct(r.targetNamespace(), r.runNamespace)
		}

		if named := words(r.args[rule.NamespaceArg]); len(named) == 1 {
			return named
		}

		if rule.OrTarget {
			return []string{r.targetNamespace()}
		}

		return []string{r.runNamespace}
	default: // spec.InRun
		return []string{r.runNamespace}
	}
}

func (r resolver) targetNamespace() string {
	return cmp.Or(r.target.Namespace, r.runNamespace)
}

// names are the objects that the rule is limited to; none if any name is meant or the name is not known yet.
func (r resolver) names(rule spec.Rule) []string {
	if len(rule.Workers) > 0 {
		return r.workers(rule)
	}

	if rule.NamesArg == "" || r.unknown[rule.NamesArg] {
		return nil
	}

	names := words(r.args[rule.NamesArg])
	if len(names) == 0 && rule.OrTarget && r.target.Name != "" {
		return []string{r.target.Name}
	}

	slices.Sort(names)

	return slices.Compact(names)
}

// workers are the names of the phase's worker pods that the rule is limited to.
func (r resolver) workers(rule spec.Rule) []string {
	var names []string
	for _, index := range rule.Workers {
		names = append(names, record.ObjectName(r.run, r.phase, index))
	}

	return names
}

// split takes create away from the verbs that can be limited by name: Kubernetes does not know the name when it authorizes a
// create, except for a subresource (pods/exec), which hangs below a named object.
func split(rule spec.Rule, names []string) []rbacv1.PolicyRule {
	policy := func(resources, verbs, names []string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{rule.Group}, Resources: resources, Verbs: verbs, ResourceNames: names}
	}

	if len(names) == 0 || !slices.Contains(rule.Verbs, "create") {
		return []rbacv1.PolicyRule{policy(rule.Resources, rule.Verbs, names)}
	}

	var whole, sub, others []string

	for _, resource := range rule.Resources {
		if strings.Contains(resource, "/") {
			sub = append(sub, resource)
		} else {
			whole = append(whole, resource)
		}
	}

	for _, verb := range rule.Verbs {
		if verb != "create" {
			others = append(others, verb)
		}
	}

	var policies []rbacv1.PolicyRule

	if len(sub) > 0 {
		policies = append(policies, policy(sub, rule.Verbs, names))
	}

	if len(whole) > 0 {
		policies = append(policies, policy(whole, []string{"create"}, nil))
		if len(others) > 0 {
			policies = append(policies, policy(whole, others, names))
		}
	}

	return policies
}

// words are the strings in a rendered argument: a list's elements, or the words of a text (snapshot and volume lists are
// written separated by spaces or commas).
func words(value any) []string {
	switch v := value.(type) {
	case string:
		return strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
	case []string:
		return slices.Clone(v)
	case []any:
		var all []string
		for _, element := range v {
			all = append(all, words(element)...)
		}

		return all
	default:
		return nil
	}
}

func distinct(a, b string) []string {
	if a == b {
		return []string{a}
	}

	return []string{a, b}
}
