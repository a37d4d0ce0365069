package target

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// unstructuredKind is what upstream's kanctl calls the kind of an object that it was given as a resource.
const unstructuredKind = "unstructured"

// Reference completes the object of an ActionSet (COMPAT §1.4) as targets of the command line are: kind in lower case, group,
// version and resource from the cluster's discovery where the reference leaves them out, namespace for an object that lives in
// one and names none. The object itself is not looked at. A reference that names nothing the cluster knows has exit code Usage.
func Reference(getter genericclioptions.RESTClientGetter, ref blueprint.ObjectReference, namespace string) (Target, error) {
	if ref.Name == "" && (!strings.EqualFold(ref.Kind, "namespace") || ref.Namespace == "") {
		return Target{}, exit.New(exit.Usage, fmt.Errorf("reading the object of kind %q: its name is empty", ref.Kind), "")
	}

	if group, version, both := strings.Cut(ref.APIVersion, "/"); both && (ref.Group == "" || ref.Group == group) {
		ref.Group, ref.APIVersion = group, version
	}

	mapper, err := getter.ToRESTMapper()
	if err != nil {
		return Target{}, fmt.Errorf("asking the cluster for its resources: %w", err)
	}

	mapping, err := mappingOf(mapper, ref)
	if err != nil && !meta.IsNoMatchError(err) && !errors.Is(err, errUnnamed) {
		return Target{}, fmt.Errorf("asking the cluster what the object %q of kind %q is: %w", ref.Name, ref.Kind, err)
	}

	if meta.IsNoMatchError(err) {
		err = errors.New("the cluster has nothing of this kind")
	}

	if err != nil {
		return Target{}, exit.New(exit.Usage, fmt.Errorf("reading the object %q of kind %q: %w", ref.Name, ref.Kind, err),
			"name it with kind, or with group, apiVersion and resource as kubectl api-resources has them")
	}

	ref.Group, ref.APIVersion = mapping.GroupVersionKind.Group, mapping.GroupVersionKind.Version
	ref.Resource, ref.Kind = mapping.Resource.Resource, kindOf(mapping.GroupVersionKind.Group, mapping.GroupVersionKind.Kind)

	switch {
	case ref.Group == "" && ref.Kind == "namespace" && ref.Name == "":
		ref.Name = ref.Namespace
	case ref.Group == "" && ref.Kind == "namespace" && ref.Namespace == "":
		ref.Namespace = ref.Name
	case mapping.Scope.Name() == meta.RESTScopeNameNamespace && ref.Namespace == "":
		ref.Namespace = namespace
	}

	return Target{Ref: ref}, nil
}

// shortKinds are upstream's words for kinds that the API calls otherwise, or that belong to a group the reference need not name.
var shortKinds = map[string]schema.GroupResource{
	"statefulset":           {Group: "apps", Resource: "statefulsets"},
	"deployment":            {Group: "apps", Resource: "deployments"},
	"deploymentconfig":      {Group: "apps.openshift.io", Resource: "deploymentconfigs"},
	"pvc":                   {Resource: "persistentvolumeclaims"},
	"persistentvolumeclaim": {Resource: "persistentvolumeclaims"},
	"namespace":             {Resource: "namespaces"},
}

var errUnnamed = errors.New("neither kind nor resource says what it is")

func mappingOf(mapper meta.RESTMapper, ref blueprint.ObjectReference) (*meta.RESTMapping, error) {
	kind := strings.ToLower(ref.Kind)
	resource := schema.GroupVersionResource{Group: ref.Group, Version: ref.APIVersion, Resource: ref.Resource}

	// Upstream reads these by their kind alone, whatever else the reference says; ActionSets from the time before apps/v1 name extensions.
	if known, ok := shortKinds[kind]; ok && (ref.Group == "" || ref.Group == known.Group || ref.Group == "extensions") {
		resource = known.WithVersion("")
	}

	if resource.Resource == "" && kind != unstructuredKind {
		resource.Resource = kind // discovery takes the singular
	}

	if resource.Resource == "" {
		return nil, errUnnamed
	}

	gvk, err := mapper.KindFor(resource)
	if err != nil {
		return nil, err
	}

	return mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}
