// Package plan computes what a run will do before anything is created: phases with their functions and arguments, effects in
// words, images, and the exact permissions. A Plan is a plain value; package pack turns it into objects.
package plan

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Request is all that a Plan is computed from, resolved.
type Request struct {
	// Name of the run; empty: `<action>-<target>-<Suffix>`.
	Name string
	// Suffix tells runs of the same name apart: five characters [a-z0-9].
	Suffix    string
	Namespace string
	Action    string
	Target    blueprint.ObjectReference
	Blueprint *blueprint.Blueprint
	// Source says where the blueprint came from, as record.BlueprintInfo does.
	Source  string
	Profile *record.Profile
	// RepositoryServer is resolved: it holds the passwords of its user.
	RepositoryServer *params.RepositoryServer
	// ServerWord is how the user named it, for the record.
	ServerWord string
	// ProfileWarnings are passed on as they are.
	ProfileWarnings []string

	Artifacts  map[string]blueprint.Artifact
	Options    map[string]string
	ConfigMaps map[string]blueprint.ObjectReference
	Secrets    map[string]blueprint.ObjectReference

	// Stopped is a workload as the run found it that left it without pods; nil: there is no such run.
	Stopped *params.WorkloadParams

	PodOverride    map[string]any
	PodLabels      map[string]string
	PodAnnotations map[string]string

	RunnerImage     string
	ImagePullPolicy string
	// ServiceAccount is an existing one; empty: the run gets its own, with a Role.
	ServiceAccount string
	Timeout        time.Duration
	From           string
	// Standalone: the objects will be applied by somebody else, and the runner makes its Job their owner when it starts.
	Standalone bool

	// Params are the template parameters as far as the user could read them; nil if not at all.
	Params *params.TemplateParams
	// Grants are permissions that the user asked for, beyond what the functions are known to need.
	Grants []Grant
	// Resources tells what the documents and references of a blueprint mean in this cluster; nil: nothing is known of them.
	Resources Resources
	// Reads are passed on to the Plan.
	Reads []Grant
	// Unread says what could not be read for Params and why, one line each.
	Unread []string
}

// Plan is one run, complete, before anything exists of it.
type Plan struct {
	// Input is what the runner will be told. It holds the profile's credentials: never print it.
	Input record.Input
	// Digest is the hex SHA-256 of the Input without its credentials and its run name.
	Digest          string
	BlueprintDigest string
	Phases          []Phase
	Defer           *Phase
	// Images that the run's pods use as far as they are known now, the runner's first.
	Images []string
	// Grants are the permissions that the runner's ServiceAccount gets, sorted, without doubles.
	Grants []Grant
	// MadeUp are the names in Grants that are made of the run's name: the next run has others.
	MadeUp []string
	// Reads are permissions that the user himself needs to make this plan, beyond what Grants has.
	Reads []Grant
	// Warnings are what the user should know before, one sentence each.
	Warnings []string
	// ServiceAccount is the existing one to use; empty: one is made.
	ServiceAccount string
}

// Phase is one phase of the Plan.
type Phase struct {
	Name string
	Func string
	// Args as the blueprint has them.
	Args map[string]any
	// Rendered are the arguments that could be rendered now. They may hold credentials: never print them.
	Rendered map[string]any
	// Unknown are the arguments, sorted, whose value depends on what the run itself finds out.
	Unknown []string
	// Effects in words: "scale deployment foo to 0".
	Effects []string
}

// Grant is a permission in one namespace.
type Grant struct {
	// Namespace it applies in; empty: the whole cluster.
	Namespace string
	Rule      rbacv1.PolicyRule
	// Why, for the reader of a Role.
	Why string
	// Optional grants are left out when the user does not hold them; the run works without, and says what it missed.
	Optional bool
}

// Run is the run's name.
func (p *Plan) Run() string { return p.Input.Run }

// Namespace is where the run's objects go.
func (p *Plan) Namespace() string { return p.Input.Namespace }

// Namespaces are those that the grants name, the run's own first, the others sorted. Cluster-scoped grants are not counted.
func (p *Plan) Namespaces() []string {
	namespaces := []string{p.Namespace()}

	for _, grant := range p.Grants { // sorted by namespace
		if last := namespaces[len(namespaces)-1]; grant.Namespace != "" && grant.Namespace != p.Namespace() && grant.Namespace != last {
			namespaces = append(namespaces, grant.Namespace)
		}
	}

	return namespaces
}

// Rules are the policy rules for one namespace; empty: the cluster-scoped ones.
func (p *Plan) Rules(namespace string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule

	for _, grant := range p.Grants {
		if grant.Namespace == namespace {
			rules = append(rules, grant.Rule)
		}
	}

	return rules
}
