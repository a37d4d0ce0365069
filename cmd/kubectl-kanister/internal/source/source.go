// Package source finds what a run is made from: blueprints (files, ConfigMaps, custom resources, built in), profiles (Secrets,
// custom resources, files) and the finished runs that a restore or a delete takes its artifacts from.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/manifests"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Label on ConfigMaps that hold a blueprint, so that they can be listed; finding one by name does not need it.
const (
	LabelKind     = "kanister.io/kind"
	KindBlueprint = "blueprint"
)

// Resolver reads from the cluster with the user's own rights, from files, and from what is built in.
type Resolver struct {
	Kubernetes kubernetes.Interface
	Dynamic    dynamic.Interface
	// Stdin is what the file name "-" means.
	Stdin io.Reader
	// BuiltIn gives a built-in blueprint as YAML; BuiltInNames lists them. New sets both to package manifests.
	BuiltIn      func(name string) ([]byte, bool)
	BuiltInNames func() []string
	// CustomRunner: the runner image may have functions of its own, so that those not known here are no errors.
	CustomRunner bool

	// given are what stands in the file of an ActionSet beside it; nil if there is none.
	given *blueprint.Documents
}

// New makes a Resolver with the embedded blueprints.
func New(kube kubernetes.Interface, dyn dynamic.Interface, stdin io.Reader) *Resolver {
	return &Resolver{Kubernetes: kube, Dynamic: dyn, Stdin: stdin, BuiltIn: manifests.Blueprint, BuiltInNames: manifests.BlueprintNames}
}

// custom is the resource of one of upstream's kinds.
func custom(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "cr.kanister.io", Version: "v1alpha1", Resource: resource}
}

// customYAML is a custom resource as YAML, without what the API server added: the strict loader would take it for mistakes.
func (r *Resolver) customYAML(ctx context.Context, resource, namespace, name string) ([]byte, error) {
	object, err := r.Dynamic.Resource(custom(resource)).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}

	for _, field := range [][]string{{"metadata", "managedFields"}, {"metadata", "annotations", corev1.LastAppliedConfigAnnotation}} {
		unstructured.RemoveNestedField(object.Object, field...)
	}

	return yaml.Marshal(object.Object)
}

// absent tells errors that mean "not there": no such object, no such kind in this cluster.
func absent(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// coded gives an error of the API server its exit code.
func coded(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return exit.New(exit.NotPermitted, err, "")
	case absent(err):
		return exit.New(exit.Usage, err, "")
	default:
		return err
	}
}

// isFile tells whether a word names a file: it looks like a path or a manifest, or is "-".
func isFile(word string) bool {
	if word == "-" || strings.HasPrefix(word, "./") || strings.HasPrefix(word, "../") || strings.HasPrefix(word, "/") || strings.HasPrefix(word, "~/") {
		return true
	}

	for _, suffix := range []string{".yaml", ".yml", ".json"} {
		if strings.HasSuffix(word, suffix) {
			return true
		}
	}

	return false
}

// readFile reads a named file or, for "-", Stdin.
func (r *Resolver) readFile(name string) ([]byte, error) {
	if name == "-" {
		if r.Stdin == nil {
			return nil, exit.New(exit.Usage, errors.New("reading standard input: there is none"), "")
		}

		data, err := io.ReadAll(r.Stdin)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}

		return data, nil
	}

	data, err := os.ReadFile(name) // the user's own file, named on his command line
	if err != nil {
		return nil, exit.New(exit.Usage, err, "")
	}

	return data, nil
}

// place is a name that may carry its namespace: NAMESPACE/NAME.
func place(word, namespace string) (ns, name string) {
	if before, after, found := strings.Cut(word, "/"); found {
		return before, after
	}

	return namespace, word
}
