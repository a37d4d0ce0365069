package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

const shop = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: shop}
actions:
  backup:
    phases:
    - func: ScaleWorkload
      name: down
      args: {name: "{{ .Deployment.Name }}", namespace: "{{ .Deployment.Namespace }}", kind: Deployment, replicas: 0}
    - func: KubeTask
      name: dump
      objects:
        db: {kind: Secret, name: "{{ .Deployment.Name }}-db", namespace: creds}
        ignored: {kind: Pod, name: x, namespace: nobody}
      args:
        namespace: elsewhere
        image: example.org/dump:v1
        command: [sh, -c, "dump --password '{{ index .Phases.dump.Secrets.db.Data \"password\" | toString }}'"]
    - func: KubeTask
      name: later
      args:
        namespace: "{{ .Phases.dump.Output.namespace }}"
        image: "{{ .Phases.dump.Output.image }}"
        command: ["true"]
    deferPhase:
      func: ScaleWorkload
      name: up
      args: {name: "{{ .Deployment.Name }}", namespace: "{{ .Deployment.Namespace }}", kind: Deployment, replicas: 1}
  broken:
    phases:
    - func: KubeTask
      name: dump
      args: {image: "{{ .StatefulSet.Name }}", command: ["true"]}
  profiled:
    phases:
    - func: KubeTask
      name: push
      args: {image: busybox, command: [kando, location, push, --profile, "{{ toJson .Profile }}"]}
  content:
    phases:
    - func: KubeTask
      name: push
      args: {image: busybox, command: ["{{ if .Profile }}{{ .Profile.Location.Bucket }}{{ end }}"]}
`

func request(t *testing.T, action string) plan.Request {
	t.Helper()

	bp, err := blueprint.Load("shop.yaml", []byte(shop))
	if err != nil {
		t.Fatal(err)
	}

	return plan.Request{
		Suffix: "7f3k2", Namespace: "demo", Action: action, Blueprint: bp, Source: "file", RunnerImage: "runner:v1",
		Target: blueprint.ObjectReference{APIVersion: "v1", Group: "apps", Resource: "deployments", Kind: "deployment", Name: "web", Namespace: "demo"},
		Params: &params.TemplateParams{Deployment: &params.DeploymentParams{Name: "web", Namespace: "demo"}},
	}
}

func text(t *testing.T, p *plan.Plan) string {
	t.Helper()

	var out strings.Builder
	if _, err := p.WriteTo(&out); err != nil {
		t.Fatal(err)
	}

	return out.String()
}

func grants(p *plan.Plan, namespace, resource, verb string, names ...string) bool {
	return slices.ContainsFunc(p.Grants, func(g plan.Grant) bool {
		return g.Namespace == namespace && slices.Contains(g.Rule.Resources, resource) && slices.Contains(g.Rule.Verbs, verb) &&
			slices.Equal(g.Rule.ResourceNames, names)
	})
}

func TestNew(t *testing.T) {
	p, err := plan.New(t.Context(), request(t, "backup"))
	if err != nil {
		t.Fatal(err)
	}

	if p.Run() != "backup-web-7f3k2" || p.Input.ServiceAccount != p.Run() || len(p.Phases) != 3 || p.Defer == nil {
		t.Errorf("plan %+v", p)
	}

	for _, want := range []struct {
		namespace, resource, verb string
		names                     []string
	}{
		{"demo", "configmaps", "update", []string{"backup-web-7f3k2"}},
		{"demo", "deployments", "get", []string{"web"}},
		{"demo", "replicasets", "list", nil},
		{"elsewhere", "pods", "create", nil},
		{"creds", "secrets", "get", []string{"web-db"}},
	} {
		if !grants(p, want.namespace, want.resource, want.verb, want.names...) {
			t.Errorf("no %s of %s %q in %s; the plan is\n%s", want.verb, want.resource, want.names, want.namespace, text(t, p))
		}
	}

	for _, grant := range p.Grants {
		if slices.Contains(grant.Rule.Verbs, "*") || slices.Contains(grant.Rule.Resources, "*") {
			t.Errorf("the Role is not the smallest: %+v", grant.Rule)
		}

		if grant.Namespace == "nobody" {
			t.Errorf("an object that no function fetches is granted: %+v", grant)
		}
	}

	if !slices.Contains(p.Images, "runner:v1") || !slices.Contains(p.Images, "example.org/dump:v1") || len(p.Images) != 2 {
		t.Errorf("images %q", p.Images)
	}

	if got := p.Phases[1].Unknown; !slices.Equal(got, []string{"command"}) {
		t.Errorf("dump: unknown %q, want its command, which reads a Secret", got)
	}

	if got := p.Phases[2].Unknown; !slices.Equal(got, []string{"image", "namespace"}) {
		t.Errorf("later: unknown %q", got)
	}

	if !slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, `phase "later"`) && strings.Contains(w, `"namespace"`) }) {
		t.Errorf("no warning that the namespace of a phase is not known: %q", p.Warnings)
	}

	if said := text(t, p); !strings.Contains(said, "web") || strings.Contains(said, "password") {
		t.Errorf("the plan says\n%s", said)
	}
}

// TestNewTwice: the same request gives the same plan; only the name differs, and the digest does not hang on it.
func TestNewTwice(t *testing.T) {
	one, err := plan.New(t.Context(), request(t, "backup"))
	if err != nil {
		t.Fatal(err)
	}

	again := request(t, "backup")
	again.Suffix = "zzzzz"

	two, err := plan.New(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}

	if one.Run() == two.Run() || one.Digest != two.Digest || one.Digest == "" {
		t.Errorf("runs %q %q, digests %q %q", one.Run(), two.Run(), one.Digest, two.Digest)
	}

	again.Options = map[string]string{"a": "b"}
	if three, err := plan.New(t.Context(), again); err != nil || three.Digest == one.Digest {
		t.Errorf("another request has the same digest (%v)", err)
	}
}

// TestDigestKeepsSecrets: nobody can try out passwords against a digest that everybody may read.
func TestDigestKeepsSecrets(t *testing.T) {
	digest := func(key string) string {
		r := request(t, "backup")
		r.Profile = &record.Profile{Name: "s3", RepositoryPassword: key, Credential: params.Credential{KeyPair: &params.KeyPair{Secret: key}}}

		p, err := plan.New(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}

		return p.Digest
	}

	if digest("a") != digest("b") {
		t.Error("the digest depends on the credential")
	}
}

func TestNewFails(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*plan.Request)
		says   string
	}{
		"no such action":     {func(r *plan.Request) { r.Action = "bakcup" }, `no action "bakcup"; it has "backup", "broken", "content", "profiled"`},
		"template of others": {func(r *plan.Request) { r.Action = "broken" }, `phase "dump"`},
		"no profile":         {func(r *plan.Request) { r.Action = "profiled" }, "needs a profile"},
		"bad name":           {func(r *plan.Request) { r.Name = "No" }, `naming the run "No"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, "backup")
			test.change(&r)

			if _, err := plan.New(t.Context(), r); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v (code %d), want %q", err, exit.Of(err), test.says)
			}
		})
	}
}

func TestNewWithout(t *testing.T) {
	t.Run("a profile that is asked for politely", func(t *testing.T) {
		if _, err := plan.New(t.Context(), request(t, "content")); err != nil {
			t.Error(err)
		}
	})
	t.Run("rights to read the target", func(t *testing.T) {
		r := request(t, "broken") // would fail if the target were known
		r.Params, r.Unread = nil, []string{"the plan is incomplete: forbidden"}

		p, err := plan.New(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}

		if !slices.Contains(p.Warnings, r.Unread[0]) || !slices.Equal(p.Phases[0].Unknown, []string{"image"}) {
			t.Errorf("warnings %q, unknown %q", p.Warnings, p.Phases[0].Unknown)
		}
	})
	t.Run("an account of its own", func(t *testing.T) {
		r := request(t, "backup")
		r.ServiceAccount = "operator"

		p, err := plan.New(t.Context(), r)
		if err != nil || p.Input.ServiceAccount != "operator" || !strings.Contains(text(t, p), "serviceaccount/operator") {
			t.Errorf("%+v %v", p, err)
		}
	})
}

func TestUsesServer(t *testing.T) {
	phase := func(function, text string) blueprint.Phase {
		return blueprint.Phase{Name: "p", Func: function, Args: map[string]any{"command": []any{text}}}
	}
	task := phase("KubeTask", "true")
	restore := phase("RestoreDataUsingKopiaServer", "")

	for name, test := range map[string]struct {
		action blueprint.Action
		want   bool
	}{
		"a function of the family": {blueprint.Action{Phases: []blueprint.Phase{task, restore}}, true},
		"in the deferPhase":        {blueprint.Action{Phases: []blueprint.Phase{task}, DeferPhase: &restore}, true},
		"by kando":                 {blueprint.Action{Phases: []blueprint.Phase{phase("KubeTask", "kando --repository-server '{{ toJson .RepositoryServer }}'")}}, true},
		"by direct access":         {blueprint.Action{Phases: []blueprint.Phase{task, phase("RestoreData", "")}}, false},
	} {
		if got := plan.UsesServer(&test.action); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	r := request(t, "backup")
	r.Profile = &record.Profile{Name: "s3", SkipSSLVerify: true, Location: blueprint.Location{Endpoint: "http://minio:9000"}}
	r.PodOverride = map[string]any{
		"hostNetwork": true, "securityContext": map[string]any{"runAsUser": int64(0)},
		"containers": []any{map[string]any{"name": "container", "securityContext": map[string]any{"privileged": true}}},
	}

	p, err := plan.New(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}

	all := strings.Join(p.Warnings, "\n")
	for _, part := range []string{"skips TLS verification", "plain http", "as root", "node's namespaces", `"container" privileged`} {
		if !strings.Contains(all, part) {
			t.Errorf("no warning %q in\n%s", part, all)
		}
	}
}
