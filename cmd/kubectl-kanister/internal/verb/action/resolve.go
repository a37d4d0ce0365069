package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/source"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// targets are what the command line names, or what --from worked on. denied says that the user may not read them: they are
// taken by their names then, so that all that he lacks can be told at once.
func (o *Options) targets(ctx context.Context) (targets []target.Target, denied, err error) {
	if !o.Target.Empty() {
		targets, err := target.Resolve(o.Getter, o.namespace, o.enforced, o.Target)
		if exit.Of(err) == exit.NotPermitted {
			if named := target.Named(o.Getter, o.namespace, o.Target); len(named) > 0 {
				targets, denied, err = named, err, nil
			}
		}

		if err != nil {
			return nil, nil, err
		}

		if o.Name != "" && len(targets) > 1 {
			return nil, nil, exit.New(exit.Usage, fmt.Errorf("naming the run %q: %d targets, a name is for one", o.Name, len(targets)), "")
		}

		return targets, denied, nil
	}

	from, err := o.sources.From(ctx, o.From, o.namespace, nil)
	if err != nil {
		return nil, nil, err
	}

	if strings.HasPrefix(from.Name, source.ActionSetPrefix) { // upstream writes kinds in any case, and leaves out what they imply
		t, err := target.Reference(o.Getter, from.Target, o.namespace)
		if err != nil {
			return nil, nil, fmt.Errorf("using %s: %w", from.Name, err)
		}

		return []target.Target{t}, nil, nil
	}

	if from.Target.Kind == "namespace" && from.Target.Namespace == "" {
		from.Target = target.Namespaced(from.Target.Name)
	}

	return []target.Target{{Ref: from.Target}}, nil, nil
}

// plan computes the Plan for one target. Nothing exists of it yet.
func (o *Options) plan(ctx context.Context, a *attempt) error {
	namespace := a.target.Namespace(o.namespace)

	from, err := o.from(ctx, a.target)
	if err != nil {
		return err
	}

	found, err := o.blueprint(ctx, a.target, from, namespace)
	if err != nil {
		return err
	}

	action, err := plan.FindAction(found.Blueprint, o.Action)
	if err != nil {
		return err
	}

	if err := o.fits(action, found.Name, from); err != nil {
		return err
	}

	name := cmp.Or(o.Name, plan.RunName(o.Action, a.target.Ref, o.Suffix()))

	if o.deletesFromRecord() && plan.ReadsNamespace(action) {
		a.target.Ref = target.Namespaced(namespace)
	}

	request := plan.Request{
		Name: name, Namespace: namespace, Action: o.Action, Target: a.target.Ref,
		Blueprint: found.Blueprint, Source: found.Source,
		Artifacts: merged(from, o.artifacts), Options: o.optionsFor(from), ConfigMaps: o.configs, Secrets: o.secrets,
		PodOverride: o.override, PodLabels: o.PodLabels, PodAnnotations: o.PodAnnotations,
		RunnerImage: o.RunnerImage, ImagePullPolicy: o.ImagePullPolicy, ServiceAccount: o.ServiceAccount,
		Grants: inNamespace(o.grants, namespace), Timeout: o.Deadline, Unread: found.Warnings, Standalone: o.DryRun != dryRunNone,
		Resources: document.NewResources(o.client.Discovery()),
	}
	remembered := ""

	if from != nil {
		request.From = from.Name
		request.ConfigMaps, request.Secrets = over(from.ConfigMaps, o.configs), over(from.Secrets, o.secrets)
		remembered = from.Server
	}

	if err := o.server(ctx, &request, action, remembered); err != nil {
		return err
	}

	if err := o.profile(ctx, &request, action, from); exit.Of(err) == exit.NotPermitted {
		a.denied = errors.Join(a.denied, err)
		o.withoutProfile(&request, from)
	} else if err != nil {
		return err
	}

	if err := o.params(ctx, &request); err != nil {
		return err
	}

	if err := o.volumes(ctx, &request, action); err != nil {
		return err
	}

	for key := range o.options {
		if !plan.Mentions(action, key) {
			request.Unread = append(request.Unread, fmt.Sprintf("action %q of blueprint %q does not read option %q", o.Action, found.Name, key))
		}
	}

	a.plan, err = plan.New(ctx, request)

	return err
}

// withoutProfile lets the plan be made, to tell all that the user lacks, although he may not read the profile. Such a plan
// is never carried out.
func (o *Options) withoutProfile(request *plan.Request, from *source.From) {
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}
	name := o.Profile

	if name == "" && from != nil {
		name = from.Profile
	}

	namespace := request.Namespace
	if ns, bare, found := strings.Cut(name, "/"); found {
		namespace, name = ns, bare
	}

	if name == "" {
		rule.Verbs = []string{"list"}
	} else {
		rule.ResourceNames = []string{name}
	}

	request.Profile = &record.Profile{Name: cmp.Or(name, "unknown")}
	request.Reads = append(request.Reads, plan.Grant{Namespace: namespace, Why: "to read the profile", Rule: rule})
}

func (o *Options) from(ctx context.Context, t target.Target) (*source.From, error) {
	if o.From == "" {
		return nil, nil //nolint:nilnil // most actions start from nothing
	}

	var of *blueprint.ObjectReference
	if !o.Target.Empty() {
		of = &t.Ref
	}

	return o.sources.From(ctx, o.From, o.namespace, of)
}

// blueprint finds the blueprint: the one that was named, the copy that --from's record keeps, what the target asks for by
// annotation, the built-in one.
func (o *Options) blueprint(ctx context.Context, t target.Target, from *source.From, namespace string) (*source.Blueprint, error) {
	switch {
	case o.Blueprint != "":
		return o.sources.Blueprint(ctx, o.Blueprint, cmp.Or(o.home, namespace))
	case o.named != "":
		return o.sources.ActionSetBlueprint(ctx, o.named, o.home)
	case from != nil && from.Kept != nil:
		return from.Kept, nil
	case from != nil && from.Blueprint != "":
		return o.sources.NamedBlueprint(ctx, from.Blueprint, namespace)
	case from != nil:
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for the blueprint of run %q: its record does not keep it", from.Name), "name it with --blueprint")
	case t.Blueprint() != "":
		found, err := o.sources.NamedBlueprint(ctx, t.Blueprint(), namespace)
		if err != nil {
			return nil, fmt.Errorf("following the blueprint annotation of %s: %w", t, err)
		}

		return found, nil
	default:
		return o.sources.NamedBlueprint(ctx, "builtin/"+source.DefaultBlueprint, namespace)
	}
}

// server finds the repository server that the user names, or that the run was made through whose backup the action works on.
func (o *Options) server(ctx context.Context, request *plan.Request, action *blueprint.Action, remembered string) error {
	word := o.Server
	if word == "" && plan.UsesServer(action) {
		word = remembered
	}

	const name = "name it: --repository-server FILE.yaml or [NAMESPACE/]NAME"

	switch {
	case word == "":
		return nil
	case word == "-" && o.Server == "":
		return exit.New(exit.Usage, fmt.Errorf("finding the repository server that %q was made through: it stood on standard input then", request.From), name)
	}

	found, err := o.sources.RepositoryServer(ctx, word, request.Namespace)
	if err != nil && o.Server == "" && exit.Of(err) != exit.NotPermitted {
		return exit.New(exit.Usage, fmt.Errorf("finding the repository server that %q was made through: %w", request.From, err), name)
	}

	request.RepositoryServer, request.ServerWord = found, word

	return err
}

// fits refuses what the action cannot make sense of.
func (o *Options) fits(action *blueprint.Action, name string, from *source.From) error {
	if from == nil && len(o.artifacts) == 0 && plan.Mentions(action, ".ArtifactsIn") {
		return exit.New(exit.Usage, fmt.Errorf("planning %s: action %q of blueprint %q works on what a backup has left, and no backup is named", o.Action, o.Action, name),
			"add --from latest, or --from RUN (kubectl kanister get backups)")
	}

	if o.Quiesce != "" && !plan.Mentions(action, "quiesce") {
		return exit.New(exit.Usage, fmt.Errorf("planning %s: action %q of blueprint %q knows no --quiesce", o.Action, o.Action, name), "")
	}

	return nil
}

// deletesFromRecord: deleting what a run has left, with no target named. Upstream's blueprints ask a namespace for that (COMPAT
// §1.4), and the workload itself may be long gone: then its namespace is the target.
func (o *Options) deletesFromRecord() bool { return o.Action == Delete && o.Target.Empty() }

// optionsFor are the user's options over those of --from's ActionSet.
func (o *Options) optionsFor(from *source.From) map[string]string {
	if from == nil {
		return over(nil, o.options)
	}

	return over(from.Options, o.options)
}

// merged are the artifacts of --from with the user's own values over them.
func merged(from *source.From, own map[string]blueprint.Artifact) map[string]blueprint.Artifact {
	if from == nil {
		return overlaid(nil, own)
	}

	return overlaid(from.Artifacts, own)
}

// overlaid is a copy of low with the values of high over it, value by value.
func overlaid(low, high map[string]blueprint.Artifact) map[string]blueprint.Artifact {
	all := maps.Clone(low)
	if all == nil {
		all = map[string]blueprint.Artifact{}
	}

	for name, artifact := range high {
		all[name] = blueprint.Artifact{
			KeyValue: over(all[name].KeyValue, artifact.KeyValue), KopiaSnapshot: cmp.Or(artifact.KopiaSnapshot, all[name].KopiaSnapshot),
		}
	}

	return all
}

// profile resolves the profile: the named one, that of --from, else the namespace's default. An action that never reads one
// does without.
func (o *Options) profile(ctx context.Context, request *plan.Request, action *blueprint.Action, from *source.From) error {
	var (
		err   error
		needs = plan.NeedsProfile(action, request.RepositoryServer != nil)
	)

	switch {
	case o.ProfileFile != "":
		request.Profile, err = o.sources.ProfileFile(ctx, o.ProfileFile, request.Namespace)

		return err
	case o.Profile != "":
		request.Profile, err = o.sources.Profile(ctx, o.Profile, request.Namespace)

		return err
	case !plan.Mentions(action, ".Profile") && !needs:
		return nil
	case from != nil && from.Profile != "":
		if request.Profile, err = o.sources.Profile(ctx, from.Profile, request.Namespace); err != nil {
			return fmt.Errorf("using the profile of run %q: %w", from.Name, err)
		}

		return nil
	}

	request.Profile, err = o.sources.Profile(ctx, "", request.Namespace)
	if errors.Is(err, source.ErrNoProfile) && !needs {
		return nil
	}

	return err
}

// volumes refuses a target without volumes for an action that is about nothing else. What a backup has left names its own.
func (o *Options) volumes(ctx context.Context, request *plan.Request, action *blueprint.Action) error {
	if len(request.Artifacts) > 0 || request.Params == nil || !plan.UsesFamily(action, "volumes") {
		return nil
	}

	claims, err := params.Volumes(ctx, params.Cluster{Kubernetes: o.client, Dynamic: o.dynamic}, request.Target, request.Namespace)
	if err != nil || len(claims) > 0 {
		return ignoreForbidden(err)
	}

	return exit.New(exit.Usage, fmt.Errorf("planning %s: %s in namespace %q has no volumes, and action %q of blueprint %q works on nothing else",
		o.Action, target.Name(request.Target), request.Namespace, o.Action, request.Blueprint.Name),
		"kubectl get pvc -n "+request.Namespace+"; or name a blueprint for this application with --blueprint")
}

// ignoreForbidden: the run itself may read what the user may not.
func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}

	return err
}
