package template

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

var (
	noEntry    = regexp.MustCompile(`map has no entry for key "(.*)"$`)
	nilPointer = regexp.MustCompile(`nil pointer evaluating (\S+)\.(\w+)$`)
	noField    = regexp.MustCompile(`can't evaluate field (\w+) in type (\S+)$`)
	nilData    = regexp.MustCompile(`nil data; no entry for key "(.*)"$`)
)

// explain makes the engine's error readable: the missing key, the keys that there are, the parameter that is not set and why.
func explain(text string, p *params.TemplateParams, err error) error {
	e, ok := syntax.AsError(err)
	if !ok {
		return err
	}

	path := pathOf(text, e)

	if m := noEntry.FindStringSubmatch(e.Message); m != nil {
		missing(e, path, m[1], p)
	} else if m := nilData.FindStringSubmatch(e.Message); m != nil {
		missing(e, path, m[1], p)
	} else if m := nilPointer.FindStringSubmatch(e.Message); m != nil {
		unset(e, path, m[1], m[2], p)
	} else if m := noField.FindStringSubmatch(e.Message); m != nil {
		unknown(e, path, m[1], m[2])
	} else if w := p.Workload(); w != nil && strings.Contains(e.Message, "index out of range") {
		e.Message += fmt.Sprintf("; .%s.Pods has the running pods, of which there are %d", targetKind(p), len(w.Pods))
	}

	return e
}

// pathOf finds what the failing expression reads from the root, by its place; nil where that is not known.
func pathOf(text string, e *syntax.Error) []string {
	refs, err := syntax.References(text)
	if err != nil {
		return nil
	}

	for _, r := range refs {
		if r.Line == e.Line && r.Column == e.Column {
			return r.Path
		}
	}

	return nil
}

// missing explains a key that a map does not have.
func missing(e *syntax.Error, path []string, key string, p *params.TemplateParams) {
	e.Message = fmt.Sprintf("%q not found", key)

	at := slices.Index(path, key)
	if at < 0 {
		return
	}

	parent := "." + strings.Join(path[:at], ".")
	keys, ok := keysAt(reflect.ValueOf(p), path[:at])

	switch {
	case !ok:
		return
	case len(keys) == 0:
		e.Message = fmt.Sprintf("%q not found: %s is empty%s", key, parent, hint(path))
	default:
		e.Message = fmt.Sprintf("%q not found in %s, which has %s%s", key, parent, enumerate(keys), hint(path))
		e.Suggestion = suggest.Nearest(key, keys)
	}
}

// hint tells how the usual misses are avoided.
func hint(path []string) string {
	switch path[0] {
	case "Options":
		return fmt.Sprintf("; an option that need not be given is read with index .Options %q", path[len(path)-1])
	case "ArtifactsIn":
		return "; artifacts come from an earlier run (--from)"
	case "Secrets", "ConfigMaps":
		return "; name it when the run is started"
	}

	return ""
}

// unset explains a parameter that is nil.
func unset(e *syntax.Error, path []string, typeName, field string, p *params.TemplateParams) {
	at := slices.Index(path, field)
	if at < 1 {
		e.Message = fmt.Sprintf("%s is not set, so it has no %s", strings.TrimPrefix(typeName, "*params."), field)

		return
	}

	name := "." + strings.Join(path[:at], ".")
	e.Message = name + " is not set"

	switch path[0] {
	case "Deployment", "StatefulSet", "DeploymentConfig", "PVC", "Namespace":
		if kind := targetKind(p); kind != "" {
			e.Message += ": the target is a " + kind
		} else {
			e.Message += ": the target is of another kind; see .Object"
		}
	case "Profile":
		e.Message += ": the run has no profile"
	case "RepositoryServer":
		e.Message += ": the run has no repository server"
	case "CurrentPhase":
		e.Message += " outside a phase"
	case "Phases":
		e.Message += ": the phase has not run yet"
	case "DeferPhase":
		e.Message += " before the deferPhase"
	}
}

// unknown explains a field that a struct does not have.
func unknown(e *syntax.Error, path []string, field, typeName string) {
	if typeName != "params.TemplateParams" {
		e.Message = fmt.Sprintf("%s has no field %q", strings.TrimPrefix(strings.TrimPrefix(typeName, "*"), "params."), field)
		if t, ok := fieldsAt(path, field); ok {
			e.Message += ", it has " + enumerate(t)
			e.Suggestion = suggest.Nearest(field, t)
		}

		return
	}

	roots := Roots()

	if e.Suggestion = suggest.Nearest(field, roots); e.Suggestion != "" {
		e.Message = fmt.Sprintf("there is no parameter .%s", field)
	} else {
		e.Message = fmt.Sprintf("there is no parameter .%s; there are %s", field, strings.Join(roots, ", "))
	}
}

// Roots are the names at the root of every template, sorted.
func Roots() []string {
	names := fields(reflect.TypeFor[params.TemplateParams]())
	slices.Sort(names)

	return names
}

func fields(t reflect.Type) []string {
	var names []string

	for _, f := range reflect.VisibleFields(t) {
		if f.IsExported() && !f.Anonymous {
			names = append(names, f.Name)
		}
	}

	return names
}

// fieldsAt are the fields of the struct type that holds field on path.
func fieldsAt(path []string, field string) ([]string, bool) {
	t := reflect.TypeFor[params.TemplateParams]()

	for _, name := range path {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}

		if name == field && t.Kind() == reflect.Struct {
			if _, has := t.FieldByName(field); !has {
				return fields(t), true
			}
		}

		switch t.Kind() {
		case reflect.Struct:
			f, ok := t.FieldByName(name)
			if !ok {
				return nil, false
			}

			t = f.Type
		case reflect.Map:
			t = t.Elem()
		default:
			return nil, false
		}
	}

	return nil, false
}

// keysAt are the keys of the map that path leads to.
func keysAt(v reflect.Value, path []string) ([]string, bool) {
	for _, name := range path {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}

		switch v.Kind() {
		case reflect.Struct:
			v = v.FieldByName(name)
		case reflect.Map:
			if v.Type().Key().Kind() != reflect.String {
				return nil, false
			}

			v = v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key()))
		default:
			return nil, false
		}
	}

	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}

	if v.Kind() != reflect.Map {
		return nil, false
	}

	var keys []string
	for _, key := range v.MapKeys() {
		keys = append(keys, key.String())
	}

	slices.Sort(keys)

	return keys, true
}

// enumerate lists names for a message; a long list is cut, and says so.
func enumerate(names []string) string {
	const most = 12

	var b strings.Builder

	for i, name := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)

			break
		}

		if i > 0 {
			b.WriteString(", ")
		}

		fmt.Fprintf(&b, "%q", name)
	}

	return b.String()
}

// targetKind is the kind of the target, or "" if none of the five.
func targetKind(p *params.TemplateParams) string {
	switch {
	case p.StatefulSet != nil:
		return "StatefulSet"
	case p.Deployment != nil:
		return "Deployment"
	case p.DeploymentConfig != nil:
		return "DeploymentConfig"
	case p.PVC != nil:
		return "PersistentVolumeClaim"
	case p.Namespace != nil:
		return "Namespace"
	default:
		return ""
	}
}
