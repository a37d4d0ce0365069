package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ActionSets reads the ActionSets of manifests, in their order. Blueprints, Profiles with their Secrets and RepositoryServers that
// stand in the same files are found by their names from then on, before those in the cluster. Errors have exit code Usage.
func (r *Resolver) ActionSets(files []string) ([]*blueprint.ActionSet, error) {
	given := &blueprint.Documents{}

	for _, file := range files {
		data, err := r.readFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading ActionSet %q: %w", file, err)
		}

		documents, err := blueprint.LoadAll(file, data)
		if err != nil {
			return nil, exit.New(exit.Usage, fmt.Errorf("reading ActionSet %q: %w", file, err), "")
		}

		if len(documents.Others) > 0 {
			return nil, exit.New(exit.Usage, fmt.Errorf("reading ActionSet %q: it also holds %s, which is no part of a run", file, strings.Join(documents.Others, ", ")),
				"for a target in a manifest name the action: kubectl kanister run ACTION -f FILE")
		}

		given.Blueprints = append(given.Blueprints, documents.Blueprints...)
		given.Profiles = append(given.Profiles, documents.Profiles...)
		given.ActionSets = append(given.ActionSets, documents.ActionSets...)
		given.RepositoryServers = append(given.RepositoryServers, documents.RepositoryServers...)
		given.Secrets = append(given.Secrets, documents.Secrets...)
	}

	if len(given.ActionSets) == 0 {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading %s: there is no ActionSet in it", strings.Join(files, ", ")),
			"for a target in a manifest name the action: kubectl kanister run ACTION -f FILE")
	}

	r.given = given

	return given.ActionSets, nil
}

// ActionSetBlueprint finds the blueprint that an ActionSet in namespace names: in the ActionSet's own file, as Blueprint custom
// resource, else wherever a bare name is looked for.
func (r *Resolver) ActionSetBlueprint(ctx context.Context, name, namespace string) (*Blueprint, error) {
	if r.given != nil {
		for _, found := range r.given.Blueprints {
			if found.Name == name && (found.Namespace == "" || found.Namespace == namespace) {
				return r.check("of the ActionSet's file: "+name, found, File)
			}
		}
	}

	found, err := r.customResource(ctx, namespace, name)

	switch {
	case err == nil:
		return found, nil
	case absent(err), exit.Of(coded(err)) == exit.NotPermitted:
		return r.search(ctx, name, namespace)
	default:
		return nil, fmt.Errorf("looking for blueprint %q: %w", name, err)
	}
}

// givenProfile is the Profile of this name in an ActionSet's file; nil if there is none.
func (r *Resolver) givenProfile(ctx context.Context, namespace, name string) (*record.Profile, error) {
	if r.given == nil {
		return nil, nil //nolint:nilnil // not there is no error here: the search goes on
	}

	i := slices.IndexFunc(r.given.Profiles, func(p *blueprint.Profile) bool {
		return p.Name == name && (p.Namespace == "" || p.Namespace == namespace)
	})
	if i < 0 {
		return nil, nil //nolint:nilnil // as above
	}

	profile := *r.given.Profiles[i]
	profile.Namespace = namespace

	resolved, err := params.ResolveProfile(ctx, r.secretAmong(r.given.Secrets, namespace), &profile)
	if err != nil {
		return nil, fmt.Errorf("reading profile %q of the ActionSet's file: %w", name, coded(err))
	}

	return record.ProfileOf(resolved), nil
}

// givenServer is the RepositoryServer of this name in an ActionSet's file; nil if there is none.
func (r *Resolver) givenServer(namespace, name string) *blueprint.Documents {
	if r.given == nil {
		return nil
	}

	for _, server := range r.given.RepositoryServers {
		if server.Name == name && (server.Namespace == "" || server.Namespace == namespace) {
			own := *server

			return &blueprint.Documents{RepositoryServers: []*blueprint.RepositoryServer{&own}, Secrets: r.given.Secrets}
		}
	}

	return nil
}

// artifactsOf are the artifacts and the target of the one action of a complete ActionSet that is on target, or that left any.
func artifactsOf(where string, set *blueprint.ActionSet, target *blueprint.ObjectReference) (int, error) {
	if set.Status == nil || set.Status.State != string(record.Complete) {
		state := "it has not run"
		if set.Status != nil && set.Status.State != "" {
			state = "it is " + set.Status.State
		}

		return 0, exit.New(exit.Usage, fmt.Errorf("using ActionSet %s: %s", where, state), "")
	}

	var (
		candidates []int
		objects    []string
	)

	for i, action := range set.Status.Actions {
		if len(action.Artifacts) == 0 {
			continue
		}

		objects = append(objects, strings.ToLower(action.Object.Kind)+"/"+action.Object.Name)

		if target == nil || sameObject(action.Object, *target) {
			candidates = append(candidates, i)
		}
	}

	switch {
	case len(candidates) == 1:
		return candidates[0], nil
	case len(objects) == 0:
		return 0, exit.New(exit.Usage, fmt.Errorf("using ActionSet %s: %w", where, errors.New("none of its actions has left artifacts")), "")
	case len(objects) == 1: // onto another target
		return slices.IndexFunc(set.Status.Actions, func(a blueprint.ActionStatus) bool { return len(a.Artifacts) > 0 }), nil
	case len(candidates) == 0:
		return 0, exit.New(exit.Usage, fmt.Errorf("using ActionSet %s: it has artifacts of %s, and none of them is the target", where, strings.Join(objects, ", ")),
			"name one of these as the target")
	default:
		return 0, exit.New(exit.Usage, fmt.Errorf("using ActionSet %s: it has artifacts of %s, want one", where, strings.Join(objects, ", ")),
			"name the target: TYPE/NAME")
	}
}

// sameObject tells whether two references name one object, as far as both say: upstream's kinds have any case, and may name no
// namespace.
func sameObject(a, b blueprint.ObjectReference) bool {
	kind := func(r blueprint.ObjectReference) string {
		if k := strings.ToLower(r.Kind); k != "persistentvolumeclaim" {
			return k
		}

		return "pvc"
	}

	return a.Name == b.Name && (kind(a) == kind(b) || a.Resource != "" && a.Resource == b.Resource) &&
		(a.Namespace == "" || b.Namespace == "" || a.Namespace == b.Namespace)
}
