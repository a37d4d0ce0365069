package blueprint

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// where a template stands decides what it may read.
type where int

const (
	inArgs where = iota
	inDefer
	inObjects
	inArtifacts
)

// scope of a template.
type scope struct {
	action     *Action
	actionName string
	// phase that the template belongs to; nil for output artifacts.
	phase *Phase
	// earlier phases have run when the template is rendered, later ones have not.
	earlier, later []Phase
	place          where
}

// text is one string of a blueprint that is rendered.
type text struct {
	path  string // of the value, or of the member whose key it is
	key   bool
	value string
	scope scope
}

// strings walks all strings of arguments, keys of mappings included, in the order of their names.
func (v *validator) strings(path string, args map[string]any) iter.Seq[text] {
	return func(yield func(text) bool) { walk(path, args, yield) }
}

func walk(path string, value any, yield func(text) bool) bool {
	switch x := value.(type) {
	case string:
		return yield(text{path: path, value: x})
	case []any:
		for i := range x {
			if !walk(element(path, i), x[i], yield) {
				return false
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			at := join(path, key)
			if !yield(text{path: at, key: true, value: key}) || !walk(at, x[key], yield) {
				return false
			}
		}
	}

	return true
}

// at is the place of line and column within t.
func (v *validator) within(t text, line, column int, fragment string) point {
	if t.key {
		return v.source().keyAt(t.path)
	}

	return v.source().within(t.path, line, column, fragment)
}

// template checks that t parses and that what it reads can be there.
func (v *validator) template(t text) {
	if t.scope.phase != nil && t.scope.place != inObjects {
		if f, ok := v.function(t.scope.phase); ok && f.RawArgs {
			v.raw(t)

			return
		}
	}

	refs, ok := v.parse(t, nil)
	if !ok {
		return
	}

	for _, r := range refs {
		v.reference(t, r)
	}
}

// parse reports a template that does not parse. functions are those of the language, nil for the language of arguments.
func (v *validator) parse(t text, functions []string) ([]syntax.Reference, bool) {
	if !syntax.IsTemplate(t.value) {
		return nil, true
	}

	refs, err := syntax.ReferencesWith(t.value, functions)
	if err == nil {
		return refs, true
	}

	e, ok := syntax.AsError(err)
	if !ok {
		e = &syntax.Error{Message: err.Error()}
	}

	v.add(Error, v.within(t, e.Line, e.Column, ""), t.path, e.Suggestion, "the template does not parse: %s", e.Message)

	return nil, false
}

// waitFunctions are the only functions of WaitV2's conditions beside the engine's own (COMPAT §4.27).
var waitFunctions = []string{"exists", "base64decode"}

// raw checks the arguments of functions that render them themselves. Only Wait and WaitV2 are known to do what.
func (v *validator) raw(t text) {
	name := strings.ToLower(t.scope.phase.Func)
	condition := !t.key && strings.HasSuffix(t.path, ".condition")

	switch {
	case name == "waitv2" && condition:
		refs, ok := v.parse(t, waitFunctions)
		if ok && len(refs) == 0 {
			v.constant(t, "it reads nothing of the object (as in {{ $.status.phase }})")
		}
	case name == "wait" && condition:
		// The condition is rendered with the parameters as well, to read the timeout, so it must parse as an argument does.
		if _, ok := v.parse(t, nil); ok && !strings.Contains(t.value, "{$") && !jsonPath.MatchString(t.value) {
			v.constant(t, "it reads nothing of the object; the path must stand in single braces: { $.status.phase }")
		}
	case name == "waitv2" && strings.HasSuffix(t.path, ".args.timeout"):
		if syntax.IsTemplate(t.value) {
			v.add(Error, v.within(t, 1, 1, ""), t.path, "", "WaitV2 does not render its timeout; write a duration such as 5m")
		}
	case name == "wait" || name == "waitv2":
		refs, _ := v.parse(t, nil)
		for _, r := range refs {
			v.reference(t, r)
		}
	}
}

func (v *validator) constant(t text, why string) {
	v.add(Warning, v.source().at(t.path), t.path, "", "the condition is constant: %s", why)
}
