package document

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// Resource is what a document or a reference means in this cluster.
type Resource struct {
	schema.GroupVersionResource

	Kind       string
	Namespaced bool
}

// String names the resource as kubectl does: deployments.apps.
func (r Resource) String() string { return r.GroupResource().String() }

// Namespace that an object of the resource lies in: the first of wanted that is not empty, else DefaultNamespace; "" if the
// resource is cluster scoped.
func (r Resource) Namespace(wanted ...string) string {
	if !r.Namespaced {
		return ""
	}

	for _, namespace := range wanted {
		if namespace != "" {
			return namespace
		}
	}

	return DefaultNamespace
}

// ByGet tells whether objects of the resource are looked at by get requests instead of being watched. Those are namespaces: a
// Role inside the namespace itself permits to get it, while a watch would take cluster-wide permissions.
func (r Resource) ByGet() bool {
	return r.GroupResource() == schema.GroupResource{Resource: "namespaces"}
}

// UnknownError says that the cluster does not serve what was asked for.
type UnknownError struct {
	GroupVersion schema.GroupVersion
	// What was looked for: `resource "pods"`, `kind "Pod"`; empty: the group and version themselves are unknown.
	What string
	// Near is what may have been meant.
	Near string
}

// Error names what is missing and what may have been meant.
func (e *UnknownError) Error() string {
	if e.What == "" {
		return fmt.Sprintf("the cluster does not serve %q; kubectl api-versions lists what it serves, a custom resource needs its CustomResourceDefinition", e.GroupVersion)
	}

	text := fmt.Sprintf("the cluster has no %s in %q", e.What, e.GroupVersion)
	if e.Near != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Near)
	}

	return text
}

// Resources asks a cluster what it serves, each group and version once. It is safe for concurrent use.
type Resources struct {
	client discovery.ServerResourcesInterfaceWithContext

	mu            sync.Mutex
	known, learnt map[string][]metav1.APIResource
}

// NewResources makes Resources that ask by client. Whoever is authenticated may ask.
func NewResources(client discovery.ServerResourcesInterface) *Resources {
	return &Resources{client: discovery.ToServerResourcesInterfaceWithContext(client), known: map[string][]metav1.APIResource{}, learnt: map[string][]metav1.APIResource{}}
}

// OfKind finds the resource of a document's apiVersion and kind. What the cluster does not serve is an *UnknownError.
func (r *Resources) OfKind(ctx context.Context, gvk schema.GroupVersionKind) (Resource, error) {
	return r.find(ctx, gvk.GroupVersion(), fmt.Sprintf("kind %q", gvk.Kind), gvk.Kind, func(found metav1.APIResource) string { return found.Kind })
}

// OfReference finds the resource of a reference by its resource, or by its kind if it has none. What the cluster does not
// serve is an *UnknownError.
func (r *Resources) OfReference(ctx context.Context, reference blueprint.ObjectReference) (Resource, error) {
	gv, err := GroupVersion(reference)
	if err != nil {
		return Resource{}, err
	}

	if reference.Resource == "" {
		return r.OfKind(ctx, gv.WithKind(reference.Kind))
	}

	return r.find(ctx, gv, fmt.Sprintf("resource %q", reference.Resource), reference.Resource, func(found metav1.APIResource) string { return found.Name })
}

// Learn takes down the resources of a CustomResourceDefinition that is about to be created, so that documents behind it in the
// same text have a meaning. It tells whether the document is one.
func (r *Resources) Learn(crd *unstructured.Unstructured) bool {
	if crd.GetKind() != "CustomResourceDefinition" || crd.GroupVersionKind().Group != "apiextensions.k8s.io" {
		return false
	}

	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	scope, _, _ := unstructured.NestedString(crd.Object, "spec", "scope")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")

	r.mu.Lock()
	defer r.mu.Unlock()

	for _, version := range versions {
		content, _ := version.(map[string]any)
		name, _ := content["name"].(string)
		gv := schema.GroupVersion{Group: group, Version: name}.String()
		r.learnt[gv] = append(r.learnt[gv], metav1.APIResource{Name: plural, Kind: kind, Namespaced: scope == "Namespaced"})
	}

	return true
}

func (r *Resources) find(ctx context.Context, gv schema.GroupVersion, what, word string, spelt func(metav1.APIResource) string) (Resource, error) {
	all, err := r.served(ctx, gv)
	if err != nil {
		return Resource{}, err
	}

	var words []string

	for _, found := range all {
		if strings.Contains(found.Name, "/") { // a subresource
			continue
		}

		if spelt(found) == word {
			return Resource{GroupVersionResource: gv.WithResource(found.Name), Kind: found.Kind, Namespaced: found.Namespaced}, nil
		}

		// The singular, the short names and the kind are near misses that people type.
		for _, alias := range append([]string{found.SingularName, found.Kind, found.Name}, found.ShortNames...) {
			if strings.EqualFold(alias, word) {
				return Resource{}, &UnknownError{GroupVersion: gv, What: what, Near: spelt(found)}
			}
		}

		words = append(words, spelt(found))
	}

	return Resource{}, &UnknownError{GroupVersion: gv, What: what, Near: suggest.Nearest(word, words)}
}

func (r *Resources) served(ctx context.Context, gv schema.GroupVersion) ([]metav1.APIResource, error) {
	r.mu.Lock()
	all, known := r.known[gv.String()]
	learnt := slices.Clone(r.learnt[gv.String()])
	r.mu.Unlock()

	if known {
		return append(learnt, all...), nil
	}

	list, err := r.client.ServerResourcesForGroupVersionWithContext(ctx, gv.String())
	if apierrors.IsNotFound(err) && len(learnt) > 0 {
		return learnt, nil
	}

	if apierrors.IsNotFound(err) {
		return nil, &UnknownError{GroupVersion: gv}
	}

	if err != nil {
		return nil, fmt.Errorf("asking the cluster which resources %q has: %w", gv, err)
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	r.known[gv.String()] = list.APIResources

	return append(learnt, list.APIResources...), nil
}
