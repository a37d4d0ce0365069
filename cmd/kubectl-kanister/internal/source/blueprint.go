package source

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
)

// Where a blueprint came from, as the record says it.
const (
	File      = "file"
	ConfigMap = "configmap"
	BuiltIn   = "built in"
	Cluster   = "cluster"
	FromRun   = "run" // the copy that a run's record keeps
)

// DefaultBlueprint is used when none is named anywhere.
const DefaultBlueprint = "volumes"

// Blueprint is a loaded, validated blueprint and where it came from.
type Blueprint struct {
	*blueprint.Blueprint

	Source string
	// Warnings of the validation, one line each.
	Warnings []string
}

// Blueprint finds a blueprint by the word the user gave:
//
//	FILE.yaml, ./FILE, -        a file, standard input
//	builtin/NAME                built in
//	configmap/[NAMESPACE/]NAME  a ConfigMap: its key blueprint.yaml, or blueprint (a run record), or the only one
//	blueprint/[NAMESPACE/]NAME  a Blueprint custom resource of an upstream installation
//	NAME                        the first of: built in, ConfigMap, Blueprint custom resource
//
// It is validated whole; errors name file, line and field and have exit code Usage.
func (r *Resolver) Blueprint(ctx context.Context, word, namespace string) (*Blueprint, error) {
	if isFile(word) {
		data, err := r.readFile(word)
		if err != nil {
			return nil, fmt.Errorf("reading blueprint %q: %w", word, err)
		}

		return r.parse(word, data, File)
	}

	return r.NamedBlueprint(ctx, word, namespace)
}

// NamedBlueprint is Blueprint without files: for names that do not come from the command line, such as a target's annotation.
func (r *Resolver) NamedBlueprint(ctx context.Context, word, namespace string) (*Blueprint, error) {
	kind, rest, prefixed := strings.Cut(word, "/")
	if !prefixed {
		return r.search(ctx, word, namespace)
	}

	ns, name := place(rest, namespace)

	var (
		found *Blueprint
		err   error
	)

	switch kind {
	case "builtin", "built-in":
		found, err = r.builtIn(name)
	case "configmap", "configmaps", "cm":
		found, err = r.configMap(ctx, ns, name)
	case "blueprint", "blueprints", "blueprint.cr.kanister.io", "blueprints.cr.kanister.io":
		found, err = r.customResource(ctx, ns, name)
	default:
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for blueprint %q: %q is neither a file (./%s) nor one of builtin/, configmap/, blueprint/", word, kind, word), "")
	}

	if err != nil {
		return nil, fmt.Errorf("looking for blueprint %q: %w", word, coded(err))
	}

	if found == nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for blueprint %q: no such built-in blueprint; there are %s",
			word, strings.Join(r.BuiltInNames(), ", ")), "kubectl kanister get blueprints")
	}

	return found, nil
}

// search tries the places of a bare name in their documented order. A place that may not be read ends the search only if
// no later one has the name: an application owner need not be able to list custom resources.
func (r *Resolver) search(ctx context.Context, name, namespace string) (*Blueprint, error) {
	if found, err := r.builtIn(name); found != nil || err != nil {
		return found, err
	}

	tried := []string{"built in: " + strings.Join(r.BuiltInNames(), ", ")}
	code := exit.Usage

	for _, try := range []struct {
		what string
		find func(context.Context, string, string) (*Blueprint, error)
	}{
		{"configmap " + namespace + "/" + name, r.configMap},
		{"blueprint.cr.kanister.io " + namespace + "/" + name, r.customResource},
	} {
		found, err := try.find(ctx, namespace, name)

		switch {
		case err == nil:
			return found, nil
		case absent(err):
			tried = append(tried, try.what+": not there")
		case exit.Of(coded(err)) == exit.NotPermitted:
			code = exit.NotPermitted
			tried = append(tried, try.what+": "+err.Error())
		default:
			return nil, fmt.Errorf("looking for blueprint %q: %w", name, err)
		}
	}

	return nil, exit.New(code, fmt.Errorf("looking for blueprint %q: not found (%s)", name, strings.Join(tried, "; ")),
		fmt.Sprintf("give a file as --blueprint ./%s.yaml, or store it: kubectl create configmap %s --from-file=blueprint.yaml=FILE -n %s", name, name, namespace))
}

func (r *Resolver) builtIn(name string) (*Blueprint, error) {
	data, ok := r.BuiltIn(name)
	if !ok {
		return nil, nil //nolint:nilnil // not there is no error here: the search goes on
	}

	return r.parse("builtin/"+name, data, BuiltIn)
}

// blueprintKeys are looked for in a ConfigMap in this order; a ConfigMap with a single key may call it as it likes.
var blueprintKeys = []string{"blueprint.yaml", "blueprint.yml", "blueprint.json", "blueprint"}

func (r *Resolver) configMap(ctx context.Context, namespace, name string) (*Blueprint, error) {
	held, err := r.Kubernetes.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}

	key, err := blueprintKey(held)
	if err != nil {
		return nil, exit.New(exit.Usage, err, "")
	}

	return r.parse(fmt.Sprintf("configmap %s/%s, key %s", namespace, name, key), []byte(held.Data[key]), ConfigMap)
}

func blueprintKey(held *corev1.ConfigMap) (string, error) {
	for _, key := range blueprintKeys {
		if _, ok := held.Data[key]; ok {
			return key, nil
		}
	}

	keys := make([]string, 0, len(held.Data))
	for key := range held.Data {
		keys = append(keys, key)
	}

	if len(keys) == 1 {
		return keys[0], nil
	}

	slices.Sort(keys)

	return "", fmt.Errorf("reading configmap %q: it holds no key blueprint.yaml; its keys are %q", held.Namespace+"/"+held.Name, keys)
}

func (r *Resolver) customResource(ctx context.Context, namespace, name string) (*Blueprint, error) {
	data, err := r.customYAML(ctx, "blueprints", namespace, name)
	if err != nil {
		return nil, err
	}

	return r.parse(fmt.Sprintf("blueprint.cr.kanister.io %s/%s", namespace, name), data, Cluster)
}

// parse loads and validates; where is what messages call the place.
func (r *Resolver) parse(where string, data []byte, from string) (*Blueprint, error) {
	loaded, err := blueprint.Load(where, data)
	if err != nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("reading blueprint %s: %w", where, err), "")
	}

	return r.check(where, loaded, from)
}

// check validates what is loaded.
func (r *Resolver) check(where string, loaded *blueprint.Blueprint, from string) (*Blueprint, error) {
	findings := blueprint.Validate(loaded, blueprint.Options{Functions: builtin.Functions(), AllowUnknownFunctions: r.CustomRunner})
	if err := findings.Err(); err != nil {
		return nil, exit.New(exit.Usage, fmt.Errorf("checking blueprint %s: %w", where, err), "kubectl kanister validate --help")
	}

	found := &Blueprint{Blueprint: loaded, Source: from}
	for _, finding := range findings.Warnings() {
		if r.CustomRunner && strings.HasSuffix(finding.Path, ".func") {
			continue // the plan says what follows from that
		}

		found.Warnings = append(found.Warnings, finding.Message)
	}

	return found, nil
}
