package blueprint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// maxFile bounds a file in bytes.
const maxFile = 16 << 20

// Documents are the objects of one file that mean something here.
type Documents struct {
	Blueprints        []*Blueprint
	Profiles          []*Profile
	ActionSets        []*ActionSet
	RepositoryServers []*RepositoryServer
	Secrets           []corev1.Secret
	// Others are the remaining documents, which are passed over: "v1 ConfigMap".
	Others []string
}

// Load reads the one Blueprint of a YAML or JSON file; other documents may stand beside it. source names the file in findings.
// Loading is strict: unknown fields, keys that stand twice, wrong types, no actions, no phases are findings. The error is of type
// Findings and holds all of them, not only the first.
func Load(source string, data []byte) (*Blueprint, error) {
	docs, err := LoadAll(source, data)
	if err != nil {
		return nil, err
	}

	return only(source, docs, docs.Blueprints, "Blueprint", func(b *Blueprint) string { return b.Name })
}

// LoadProfile reads the one Profile of a file, as Load does; the Secret that it refers to may stand in the same file, see LoadAll.
func LoadProfile(source string, data []byte) (*Profile, error) {
	docs, err := LoadAll(source, data)
	if err != nil {
		return nil, err
	}

	return only(source, docs, docs.Profiles, "Profile", func(p *Profile) string { return p.Name })
}

// LoadActionSet reads the one ActionSet of a file, as Load does.
func LoadActionSet(source string, data []byte) (*ActionSet, error) {
	docs, err := LoadAll(source, data)
	if err != nil {
		return nil, err
	}

	return only(source, docs, docs.ActionSets, "ActionSet", func(a *ActionSet) string { return a.Name + a.GenerateName })
}

// LoadRepositoryServer reads the one RepositoryServer of a file, as Load does.
func LoadRepositoryServer(source string, data []byte) (*RepositoryServer, error) {
	docs, err := LoadAll(source, data)
	if err != nil {
		return nil, err
	}

	return only(source, docs, docs.RepositoryServers, "RepositoryServer", func(r *RepositoryServer) string { return r.Name })
}

func only[T any](source string, docs *Documents, found []T, kind string, name func(T) string) (T, error) {
	var none T

	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		message := fmt.Sprintf("there is no %s in this file", kind)
		if there := docs.kinds(); len(there) > 0 {
			message += "; it has " + strings.Join(there, ", ")
		}

		return none, Findings{{File: source, Message: message, Severity: Error}}
	}

	names := make([]string, len(found))
	for i := range found {
		names[i] = strconv.Quote(name(found[i]))
	}

	return none, Findings{{
		File: source, Severity: Error,
		Message: fmt.Sprintf("there are %d of kind %s in this file (%s); keep one", len(found), kind, strings.Join(names, ", ")),
	}}
}

func (d *Documents) kinds() []string {
	var out []string

	for kind, n := range map[string]int{
		"Blueprint": len(d.Blueprints), "Profile": len(d.Profiles), "ActionSet": len(d.ActionSets),
		"RepositoryServer": len(d.RepositoryServers), "Secret": len(d.Secrets),
	} {
		if n > 0 {
			out = append(out, kind)
		}
	}

	out = append(out, d.Others...)
	slices.Sort(out)

	return slices.Compact(out)
}

// LoadAll reads all documents of a YAML or JSON file, lists of kubectl get included. Kinds of other API groups, Secrets excepted,
// are passed over. The error is of type Findings and holds all faults of all documents.
func LoadAll(source string, data []byte) (docs *Documents, err error) {
	l := &loader{docs: &Documents{}, source: source, lines: strings.Split(string(data), "\n")}

	if len(data) > maxFile {
		return nil, Findings{{File: source, Message: fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), maxFile), Severity: Error}}
	}

	// The parser is not ours: whatever a file does to it is that file's fault.
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, Findings{{File: source, Message: fmt.Sprintf("the YAML parser gave up: %v", r), Severity: Error}}
		}
	}()

	parser := yaml.NewDecoder(bytes.NewReader(data))

	for {
		var document yaml.Node

		if err := parser.Decode(&document); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			l.findings = append(l.findings, syntaxError(source, err))

			break
		}

		if len(document.Content) > 0 && !isNull(resolve(document.Content[0])) {
			l.document(document.Content[0])
		}
	}

	l.findings.sort()

	if len(l.findings.Errors()) > 0 {
		return nil, l.findings
	}

	return l.docs, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError gives the parser's error a place.
func syntaxError(source string, err error) Finding {
	f := Finding{File: source, Message: err.Error(), Severity: Error}

	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Message = "this is no YAML: " + m[2]

		if f.Line > 0 {
			f.Column = 1
		}
	}

	return f
}

type loader struct {
	docs     *Documents
	source   string
	lines    []string
	findings Findings
}

// kinds that are loaded, by the API version they must have.
var kinds = map[string]string{
	"Blueprint": APIVersion, "Profile": APIVersion, "ActionSet": APIVersion, "RepositoryServer": APIVersion, "Secret": "v1",
}

func kindNames() []string {
	return []string{"ActionSet", "Blueprint", "Profile", "RepositoryServer", "Secret"}
}

func (l *loader) document(node *yaml.Node) {
	node = resolve(node)
	d := &decoder{source: &Source{file: l.source, lines: l.lines, places: map[string]place{}}}

	if node.Kind != yaml.MappingNode {
		d.wrongType(node, "", "a mapping with apiVersion and kind")
		l.findings = append(l.findings, d.findings...)

		return
	}

	apiVersion, kind := member(node, "apiVersion"), member(node, "kind")

	if items := member(node, "items"); items != nil && items.Kind == yaml.SequenceNode && kind != nil &&
		strings.HasSuffix(kind.Value, "List") {
		for _, item := range items.Content {
			l.document(item)
		}

		return
	}

	if !l.wanted(d, node, apiVersion, kind) {
		l.findings = append(l.findings, d.findings...)

		return
	}

	switch kind.Value {
	case "Blueprint":
		b := load[Blueprint](d, node)
		b.Source = d.source
		d.checkBlueprint(b)
		l.docs.Blueprints = append(l.docs.Blueprints, b)
	case "Profile":
		p := load[Profile](d, node)
		d.checkProfile(node, p)
		l.docs.Profiles = append(l.docs.Profiles, p)
	case "ActionSet":
		a := load[ActionSet](d, node)
		d.checkActionSet(node, a)
		l.docs.ActionSets = append(l.docs.ActionSets, a)
	case "RepositoryServer":
		l.docs.RepositoryServers = append(l.docs.RepositoryServers, load[RepositoryServer](d, node))
	case "Secret":
		l.docs.Secrets = append(l.docs.Secrets, *d.secret(node))
	}

	l.findings = append(l.findings, d.findings...)
}

func load[T any](d *decoder, node *yaml.Node) *T {
	out := new(T)
	d.value(node, reflect.ValueOf(out).Elem(), "", 0)

	return out
}

// wanted tells whether a document is of a kind that is loaded; what looks as if it were meant to be one is a finding.
func (l *loader) wanted(d *decoder, node, apiVersion, kind *yaml.Node) bool {
	ours := member(node, "actions") != nil

	switch {
	case kind == nil && ours:
		d.report(node, "kind", "", "kind is missing; a document with actions is a Blueprint: kind: Blueprint")

		return false
	case kind == nil || kind.Kind != yaml.ScalarNode || kind.Value == "":
		d.report(node, "kind", "", "kind is missing")

		return false
	}

	group := ""
	if apiVersion != nil {
		group, _, _ = strings.Cut(apiVersion.Value, "/")
	}

	want, known := kinds[kind.Value]

	switch {
	case known && apiVersion == nil:
		d.report(node, "apiVersion", "", "apiVersion is missing; for a %s it is %s", kind.Value, want)

		return false
	case known && apiVersion.Value == want:
		return true
	case known && (want == APIVersion && (group == "cr.kanister.io" || ours || suggest.Nearest(apiVersion.Value, []string{want}) != "")):
		d.report(apiVersion, "apiVersion", want, "apiVersion of a %s is %s, not %q", kind.Value, want, apiVersion.Value)

		return false
	case group == "cr.kanister.io" || ours:
		d.report(kind, "kind", suggest.Nearest(kind.Value, kindNames()), "there is no kind %q in %s", kind.Value, APIVersion)

		return false
	}

	other := kind.Value
	if apiVersion != nil {
		other = apiVersion.Value + " " + kind.Value
	}

	l.docs.Others = append(l.docs.Others, other)

	return false
}

// member is the value of a key in a mapping, or nil.
func member(node *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return resolve(node.Content[i+1])
		}
	}

	return nil
}
