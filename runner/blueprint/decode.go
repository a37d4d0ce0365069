package blueprint

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// Bounds of a document: aliases can make a small file large, or endless.
const (
	maxNodes = 1 << 16
	maxDepth = 200
)

// decoder fills Go values from YAML nodes, strictly: every fault becomes a finding and decoding goes on.
type decoder struct {
	source   *Source
	findings Findings
	nodes    int
	full     bool // the bound was met and said
}

func (d *decoder) report(node *yaml.Node, path, suggestion, format string, args ...any) {
	d.findings = append(d.findings, Finding{
		File: d.source.file, Line: node.Line, Column: node.Column, Path: path,
		Message: fmt.Sprintf(format, args...), Suggestion: suggestion, Severity: Error,
	})
}

// enter counts a node; it says no when the document is too large or too deep.
func (d *decoder) enter(node *yaml.Node, path string, depth int) bool {
	d.nodes++

	if d.nodes <= maxNodes && depth <= maxDepth {
		return true
	}

	if !d.full {
		d.full = true
		d.report(node, path, "", "the document is too deep or too large: at most %d levels and %d parts, aliases counted where they are used",
			maxDepth, maxNodes)
	}

	return false
}

// resolve follows aliases. An alias within its own anchor is found out by the bound on depth.
func resolve(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}

	return node
}

// lenient are types whose unknown fields are tolerated: Kubernetes' own metadata and statuses, which others write.
var lenient = []reflect.Type{
	reflect.TypeFor[metav1.ObjectMeta](), reflect.TypeFor[ActionSetStatus](), reflect.TypeFor[RepositoryServerStatus](),
}

func (d *decoder) value(node *yaml.Node, out reflect.Value, path string, depth int) {
	if !d.enter(node, path, depth) {
		return
	}

	d.remember(node, path)
	node = resolve(node)

	if isNull(node) {
		return
	}

	if slices.Contains(lenient, out.Type()) {
		d.loosely(node, out, path, depth)

		return
	}

	switch out.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(out.Type().Elem())
		d.value(node, fresh.Elem(), path, depth+1)
		out.Set(fresh)
	case reflect.Struct:
		d.structure(node, out, path, depth)
	case reflect.Map:
		d.mapping(node, out, path, depth)
	case reflect.Slice:
		d.list(node, out, path, depth)
	case reflect.Interface:
		if v := d.free(node, path, depth); v != nil {
			out.Set(reflect.ValueOf(v))
		}
	default:
		d.scalar(node, out, path)
	}
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

func (d *decoder) remember(node *yaml.Node, path string) {
	p := d.source.places[path]
	p.value = point{node.Line, node.Column}

	if target := resolve(node); target.Kind == yaml.ScalarNode && target == node {
		p.style = node.Style
		p.breaks = strings.Count(node.Value, "\n")
		p.indent = indentation(d.source.lines, node)
	}

	d.source.places[path] = p
}

// entry is one key of a mapping with its value, merge keys resolved.
type entry struct {
	key, value *yaml.Node
	name       string
}

// entries lists a mapping; a key that stands there twice is a finding, and its first value counts.
func (d *decoder) entries(node *yaml.Node, path string) []entry {
	var out []entry

	seen := map[string]*yaml.Node{}

	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.ShortTag() == "!!merge" {
			continue
		}

		if resolve(key).Kind != yaml.ScalarNode {
			d.report(key, path, "", "a key must be text, not %s", describe(resolve(key)))

			continue
		}

		name := keyName(resolve(key))

		if first, twice := seen[name]; twice {
			d.report(key, join(path, name), "", "the key %q stands here twice, first on line %d", name, first.Line)

			continue
		}

		seen[name] = key

		p := d.source.places[join(path, name)]
		p.key = point{key.Line, key.Column}
		d.source.places[join(path, name)] = p

		out = append(out, entry{key, value, name})
	}

	// Merge keys give what is not there already.
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].ShortTag() == "!!merge" {
			out = append(out, d.merged(node.Content[i+1], path, seen, 0)...)
		}
	}

	return out
}

func (d *decoder) merged(node *yaml.Node, path string, seen map[string]*yaml.Node, depth int) []entry {
	var out []entry

	node = resolve(node)
	if !d.enter(node, path, depth) {
		return nil
	}

	switch node.Kind {
	case yaml.SequenceNode:
		for _, part := range node.Content {
			out = append(out, d.merged(part, path, seen, depth+1)...)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.ShortTag() == "!!merge" {
				out = append(out, d.merged(node.Content[i+1], path, seen, depth+1)...)

				continue
			}

			name := keyName(resolve(key))
			if _, taken := seen[name]; !taken {
				seen[name] = key
				out = append(out, entry{key, node.Content[i+1], name})
			}
		}
	default:
		d.report(node, path, "", "a merge key (<<) takes a mapping, not %s", describe(node))
	}

	return out
}

// keyName is the key as the API server sees it: numbers, booleans and null become text.
func keyName(key *yaml.Node) string {
	if v, err := plainScalar(key); err == nil {
		if _, text := v.(string); !text && v != nil {
			return fmt.Sprint(v)
		}
	}

	return key.Value
}

// join appends a key to a path. Keys that are no plain words are quoted.
func join(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[] {}\"\n") {
		return path + "[" + strconv.Quote(key) + "]"
	}

	if path == "" {
		return key
	}

	return path + "." + key
}

func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// field is a member of a struct by its JSON name.
type field struct {
	name  string
	index []int
}

func fieldsOf(t reflect.Type) []field {
	var out []field

	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")

		switch {
		case !f.IsExported(), name == "-", f.Anonymous && strings.Contains(options, "inline"):
			continue
		case len(f.Index) > 1 && !inlined(t, f.Index):
			continue
		case name == "":
			continue
		}

		out = append(out, field{name, f.Index})
	}

	return out
}

// inlined tells whether all structs on the way to a promoted field are inlined in JSON.
func inlined(t reflect.Type, index []int) bool {
	for i := range index[:len(index)-1] {
		f := t.FieldByIndex(index[:i+1])
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" || !strings.Contains(options, "inline") {
			return false
		}
	}

	return true
}

func (d *decoder) structure(node *yaml.Node, out reflect.Value, path string, depth int) {
	if node.Kind != yaml.MappingNode {
		d.wrongType(node, path, "a mapping")

		return
	}

	fields := fieldsOf(out.Type())

	for _, e := range d.entries(node, path) {
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == e.name })
		if at < 0 {
			d.unknownField(e, fields, out.Type(), path)

			continue
		}

		d.value(e.value, out.FieldByIndex(fields[at].index), join(path, e.name), depth+1)
	}
}

func (d *decoder) unknownField(e entry, fields []field, t reflect.Type, path string) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}

	message := fmt.Sprintf("unknown field %q", e.name)
	suggestion := suggest.Nearest(e.name, names)

	if t == reflect.TypeFor[Blueprint]() && e.name == "spec" {
		message += ": a Blueprint has no spec, its actions stand at the top level"
		suggestion = ""
	} else if suggestion == "" {
		message += "; there are " + strings.Join(names, ", ")
	}

	d.report(e.key, join(path, e.name), suggestion, "%s", message)
}

func (d *decoder) mapping(node *yaml.Node, out reflect.Value, path string, depth int) {
	if node.Kind != yaml.MappingNode {
		d.wrongType(node, path, "a mapping")

		return
	}

	out.Set(reflect.MakeMap(out.Type()))

	for _, e := range d.entries(node, path) {
		value := reflect.New(out.Type().Elem()).Elem()
		d.value(e.value, value, join(path, e.name), depth+1)
		out.SetMapIndex(reflect.ValueOf(e.name).Convert(out.Type().Key()), value)
	}
}

func (d *decoder) list(node *yaml.Node, out reflect.Value, path string, depth int) {
	if out.Type().Elem().Kind() == reflect.Uint8 {
		d.bytes(node, out, path)

		return
	}

	if node.Kind != yaml.SequenceNode {
		d.wrongType(node, path, "a list")

		return
	}

	out.Set(reflect.MakeSlice(out.Type(), len(node.Content), len(node.Content)))

	for i, item := range node.Content {
		d.value(item, out.Index(i), element(path, i), depth+1)
	}
}

func (d *decoder) bytes(node *yaml.Node, out reflect.Value, path string) {
	if node.Kind != yaml.ScalarNode {
		d.wrongType(node, path, "base64 text")

		return
	}

	decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(node.Value), ""))
	if err != nil {
		d.report(node, path, "", "this is no base64; plain text belongs under stringData")

		return
	}

	out.SetBytes(decoded)
}

// free decodes what the document leaves open, as encoding/json would, but with whole numbers as int64.
func (d *decoder) free(node *yaml.Node, path string, depth int) any {
	switch node.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		d.mapping(node, reflect.ValueOf(&m).Elem(), path, depth)

		return m
	case yaml.SequenceNode:
		l := []any{}
		d.list(node, reflect.ValueOf(&l).Elem(), path, depth)

		return l
	case yaml.ScalarNode:
		v, err := plainScalar(node)
		if err != nil {
			d.report(node, path, "", "%v", err)
		}

		return v
	default:
		return nil
	}
}

func (d *decoder) scalar(node *yaml.Node, out reflect.Value, path string) {
	if node.Kind != yaml.ScalarNode {
		d.wrongType(node, path, expected(out.Type()))

		return
	}

	v, err := plainScalar(node)
	if err != nil {
		d.report(node, path, "", "%v", err)

		return
	}

	switch value := v.(type) {
	case string:
		if out.Kind() == reflect.String {
			out.SetString(value)

			return
		}
	case bool:
		if out.Kind() == reflect.Bool {
			out.SetBool(value)

			return
		}
	case int64:
		if out.CanInt() && !out.OverflowInt(value) {
			out.SetInt(value)

			return
		}
	}

	d.wrongType(node, path, expected(out.Type()))
}

func expected(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	default:
		return "a whole number"
	}
}

func (d *decoder) wrongType(node *yaml.Node, path, want string) {
	message := fmt.Sprintf("wrong type: %s is expected here, not %s", want, describe(node))
	if want == "text" && node.Kind == yaml.ScalarNode {
		message += fmt.Sprintf("; write it in quotes: %q", node.Value)
	}

	d.report(node, path, "", "%s", message)
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}

	switch v, _ := plainScalar(node); v.(type) {
	case nil:
		return "nothing"
	case bool:
		return fmt.Sprintf("the boolean %s", node.Value)
	case int64, uint64, float64:
		return fmt.Sprintf("the number %s", node.Value)
	default:
		return "text"
	}
}

// loosely decodes Kubernetes' own types by their JSON, unknown fields tolerated.
func (d *decoder) loosely(node *yaml.Node, out reflect.Value, path string, depth int) {
	data, err := json.Marshal(d.free(node, path, depth))
	if err == nil {
		err = json.Unmarshal(data, out.Addr().Interface())
	}

	if err != nil {
		d.report(node, path, "", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
}
