package syntax

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	texttemplate "text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

// builtins are text/template's own functions, by name; the engine supplies them.
var builtins = []string{
	"and", "call", "html", "index", "slice", "js", "len", "not", "or", "print", "printf", "println", "urlquery",
	"eq", "ge", "gt", "le", "lt", "ne",
}

// functions are sprig's, a superset of the version that upstream has, with the replacements of COMPAT §2.2 and some of ours:
//
//   - what upstream refuses because of FIPS is refused with upstream's text;
//   - env and expandenv give nothing away, getHostByName is refused: the environment and the network of the process that
//     renders are no business of a blueprint, and a look-up can block;
//   - toJson keeps Go's HTML escaping and also escapes the single quote, so that '{{ toJson .Profile }}' survives a shell;
//   - dates are in UTC wherever the template is rendered, as in upstream's image.
var functions = sync.OnceValue(func() texttemplate.FuncMap {
	funcs := sprig.TxtFuncMap()

	for _, name := range []string{"derivePassword", "bcrypt", "htpasswd"} {
		funcs[name] = refused(name)
	}

	funcs["genPrivateKey"] = privateKey(funcs["genPrivateKey"])
	funcs["env"] = func(string) string { return "" }
	funcs["expandenv"] = func(text string) string { return os.Expand(text, func(string) string { return "" }) }
	funcs["getHostByName"] = func(string) (string, error) {
		return "", fmt.Errorf("getHostByName is not supported: a template is rendered without the network")
	}

	funcs["toJson"] = func(v any) string { s, _ := toJSON(v, ""); return s }
	funcs["mustToJson"] = func(v any) (string, error) { return toJSON(v, "") }
	funcs["toPrettyJson"] = func(v any) string { s, _ := toJSON(v, "  "); return s }
	funcs["mustToPrettyJson"] = func(v any) (string, error) { return toJSON(v, "  ") }

	funcs["now"] = func() time.Time { return time.Now().UTC() } //nolint:forbidigo // what the function is for
	funcs["date"] = func(layout string, v any) string { return inUTC(v).Format(layout) }
	funcs["htmlDate"] = func(v any) string { return inUTC(v).Format(time.DateOnly) }
	funcs["toDate"] = func(layout, text string) time.Time { t, _ := time.Parse(layout, text); return t }
	funcs["mustToDate"] = time.Parse

	return funcs
})

// FunctionNames are the names of all functions that a template may call, sorted. The caller must not change them.
func FunctionNames() []string { return functionNames() }

var functionNames = sync.OnceValue(func() []string {
	all := slices.Concat(builtins, slices.Collect(maps.Keys(functions())))
	slices.Sort(all)

	return slices.Compact(all)
})

// names is what the parser wants: it looks only at the keys.
var names = sync.OnceValue(func() map[string]any {
	all := map[string]any{}
	for _, name := range FunctionNames() {
		all[name] = struct{}{}
	}

	return all
})

func refusal(name string) error {
	return fmt.Errorf("sprig usage of '%s' is not allowed by kanister as it is not FIPS compatible", name)
}

func refused(name string) func(...any) (string, error) {
	return func(...any) (string, error) { return "", refusal(name) }
}

// privateKey lets through the kinds of key that upstream allows.
func privateKey(sprigs any) func(string) (string, error) {
	generate, _ := sprigs.(func(string) string)

	return func(kind string) (string, error) {
		switch kind {
		case "rsa", "ecdsa", "ed25519":
			return generate(kind), nil
		default:
			return "", refusal("genPrivateKey " + kind)
		}
	}
}

// toJSON is Go's encoding, HTML escaping included, with the single quote escaped as well.
func toJSON(v any, indent string) (string, error) {
	var (
		out []byte
		err error
	)

	if indent == "" {
		out, err = json.Marshal(v)
	} else {
		out, err = json.MarshalIndent(v, "", indent)
	}

	if err != nil {
		return "", fmt.Errorf("encoding as JSON: %w", err)
	}

	return string(bytes.ReplaceAll(out, []byte("'"), []byte(`\u0027`))), nil
}

// inUTC reads a date as sprig does: times, pointers to times and Unix seconds; anything else is now.
func inUTC(v any) time.Time {
	switch t := v.(type) {
	case time.Time:
		return t.UTC()
	case *time.Time:
		if t != nil {
			return t.UTC()
		}
	case int64:
		return time.Unix(t, 0).UTC()
	case int:
		return time.Unix(int64(t), 0).UTC()
	case int32:
		return time.Unix(int64(t), 0).UTC()
	}

	return time.Now().UTC() //nolint:forbidigo // as sprig
}
