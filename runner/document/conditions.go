package document

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Condition is one condition of Wait or WaitV2.
type Condition struct {
	// Path is its place in the argument: anyOf[0].
	Path string
	// Text is the condition, never rendered (COMPAT §4.27).
	Text      string
	Reference blueprint.ObjectReference
}

// Conditions are the argument `conditions` of Wait and WaitV2: met if one of AnyOf is, or all of AllOf are and there are some.
type Conditions struct{ AnyOf, AllOf []Condition }

// All conditions, those of AnyOf first.
func (c Conditions) All() []Condition { return slices.Concat(c.AnyOf, c.AllOf) }

var conditionLists = []string{"allOf", "anyOf"}

// ReadConditions reads the argument `conditions`. render is applied to the fields of the object references.
func ReadConditions(value any, render func(field, text string) (string, error)) (Conditions, error) {
	var conditions Conditions

	lists, ok := value.(map[string]any)
	if !ok {
		return conditions, errors.New("it is no mapping with the lists anyOf or allOf")
	}

	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if !slices.Contains(conditionLists, name) {
			return conditions, unknownField(name, conditionLists)
		}

		list, ok := lists[name].([]any)
		if !ok && lists[name] != nil {
			return conditions, fmt.Errorf("%s is no list of conditions", name)
		}

		for i, element := range list {
			path := fmt.Sprintf("%s[%d]", name, i)

			condition, err := readCondition(element, render)
			if err != nil {
				return conditions, fmt.Errorf("%s: %w", path, err)
			}

			condition.Path = path

			if name == "anyOf" {
				conditions.AnyOf = append(conditions.AnyOf, condition)
			} else {
				conditions.AllOf = append(conditions.AllOf, condition)
			}
		}
	}

	if len(conditions.All()) == 0 {
		return conditions, errors.New("there is no condition in it: give some in anyOf or allOf")
	}

	return conditions, nil
}

func readCondition(element any, render func(field, text string) (string, error)) (Condition, error) {
	var condition Condition

	fields, ok := element.(map[string]any)
	if !ok {
		return condition, errors.New("it is no mapping with condition and objectReference")
	}

	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if known := []string{"condition", "objectReference"}; !slices.Contains(known, field) {
			return condition, unknownField(field, known)
		}
	}

	switch text := fields["condition"].(type) {
	case string:
		condition.Text = text
	case bool: // `condition: true` needs no quotes to be meant
		condition.Text = fmt.Sprint(text)
	}

	if condition.Text == "" {
		return condition, errors.New("condition is empty")
	}

	reference, err := Reference(fields["objectReference"], render)
	if err != nil {
		return condition, fmt.Errorf("objectReference: %w", err)
	}

	condition.Reference = reference

	return condition, nil
}
