package cloud

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// List reads the value of an argument that is a list of texts, however it was written: as a list, as the text of a YAML list, or
// separated by commas or blanks.
func List(argument string, value any) ([]string, error) {
	var items []string

	switch v := value.(type) {
	case nil:
	case []string:
		items = v
	case []any:
		for _, item := range v {
			items = append(items, fmt.Sprint(item))
		}
	case string:
		text := strings.TrimSpace(v)
		if text == "" || text == "<no value>" || text == "<nil>" {
			return nil, nil
		}

		var parsed any
		if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
			return nil, fmt.Errorf("reading argument %q: %q is no list: %w", argument, text, err)
		}

		if many, ok := parsed.([]any); ok {
			if items, err := List(argument, many); len(items) != 1 || err != nil {
				return items, err
			}
			// What a template makes of a list: [a b].
			text = fmt.Sprint(many[0])
		}

		items = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	default:
		return nil, fmt.Errorf("reading argument %q: it is no list of texts", argument)
	}

	return slices.DeleteFunc(slices.Clone(items), func(s string) bool { return strings.TrimSpace(s) == "" }), nil
}
