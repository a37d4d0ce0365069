package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// line is a grant as a test reads best: "ns: verbs group/resources [names]".
func line(g Grant) string {
	text := fmt.Sprintf("%s: %s %s/%s", g.Namespace, strings.Join(g.Rule.Verbs, ","), g.Rule.APIGroups[0], strings.Join(g.Rule.Resources, ","))
	if len(g.Rule.ResourceNames) > 0 {
		text += " [" + strings.Join(g.Rule.ResourceNames, " ") + "]"
	}

	if g.Optional {
		text += " optional"
	}

	return text
}

func lines(grants []Grant) []string {
	var all []string
	for _, g := range grants {
		all = append(all, line(g))
	}

	return all
}

func TestResolveRule(t *testing.T) {
	scale := spec.Rule{
		Group: "apps", Resources: []string{"deployments"}, Verbs: []string{"get", "update"}, Where: spec.InArg, NamespaceArg: "namespace",
		NamesArg: "name", Kinds: []string{"deployment"}, KindArg: "kind",
	}

	for name, test := range map[string]struct {
		rule    spec.Rule
		args    map[string]any
		unknown []string
		want    []string
		warns   int
	}{
		"all known": {
			rule: scale, args: map[string]any{"namespace": "other", "name": "web", "kind": "Deployment"},
			want: []string{"other: get,update apps/deployments [web]"},
		},
		"kind of another": {rule: scale, args: map[string]any{"kind": "statefulset"}},
		"kind from the target, namespace from the run": {
			rule: scale, args: map[string]any{"name": "web"}, want: []string{"run: get,update apps/deployments [web]"},
		},
		"kind known later": {
			rule: scale, args: map[string]any{"name": "web"}, unknown: []string{"kind"}, want: []string{"run: get,update apps/deployments [web]"},
		},
		"name known later": {
			rule: scale, args: map[string]any{"namespace": "demo"}, unknown: []string{"name"}, want: []string{"demo: get,update apps/deployments"},
		},
		"namespace known later": {
			rule: scale, args: map[string]any{"name": "web"}, unknown: []string{"namespace"}, warns: 1,
			want: []string{"demo: get,update apps/deployments [web]", "run: get,update apps/deployments [web]"},
		},
		"create has no name, a subresource has": {
			rule: spec.Rule{Resources: []string{"pods", "pods/exec"}, Verbs: []string{"create", "get"}, Where: spec.InTarget, NamesArg: "pod"},
			args: map[string]any{"pod": "web-0"},
			want: []string{"demo: create,get /pods/exec [web-0]", "demo: create /pods", "demo: get /pods [web-0]"},
		},
		"what is left out is the target's": {
			rule: spec.Rule{Group: "apps", Resources: []string{"deployments"}, Verbs: []string{"list"}, Where: spec.InArg, NamespaceArg: "namespace", NamesArg: "name", OrTarget: true},
			want: []string{"demo: list apps/deployments [web]"},
		},
		"the phase's own pods": {
			rule: spec.Rule{Resources: []string{"secrets"}, Verbs: []string{"create", "patch", "delete"}, Where: spec.InRun, Workers: []string{"", "forget"}},
			want: []string{"run: create /secrets", "run: patch,delete /secrets [" + record.ObjectName("backup-web-1", "take.dump") + " " + record.ObjectName("backup-web-1", "take.dump", "forget") + "]"},
		},
		"list of names": {
			rule: spec.Rule{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}, Where: spec.InRun, NamesArg: "pvcs"},
			args: map[string]any{"pvcs": []any{"b", "a", "b"}}, want: []string{"run: get /persistentvolumeclaims [a b]"},
		},
		"names in a text": {
			rule: spec.Rule{Resources: []string{"pods"}, Verbs: []string{"get"}, Where: spec.InRun, NamesArg: "pods"},
			args: map[string]any{"pods": "a b"}, want: []string{"run: get /pods [a b]"},
		},
		"only with an argument, absent": {
			rule: spec.Rule{Resources: []string{"nodes"}, Verbs: []string{"get"}, Where: spec.InCluster, When: "node"},
		},
		"only with an argument, given": {
			rule: spec.Rule{Resources: []string{"nodes"}, Verbs: []string{"get"}, Where: spec.InCluster, When: "node", Optional: true},
			args: map[string]any{"node": "n1"}, want: []string{": get /nodes optional"},
		},
		"only without an argument, known later": {
			rule: spec.Rule{Resources: []string{"nodes"}, Verbs: []string{"get"}, Where: spec.InCluster, When: "!node"}, unknown: []string{"node"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var warnings []string

			r := resolver{
				run: "backup-web-1", phase: "take.dump", runNamespace: "run", target: blueprint.ObjectReference{Kind: "deployment", Name: "web", Namespace: "demo"},
				args: test.args, unknown: map[string]bool{},
				warn: func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) },
			}
			for _, name := range test.unknown {
				r.unknown[name] = true
			}

			if diff := cmp.Diff(test.want, lines(r.grants(test.rule))); diff != "" {
				t.Error(diff)
			}

			if len(warnings) != test.warns {
				t.Errorf("warnings %q, want %d", warnings, test.warns)
			}
		})
	}
}

// TestMergeReasons: a reason that several functions give is told once, also one with a semicolon.
func TestMergeReasons(t *testing.T) {
	const why = "take snapshots; without, copy live"

	var in []Grant
	for _, verb := range []string{"create", "get", "list"} {
		in = append(in, Grant{Rule: rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{verb}}, Why: why})
	}

	if got := Merge(in); len(got) != 1 || got[0].Why != why {
		t.Errorf("got %+v", got)
	}
}

func TestMerge(t *testing.T) {
	grant := func(namespace, group string, optional bool, verbs, resources string, names ...string) Grant {
		return Grant{Namespace: namespace, Optional: optional, Rule: rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: strings.Split(resources, ","), Verbs: strings.Split(verbs, ","), ResourceNames: names,
		}}
	}
	in := []Grant{
		grant("demo", "", false, "get", "pods", "web-0"),            // gone: any name is allowed below
		grant("demo", "", false, "list,get", "pods"),                // together with pods/log
		grant("demo", "", false, "get,list", "pods/log"),            //
		grant("demo", "apps", false, "get", "deployments", "web"),   // verbs together
		grant("demo", "apps", false, "patch", "deployments", "web"), //
		grant("demo", "apps", false, "get", "deployments", "api"),   // another name stays apart
		grant("", "", true, "get", "nodes"),
		grant("", "", false, "get", "nodes"), // needed beats optional
		grant("", "storage.k8s.io", true, "list", "storageclasses"),
		grant("demo", "", false, "create", "pods"), // joins get and list of pods
	}
	want := []string{
		": get /nodes",
		": list storage.k8s.io/storageclasses optional",
		"demo: create,get,list /pods",
		"demo: get,list /pods/log",
		"demo: get apps/deployments [api]",
		"demo: get,patch apps/deployments [web]",
	}

	for range 20 { // whatever the order they come in
		if diff := cmp.Diff(want, lines(Merge(in))); diff != "" {
			t.Fatal(diff)
		}

		in = append(in[1:], in[0])
	}

	if again := Merge(Merge(in)); !slices.Equal(lines(again), want) {
		t.Errorf("merging twice gives %q", lines(again))
	}
}
