// Package target turns what the user named (deploy/foo, -l app=foo, -f app.yaml) into the objects that actions work on.
package target

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Annotations on a target that name the blueprint to use when none is given: ours, and the one that upstream's users set already.
const (
	AnnotationBlueprint         = "kanister.io/blueprint"
	AnnotationBlueprintUpstream = "kanister.kasten.io/blueprint"
)

// Target is one object that an action works on, as it was in the cluster when it was looked up.
type Target struct {
	// Ref is what the runner is told (COMPAT §1.4).
	Ref blueprint.ObjectReference
	// Object is the live object; nil if the target was taken from a record and not looked up.
	Object *unstructured.Unstructured
}

// String is the target as kubectl would print it: deployment/foo.
func (t Target) String() string { return Name(t.Ref) }

// Name is ref as kubectl would print it: deployment/foo.
func Name(ref blueprint.ObjectReference) string { return ref.Kind + "/" + ref.Name }

// Namespace is where a run for this target belongs: the target's own, the namespace itself for a namespace target, and
// fallback for other cluster-scoped objects.
func (t Target) Namespace(fallback string) string {
	if t.Ref.Namespace != "" {
		return t.Ref.Namespace
	}

	return fallback
}

// Blueprint is the blueprint that the target itself asks for by annotation, or "".
func (t Target) Blueprint() string {
	if t.Object == nil {
		return ""
	}

	annotations := t.Object.GetAnnotations()
	if name := annotations[AnnotationBlueprint]; name != "" {
		return name
	}

	return annotations[AnnotationBlueprintUpstream]
}

// Namespaced makes the reference of a namespace target: upstream wants both names equal (COMPAT §1.4).
func Namespaced(name string) blueprint.ObjectReference {
	return blueprint.ObjectReference{APIVersion: "v1", Resource: "namespaces", Kind: "namespace", Name: name, Namespace: name}
}

// fromInfo maps what the resource builder found to upstream's reference.
func fromInfo(info *resource.Info) Target {
	object, _ := info.Object.(*unstructured.Unstructured)
	t := Target{Object: object, Ref: blueprint.ObjectReference{
		APIVersion: info.Mapping.GroupVersionKind.Version,
		Group:      info.Mapping.GroupVersionKind.Group,
		Resource:   info.Mapping.Resource.Resource,
		Kind:       kindOf(info.Mapping.GroupVersionKind.Group, info.Mapping.GroupVersionKind.Kind),
		Name:       info.Name,
		Namespace:  info.Namespace,
	}}

	if t.Ref.Kind == "namespace" {
		t.Ref = Namespaced(info.Name)
	}

	return t
}

// kindOf is the kind as blueprints know it. Only PersistentVolumeClaim has a name of its own there.
func kindOf(group, kind string) string {
	kind = strings.ToLower(kind)
	if group == "" && kind == "persistentvolumeclaim" {
		return "pvc"
	}

	return kind
}
