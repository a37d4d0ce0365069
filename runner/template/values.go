package template

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// renderer turns one string into another; path names it.
type renderer func(path, text string) (string, error)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// renderMapAt renders the keys and values of a map, in the order of the keys, so that the same fault is always found first.
func renderMapAt(path string, in map[string]any, render renderer) (map[string]any, error) {
	if in == nil {
		return nil, nil
	}

	out := make(map[string]any, len(in))

	for _, key := range sortedKeys(in) {
		at := child(path, key)

		name, err := render(at, key)
		if err != nil {
			return nil, fmt.Errorf("rendering the key %q: %w", at, err)
		}

		if _, taken := out[name]; taken {
			return nil, fmt.Errorf("rendering the key %q: it becomes %q, which stands there already", at, name)
		}

		value, err := renderValue(at, in[key], render)
		if err != nil {
			return nil, err
		}

		out[name] = value
	}

	return out, nil
}

// renderValue renders one argument or a part of it; path names it in errors.
func renderValue(path string, in any, render renderer) (any, error) {
	switch v := in.(type) {
	case nil:
		return nil, nil
	case string:
		out, err := render(path, v)
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", path, err)
		}

		return out, nil
	case map[string]any:
		return renderMapAt(path, v, render)
	case []any:
		return renderList(path, v, render)
	}

	return renderReflected(path, reflect.ValueOf(in), render)
}

func renderList(path string, in []any, render renderer) (any, error) {
	out := make([]any, len(in))

	for i, element := range in {
		value, err := renderValue(fmt.Sprintf("%s[%d]", path, i), element, render)
		if err != nil {
			return nil, err
		}

		out[i] = value
	}

	return out, nil
}

// renderReflected renders values whose types are not those of decoded JSON: []string, map[any]any, pointers, named strings.
func renderReflected(path string, v reflect.Value, render renderer) (any, error) {
	switch v.Kind() {
	case reflect.String:
		return renderValue(path, v.String(), render)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil, nil
		}

		return renderValue(path, v.Elem().Interface(), render)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Interface(), nil
		}

		list := make([]any, v.Len())
		for i := range v.Len() {
			list[i] = v.Index(i).Interface()
		}

		return renderList(path, list, render)
	case reflect.Map:
		m := make(map[string]any, v.Len())

		for it := v.MapRange(); it.Next(); {
			key := fmt.Sprint(it.Key().Interface())
			if _, taken := m[key]; taken {
				return nil, fmt.Errorf("rendering %s: the key %q stands there twice", path, key)
			}

			m[key] = it.Value().Interface()
		}

		return renderMapAt(path, m, render)
	default:
		return v.Interface(), nil
	}
}

func child(path, key string) string {
	if path == "" {
		return key
	}

	return path + "." + key
}
