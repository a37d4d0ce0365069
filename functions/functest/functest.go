// Package functest is the conformance suite of Kanister Functions: what the engine, the validator, the plan and the reference
// page count on. Functions of third parties can be put through it as well.
package functest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Implementation checks one function by its interface alone.
func Implementation(t *testing.T, f functions.Func) {
	t.Helper()

	for _, name := range f.RequiredArgs() {
		if !slices.Contains(f.Arguments(), name) {
			t.Errorf("argument %q is required but not among Arguments", name)
		}
	}

	if twice := duplicates(f.Arguments()); len(twice) > 0 {
		t.Errorf("Arguments has %v twice", twice)
	}

	// A template that rendered to nothing must be an error that names what is wrong: no panic, no endless wait, no request
	// about an object without a name.
	for _, empty := range []any{"", nil} {
		args := map[string]any{}
		for _, name := range f.RequiredArgs() {
			args[name] = empty
		}

		if len(args) > 0 {
			mustFail(t, f, args)
		}
	}
}

func mustFail(t *testing.T, f functions.Func, args map[string]any) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	_, err := f.Exec(ctx, Run(), args)
	if err == nil {
		t.Errorf("Exec with %v succeeded", args)
	}

	if ctx.Err() != nil {
		t.Errorf("Exec with %v did not end by itself", args)
	}
}

// Run is a run without a cluster: every object that is asked for is missing.
func Run() *functions.Run {
	scheme := runtime.NewScheme()

	return &functions.Run{
		Name: "run", Namespace: "namespace", Phase: "phase", Attempt: 1,
		Params: &params.TemplateParams{}, Input: &record.Input{Target: blueprint.ObjectReference{Kind: "deployment", Name: "target", Namespace: "namespace"}},
		Kube: &kube.Client{
			Config: &rest.Config{Host: "http://127.0.0.1:1"}, Clientset: fake.NewClientset(), Dynamic: dynamicfake.NewSimpleDynamicClient(scheme),
		},
		Labels: map[string]string{}, Journal: silent{&Notebook{}},
	}
}

// Entry checks one entry of package spec, and that it and f say the same.
func Entry(t *testing.T, entry spec.Function, f functions.Func) {
	t.Helper()

	if f.Name() != entry.ID || !slices.Equal(f.RequiredArgs(), entry.RequiredArgs()) || !slices.Equal(f.Arguments(), entry.Arguments()) {
		t.Errorf("implementation and entry differ: %s %v %v, %s %v %v", f.Name(), f.RequiredArgs(), f.Arguments(), entry.ID, entry.RequiredArgs(), entry.Arguments())
	}

	repeatable, ok := f.(functions.Repeatable)
	if entry.Repeat != (ok && repeatable.Repeatable()) {
		t.Errorf("Repeat is %v in the entry only", entry.Repeat)
	}

	texts(t, entry)
	rules(t, entry)
	example(t, entry)
}

func texts(t *testing.T, entry spec.Function) {
	t.Helper()

	for what, text := range map[string]string{"Family": entry.Family, "Summary": entry.Summary, "Doc": entry.Doc, "Example": entry.Example} {
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s is empty", what)
		}
	}

	if strings.Count(entry.Summary, "\n") > 0 || !strings.HasSuffix(entry.Summary, ".") {
		t.Errorf("Summary %q is not one sentence", entry.Summary)
	}

	types := []spec.Type{spec.String, spec.Int, spec.Bool, spec.Strings, spec.StringMap, spec.Map}

	for _, a := range entry.Args {
		if a.Doc == "" || !slices.Contains(types, a.Type) || a.Required && a.Default != "" {
			t.Errorf("argument %q: no Doc, no Type, or required with a default: %+v", a.Name, a)
		}
	}

	for _, o := range entry.Outputs {
		if o.Doc == "" || !slices.Contains(types, o.Type) {
			t.Errorf("output %q: no Doc or no Type", o.Name)
		}
	}

	for _, effect := range entry.Effects {
		parsed, err := template.New("effect").Parse(effect)
		if err != nil {
			t.Errorf("effect %q: %v", effect, err)

			continue
		}

		for _, args := range []map[string]any{{}, all(entry)} {
			if err := parsed.Execute(&strings.Builder{}, args); err != nil {
				t.Errorf("effect %q: %v", effect, err)
			}
		}
	}
}

func all(entry spec.Function) map[string]any {
	args := map[string]any{}

	for _, a := range entry.Args {
		switch a.Type {
		case spec.StringMap, spec.Map:
			args[a.Name] = map[string]any{"key": "value"}
		case spec.Strings:
			args[a.Name] = []any{"value"}
		default:
			args[a.Name] = "value"
		}
	}

	return args
}

func rules(t *testing.T, entry spec.Function) {
	t.Helper()

	for _, r := range entry.Rules {
		if (len(r.Resources) == 0) != (r.Where == spec.InDocument) || len(r.Verbs) == 0 || r.Why == "" {
			t.Errorf("rule %+v: no resources, verbs or reason", r)
		}

		if (r.Where == spec.InDocument) != (r.DocumentArg != "") {
			t.Errorf("rule %+v: in which argument is the document?", r)
		}

		for _, name := range append(strings.Fields(r.When), r.DocumentArg, r.NamespaceArg, r.NamesArg, r.KindArg) {
			name = strings.TrimPrefix(name, "!")
			if _, ok := entry.Arg(name); name != "" && !ok {
				t.Errorf("rule %+v: there is no argument %q", r, name)
			}
		}

		if r.Where == spec.InArg && r.NamespaceArg == "" && r.When != "" {
			t.Errorf("rule %+v: in which argument is the namespace?", r)
		}
	}
}

// example loads the example as the phases of an action and validates it; then it makes one mistake after the other.
func example(t *testing.T, entry spec.Function) {
	t.Helper()

	bp := load(t, entry.Example)
	if bp == nil {
		return
	}

	options := blueprint.Options{Functions: builtin.Functions()}

	for _, finding := range blueprint.Validate(bp, options) {
		// A single phase may take an output of a phase that is elsewhere in the blueprint.
		if finding.Severity == blueprint.Error && !strings.Contains(finding.Message, "no earlier phase of action") {
			t.Errorf("example: %v", finding)
		}
	}

	phases := bp.Actions["example"].Phases

	at := slices.IndexFunc(phases, func(p blueprint.Phase) bool { return p.Func == entry.ID })
	if at < 0 {
		t.Fatal("the example has no phase of this function")
	}

	phase := &phases[at]

	for name := range phase.Args {
		if _, ok := entry.Arg(name); !ok {
			t.Errorf("the example uses the unknown argument %q", name)
		}
	}

	for _, name := range entry.RequiredArgs() {
		value, given := phase.Args[name]
		if a, _ := entry.Arg(name); !given && !slices.ContainsFunc(a.Aliases, func(alias string) bool { return phase.Args[alias] != nil }) {
			t.Errorf("the example lacks the required argument %q", name)

			continue
		}

		delete(phase.Args, name)
		mention(t, blueprint.Validate(bp, options), name)

		phase.Args[name] = value
	}

	if phase.Args == nil {
		phase.Args = map[string]any{}
	}

	phase.Args["noSuchArgument"] = "x"
	mention(t, blueprint.Validate(bp, options), "noSuchArgument")
}

func load(t *testing.T, phases string) *blueprint.Blueprint {
	t.Helper()

	text := "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nmetadata: {name: example}\nactions:\n  example:\n    phases:\n" +
		indent(phases, "    ")

	bp, err := blueprint.Load("example.yaml", []byte(text))
	if err != nil {
		t.Errorf("example: %v", err)

		return nil
	}

	return bp
}

func indent(text, by string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = by + line
		}
	}

	return strings.Join(lines, "\n")
}

func mention(t *testing.T, findings blueprint.Findings, word string) {
	t.Helper()

	for _, f := range findings {
		if f.Severity == blueprint.Error && strings.Contains(f.String(), word) {
			return
		}
	}

	t.Errorf("no finding mentions %q: %v", word, fmt.Sprint(findings))
}

func duplicates(names []string) []string {
	var twice []string

	for i, name := range names {
		if slices.Contains(names[:i], name) {
			twice = append(twice, name)
		}
	}

	return twice
}

// silent is a journal that nobody reads.
type silent struct{ *Notebook }

func (silent) Progress(record.Progress)                       {}
func (silent) Pod(record.PodRef)                              {}
func (silent) Log(string, string)                             {}
func (silent) Event(string)                                   {}
func (silent) Warn(string)                                    {}
func (silent) Undo(context.Context, record.Undo) error        { return nil }
func (silent) DropUndo(context.Context, string) error         { return nil }
func (silent) HoldUndo(context.Context, string, string) error { return nil }
func (silent) FreeUndo(context.Context, string) error         { return nil }
func (silent) Secret(string)                                  {}
