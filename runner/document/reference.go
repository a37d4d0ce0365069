package document

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// ReferenceFields are the fields of an object reference.
var ReferenceFields = []string{"apiVersion", "group", "kind", "name", "namespace", "resource"}

// Reference reads an object reference as the argument of a function has it. render is applied to each field that is a text;
// numbers are taken as text, as everywhere in arguments (COMPAT §2.5).
func Reference(value any, render func(field, text string) (string, error)) (blueprint.ObjectReference, error) {
	var reference blueprint.ObjectReference

	fields, ok := value.(map[string]any)
	if !ok {
		return reference, fmt.Errorf("it is no mapping with %s", strings.Join(ReferenceFields, ", "))
	}

	into := map[string]*string{
		"apiVersion": &reference.APIVersion, "group": &reference.Group, "resource": &reference.Resource,
		"kind": &reference.Kind, "name": &reference.Name, "namespace": &reference.Namespace,
	}

	for _, field := range slices.Sorted(maps.Keys(fields)) {
		at := into[field]
		if at == nil {
			return reference, unknownField(field, ReferenceFields)
		}

		switch v := fields[field].(type) {
		case nil:
		case map[string]any, []any:
			return reference, fmt.Errorf("%s is no text", field)
		default:
			text, err := render(field, fmt.Sprint(v))
			if err != nil {
				return reference, fmt.Errorf("%s: %w", field, err)
			}

			*at = strings.TrimSpace(text)
		}
	}

	return reference, nil
}

func unknownField(field string, known []string) error {
	if near := suggest.Nearest(field, known); near != "" {
		return fmt.Errorf("there is no field %q; did you mean %q?", field, near)
	}

	return fmt.Errorf("there is no field %q; there are %s", field, strings.Join(known, ", "))
}

// Check refuses a reference that lacks what every request needs.
func Check(reference blueprint.ObjectReference) error {
	switch {
	case reference.Name == "":
		return errors.New("name is empty")
	case reference.APIVersion == "":
		return errors.New("apiVersion is empty; it is the version alone, such as v1, with group beside it")
	case reference.Resource == "" && reference.Kind == "":
		return errors.New("resource is empty; it is the plural, such as deployments")
	}

	return nil
}

// GroupVersion of a reference. The version stands in apiVersion and the group in group (COMPAT §1.2); apps/v1 in apiVersion
// means the same.
func GroupVersion(reference blueprint.ObjectReference) (schema.GroupVersion, error) {
	gv, err := schema.ParseGroupVersion(reference.APIVersion)
	if err != nil {
		return gv, fmt.Errorf("apiVersion: %w", err)
	}

	if gv.Group != "" && reference.Group != "" && gv.Group != reference.Group {
		return gv, fmt.Errorf("apiVersion %q has another group than group %q", reference.APIVersion, reference.Group)
	}

	if reference.Group != "" {
		gv.Group = reference.Group
	}

	return gv, nil
}
