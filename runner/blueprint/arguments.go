package blueprint

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// phase checks a phase's function and the names and types of its arguments.
func (v *validator) phase(path string, p *Phase) {
	if v.options.Functions == nil || p.Func == "" {
		return
	}

	f, ok := v.options.Functions.Lookup(p.Func)
	if !ok {
		severity := Error
		if v.options.AllowUnknownFunctions {
			severity = Warning
		}

		v.add(severity, v.source().at(path+".func"), path+".func", suggest.Nearest(p.Func, v.options.Functions.Names()),
			"there is no function %q", p.Func)

		return
	}

	open := false // a name that is rendered may be any

	for _, name := range slices.Sorted(maps.Keys(p.Args)) {
		at := join(path+".args", name)

		if syntax.IsTemplate(name) {
			open = true

			continue
		}

		argument, known := f.argument(name)
		if !known {
			near, there := suggest.Nearest(name, f.spellings()), ""
			if near == "" {
				there = has(f)
			}

			v.add(Error, v.source().keyAt(at), at, near, "%s has no argument %q%s", p.Func, name, there)

			continue
		}

		v.literal(at, argument, p.Args[name])
	}

	v.spelt(path, f, p)

	if !open {
		v.missing(path, f, p)
		v.oneOf(path, f, p)
	}
}

func has(f Function) string {
	if len(f.Arguments) == 0 {
		return "; it has none"
	}

	names := make([]string, len(f.Arguments))
	for i, a := range f.Arguments {
		names[i] = a.Name
	}

	return "; it has " + strings.Join(names, ", ")
}

// spelt finds an argument that is given under two spellings.
func (v *validator) spelt(path string, f Function, p *Phase) {
	for _, a := range f.Arguments {
		var given []string

		for _, name := range append([]string{a.Name}, a.Aliases...) {
			if _, ok := p.Args[name]; ok {
				given = append(given, name)
			}
		}

		if len(given) > 1 {
			at := join(path+".args", given[1])
			v.add(Error, v.source().keyAt(at), at, "", "%s are spellings of the same argument; keep one", strings.Join(given, " and "))
		}
	}
}

// given tells whether an argument is there under any spelling; null is not there.
func given(a Argument, p *Phase) (any, bool) {
	for _, name := range append([]string{a.Name}, a.Aliases...) {
		if value, ok := p.Args[name]; ok && value != nil {
			return value, true
		}
	}

	return nil, false
}

func (v *validator) missing(path string, f Function, p *Phase) {
	var names []string

	for _, a := range f.Arguments {
		if _, ok := given(a, p); a.Required && !ok {
			names = append(names, strconv.Quote(a.Name))
		}
	}

	if len(names) == 0 {
		return
	}

	argument := "argument "
	if len(names) > 1 {
		argument = "arguments "
	}

	at := v.source().at(path + ".func")
	if p.Args != nil {
		at = v.source().keyAt(path + ".args")
	}

	v.add(Error, at, path+".args", "", "%s needs the %s%s", p.Func, argument, strings.Join(names, ", "))
}

func (v *validator) oneOf(path string, f Function, p *Phase) {
	for _, group := range f.OneOf {
		var (
			names     []string
			templated bool
		)

		for _, name := range group {
			a, ok := f.argument(name)
			if !ok {
				a = Argument{Name: name}
			}

			value, ok := given(a, p)
			if !ok || value == "" {
				continue
			}

			names = append(names, name)
			s, _ := value.(string)
			templated = templated || syntax.IsTemplate(s)
		}

		at := v.source().keyAt(path + ".args")

		switch {
		case len(names) == 0:
			v.add(Error, at, path+".args", "", "%s needs one of the arguments %s", p.Func, strings.Join(group, ", "))
		case len(names) > 1 && templated:
			v.add(Warning, at, path+".args", "", "%s takes only one of the arguments %s; all but one must render to nothing", p.Func,
				strings.Join(names, ", "))
		case len(names) > 1:
			v.add(Error, at, path+".args", "", "%s takes only one of the arguments %s", p.Func, strings.Join(names, ", "))
		}
	}
}

// literal checks a value against the argument's type as far as it is written out. It accepts what weak decoding accepts (COMPAT
// §2.5): a number for a text, one text for a list.
func (v *validator) literal(path string, a Argument, value any) {
	if value == nil {
		return
	}

	if s, ok := value.(string); ok && syntax.IsTemplate(s) {
		switch a.Type {
		case TypeStringMap, TypeMap:
			v.wrong(path, a, "a mapping", value)
		}

		return
	}

	switch a.Type {
	case TypeString:
		v.literalString(path, a, value)
	case TypeInt:
		if !isInt(value) {
			v.wrong(path, a, "a whole number", value)
		}
	case TypeBool:
		if !isBool(value) {
			v.wrong(path, a, "true or false", value)
		}
	case TypeStrings:
		v.literalStrings(path, a, value)
	case TypeStringMap:
		v.literalStringMap(path, a, value)
	case TypeMap:
		if _, ok := value.(map[string]any); !ok {
			v.wrong(path, a, "a mapping", value)
		}
	}

	v.allowed(path, a, value)

	if a.Check != nil {
		if err := a.Check(value); err != nil {
			v.add(Error, v.source().at(path), path, "", "%s: %v", a.Name, err)
		}
	}
}

func (v *validator) wrong(path string, a Argument, want string, value any) {
	v.add(Error, v.source().at(path), path, "", "wrong type: %s takes %s, not %s", a.Name, want, kindOf(value))
}

func kindOf(value any) string {
	switch x := value.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case bool:
		return "the boolean " + strconv.FormatBool(x)
	case string:
		return "the text " + strconv.Quote(shorten(x))
	case nil:
		return "nothing"
	default:
		return "a number"
	}
}

func shorten(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}

	return s
}

func (v *validator) literalString(path string, a Argument, value any) {
	switch x := value.(type) {
	case map[string]any, []any:
		v.wrong(path, a, "text", value)
	case bool:
		v.add(Warning, v.source().at(path), path, strconv.FormatBool(x),
			"the boolean %t becomes the text %q here, as upstream has it; write it in quotes", x, map[bool]string{true: "1", false: "0"}[x])
	}
}

func isInt(value any) bool {
	switch x := value.(type) {
	case int, int32, int64, uint64:
		return true
	case float64:
		return x == math.Trunc(x)
	case string:
		_, err := strconv.ParseInt(x, 0, 64)

		return x == "" || err == nil
	default:
		return false
	}
}

func isBool(value any) bool {
	switch x := value.(type) {
	case bool, int, int32, int64, uint64, float64:
		return true
	case string:
		_, err := strconv.ParseBool(x)

		return x == "" || err == nil
	default:
		return false
	}
}

func (v *validator) literalStrings(path string, a Argument, value any) {
	list, ok := value.([]any)
	if !ok {
		if _, mapping := value.(map[string]any); mapping {
			v.wrong(path, a, "a list of texts", value)
		}

		return
	}

	for i, item := range list {
		switch item.(type) {
		case map[string]any, []any:
			v.wrong(element(path, i), a, "a list of texts", item)
		}
	}
}

func (v *validator) literalStringMap(path string, a Argument, value any) {
	m, ok := value.(map[string]any)
	if !ok {
		v.wrong(path, a, "a mapping of texts", value)

		return
	}

	for _, key := range slices.Sorted(maps.Keys(m)) {
		at := join(path, key)

		switch item := m[key].(type) {
		case map[string]any, []any:
			v.wrong(at, a, "a mapping of texts", item)
		case string:
			v.label(at, a, key, item)
		default:
			v.label(at, a, key, "")
		}
	}
}

// label checks pod labels and annotations as far as they are written out.
func (v *validator) label(path string, a Argument, key, value string) {
	if a.Name != "podLabels" && a.Name != "podAnnotations" {
		return
	}

	if !syntax.IsTemplate(key) {
		for _, message := range validation.IsQualifiedName(key) {
			v.add(Error, v.source().keyAt(path), path, "", "%q is no valid key: %s", key, message)
		}
	}

	if a.Name == "podLabels" && !syntax.IsTemplate(value) {
		for _, message := range validation.IsValidLabelValue(value) {
			v.add(Error, v.source().at(path), path, "", "%q is no valid label value: %s", value, message)
		}
	}
}

// allowed checks a written-out text against the few values that an argument has.
func (v *validator) allowed(path string, a Argument, value any) {
	s, ok := value.(string)
	if !ok || s == "" || len(a.Values) == 0 {
		return
	}

	if !slices.ContainsFunc(a.Values, func(allowed string) bool { return strings.EqualFold(allowed, s) }) {
		v.add(Error, v.source().at(path), path, suggest.Nearest(s, a.Values), "%s must be one of %s, not %q", a.Name,
			strings.Join(a.Values, ", "), s)
	}
}
