package params

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Cluster is what parameters are read with. Both clients use the same identity: the runner's in a run, the user's in a plan.
type Cluster struct {
	Kubernetes kubernetes.Interface
	Dynamic    dynamic.Interface
}

// Request says what parameters to make.
type Request struct {
	// Namespace of the run; it stands in where a reference names none.
	Namespace string
	// Target is the object of the action (COMPAT §1.4); an empty one sets no parameter.
	Target blueprint.ObjectReference

	Profile          *Profile
	RepositoryServer *RepositoryServer
	Artifacts        map[string]blueprint.Artifact
	Options          map[string]string
	// ConfigMaps and Secrets are fetched by name and namespace; their kind is not looked at.
	ConfigMaps map[string]blueprint.ObjectReference
	Secrets    map[string]blueprint.ObjectReference
	// Stopped gives a workload's pods, containers and claims while it has no running pod; nil: nothing does.
	Stopped *WorkloadParams

	PodOverride    map[string]any
	PodLabels      map[string]string
	PodAnnotations map[string]string

	// Now becomes .Time.
	Now time.Time
	// Tolerant: Secrets and ConfigMaps that cannot be read are left out and named in an *Unreadable error, which New returns beside
	// the parameters. A plan is made with it, because a user may start runs without being allowed to read Secrets.
	Tolerant bool
}

// Unreadable lists the Secrets and ConfigMaps that a tolerant New left out.
type Unreadable struct {
	// Errors by the way that templates reach the object: "Secrets.creds".
	Errors map[string]error
}

// Error names what could not be read and why.
func (u *Unreadable) Error() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(u.Errors)) {
		parts = append(parts, u.Errors[name].Error())
	}

	return strings.Join(parts, "; ")
}

// Unwrap gives the errors.
func (u *Unreadable) Unwrap() []error { return slices.Collect(maps.Values(u.Errors)) }

// New makes the template parameters of an action (COMPAT §2.4.1, §2.7). All of it is read once and never refreshed. Errors name the
// object, and the missing right where that is the reason. With Request.Tolerant both results may be set: see Unreadable.
func New(ctx context.Context, c Cluster, req Request) (*TemplateParams, error) {
	p := &TemplateParams{
		Time:             req.Now.UTC().Format(time.RFC3339Nano),
		Profile:          req.Profile,
		RepositoryServer: req.RepositoryServer,
		ArtifactsIn:      req.Artifacts,
		Options:          req.Options,
		ConfigMaps:       map[string]corev1.ConfigMap{},
		Secrets:          map[string]corev1.Secret{},
		Phases:           map[string]*Phase{},
		PodOverride:      req.PodOverride,
		PodLabels:        req.PodLabels,
		PodAnnotations:   req.PodAnnotations,
	}

	unreadable := &Unreadable{Errors: map[string]error{}}
	if err := fetchReferences(ctx, c, req, p, unreadable); err != nil {
		return nil, err
	}

	if req.Target != (blueprint.ObjectReference{}) {
		if err := setTarget(ctx, c, req, p); err != nil {
			return nil, err
		}
	}

	if len(unreadable.Errors) > 0 {
		return p, unreadable
	}

	return p, nil
}

func fetchReferences(ctx context.Context, c Cluster, req Request, p *TemplateParams, unreadable *Unreadable) error {
	miss := func(name string, err error) error {
		if !req.Tolerant || ctx.Err() != nil {
			return err
		}

		unreadable.Errors[name] = err

		return nil
	}

	for _, name := range slices.Sorted(maps.Keys(req.ConfigMaps)) {
		cm, err := fetchConfigMap(ctx, c, req.ConfigMaps[name], req.Namespace, "ConfigMaps."+name)
		if err == nil {
			p.ConfigMaps[name] = *cm
		} else if err := miss("ConfigMaps."+name, err); err != nil {
			return err
		}
	}

	for _, name := range slices.Sorted(maps.Keys(req.Secrets)) {
		secret, err := fetchSecret(ctx, c, req.Secrets[name], req.Namespace, "Secrets."+name)
		if err == nil {
			p.Secrets[name] = *secret
		} else if err := miss("Secrets."+name, err); err != nil {
			return err
		}
	}

	return nil
}

// FetchObjects fetches the Secrets and ConfigMaps that a phase's rendered objects name (COMPAT §1.1: other kinds are passed over),
// as .Phases.<name> shows them. A reference without a namespace means defaultNamespace. The result has no Output yet.
func FetchObjects(ctx context.Context, c Cluster, objects map[string]blueprint.ObjectReference, defaultNamespace string) (
	*Phase, error,
) {
	phase := &Phase{Secrets: map[string]corev1.Secret{}, ConfigMaps: map[string]corev1.ConfigMap{}}

	for _, name := range slices.Sorted(maps.Keys(objects)) {
		switch ref := objects[name]; strings.ToLower(ref.Kind) {
		case "secret":
			secret, err := fetchSecret(ctx, c, ref, defaultNamespace, "objects."+name)
			if err != nil {
				return nil, err
			}

			phase.Secrets[name] = *secret
		case "configmap":
			cm, err := fetchConfigMap(ctx, c, ref, defaultNamespace, "objects."+name)
			if err != nil {
				return nil, err
			}

			phase.ConfigMaps[name] = *cm
		}
	}

	return phase, nil
}

func fetchSecret(ctx context.Context, c Cluster, ref blueprint.ObjectReference, namespace, use string) (*corev1.Secret, error) {
	namespace, err := placeOf(ref, namespace, "Secret", use)
	if err != nil {
		return nil, err
	}

	secret, err := c.Kubernetes.CoreV1().Secrets(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return nil, reading("Secret", namespace, ref.Name, use, err)
	}

	return secret, nil
}

func fetchConfigMap(ctx context.Context, c Cluster, ref blueprint.ObjectReference, namespace, use string) (
	*corev1.ConfigMap, error,
) {
	namespace, err := placeOf(ref, namespace, "ConfigMap", use)
	if err != nil {
		return nil, err
	}

	cm, err := c.Kubernetes.CoreV1().ConfigMaps(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return nil, reading("ConfigMap", namespace, ref.Name, use, err)
	}

	return cm, nil
}

// placeOf gives the namespace to look in. An empty name would list instead of get.
func placeOf(ref blueprint.ObjectReference, namespace, kind, use string) (string, error) {
	if ref.Name == "" {
		return "", fmt.Errorf("reading the %s of %s: its name is empty", kind, use)
	}

	if ref.Namespace != "" {
		return ref.Namespace, nil
	}

	return namespace, nil
}

// reading wraps an API error so that it names the object, what it is for, and the fix where there is one.
func reading(kind, namespace, name, use string, err error) error {
	object := fmt.Sprintf("%s %q", kind, name)
	if namespace != "" {
		object = fmt.Sprintf("%s %q", kind, namespace+"/"+name)
	}

	if use != "" {
		object += " (" + use + ")"
	}

	switch {
	case apierrors.IsNotFound(err) && !errors.Is(err, context.Canceled):
		return fmt.Errorf("reading %s: there is none of that name: %w", object, err)
	default:
		return fmt.Errorf("reading %s: %w", object, err)
	}
}
