// Package spec describes every built-in function as data: arguments, outputs, effects, permissions, images. Validation,
// explain, the generated Role and the reference page all read it; it links nothing heavy, so that the plugin can.
package spec

import (
	"slices"
	"strings"
)

// Type of an argument or output, as the functions reference writes it.
type Type string

// Types of arguments and outputs.
const (
	String    Type = "string"
	Int       Type = "int"
	Bool      Type = "bool"
	Strings   Type = "[]string"
	StringMap Type = "map[string]string"
	Map       Type = "map[string]interface{}"
)

// Function is one built-in function. Embedded in an implementation it provides Name, RequiredArgs, Arguments, Repeatable
// and RawArgs of the functions package's interfaces.
type Function struct {
	ID      string // the name blueprints use
	Family  string // the folder under functions/
	Summary string // one sentence
	Doc     string // Markdown paragraphs: what it needs, leaves behind, how it fails, where it differs from upstream
	Args    []Arg
	Outputs []Output
	// OneOf are groups of arguments of which exactly one must be given.
	OneOf [][]string
	// Effects are Go templates over the rendered arguments, in words: "scale {{.kind}} {{.name}} to {{.replicas}}". {{.objects}}
	// are, in words, the objects that the documents and references of the function's InDocument rules name.
	Effects []string
	// Rules are the permissions that the runner's ServiceAccount needs.
	Rules []Rule
	// NeedsProfile: a profile must be given. NeedsRunnerImage: it starts pods from the runner image.
	NeedsProfile     bool
	NeedsRunnerImage bool
	// NeedsServer: a repository server must be given, or a profile in its place.
	NeedsServer bool
	// ProfileFor are arguments of which any one, given, makes a profile necessary; "!arg": if it is not given.
	ProfileFor []string
	// Repeat: may be started again from the beginning after a crash.
	Repeat bool
	// Raw: arguments are not rendered before the function sees them.
	Raw bool
	// OpenOutputs: the outputs beside Outputs are named by what runs in the pod (kando output), so none can be called unknown.
	OpenOutputs bool
	// Ours: not part of the functions reference.
	Ours bool
	// Example is a phase in YAML.
	Example string
}

// Arg is one argument.
type Arg struct {
	Name     string
	Aliases  []string // accepted spellings (COMPAT §0.4); decoded under Name
	Type     Type
	Required bool
	Default  string // in words, for the reader: "the run's namespace"
	Doc      string
	Values   []string // the allowed values, where they are few; compared without case
	Form     Form     // what the value has to be beyond its type; empty: nothing
}

// Form is what an argument's value has to be beyond its type.
type Form string

// Forms of arguments.
const (
	Duration   Form = "duration"   // a Go duration above zero
	Conditions Form = "conditions" // the conditions of Wait and WaitV2
	Reference  Form = "reference"  // an object reference
)

// Output is one key of a phase's output.
type Output struct {
	Name string
	Type Type
	Doc  string
}

// Where tells in which namespace a Rule applies.
type Where string

// Places where a Rule applies.
const (
	InArg      Where = "arg"      // the namespace named by the argument Rule.NamespaceArg; the run's when that is absent
	InTarget   Where = "target"   // the target's namespace
	InRun      Where = "run"      // the run's namespace
	InCluster  Where = "cluster"  // cluster scoped
	InDocument Where = "document" // what the argument's Kubernetes document or reference says (KubeOps, Wait)
)

// Rule is a permission, with its variable parts named by argument.
type Rule struct {
	Group     string
	Resources []string
	Verbs     []string
	Where     Where
	// NamespaceArg is the argument that holds the namespace (InArg), or the one for documents that name none (InDocument).
	NamespaceArg string
	// DocumentArg is the argument with the Kubernetes documents (a text), the object reference, or the conditions with their
	// references (InDocument). Group, Resources and names come from there.
	DocumentArg string
	// NamesArg is the argument that holds the object's name: the rule is then limited to that name if the plan can render it.
	// Several names may be separated by spaces or be a list. Empty: any name.
	NamesArg string
	// OrTarget: where the arguments NamespaceArg and NamesArg are absent, the target is meant.
	OrTarget bool
	// Workers limits the rule to the phase's own worker pods, which are named as run and phase, each with one of these indices ("" for none).
	// A function whose indices turn up only in the run has none here, and gets any name.
	Workers []string
	// When is an argument name: the rule is only needed if that argument is given; "!arg": only if it is not. Of several, separated
	// by blanks, all must hold. An empty text and an empty JSON list count as not given.
	When string
	// Kinds limits the rule to these values (lower case) of the argument KindArg, or of the target's kind when that is empty or absent.
	Kinds   []string
	KindArg string
	// Optional: granted only if the user holds it (typically cluster scoped); the function does without, and says what it missed.
	Optional bool
	// Spare: not every run uses it. It is for when something has gone wrong (after a crash, to explain a failure), or for what only
	// the run itself finds out (that a command holds a secret).
	Spare bool
	// Why, for the reader of a Role.
	Why string
}

// Name of the function.
func (f Function) Name() string { return f.ID }

// Repeatable tells whether the function may be started again after a crash.
func (f Function) Repeatable() bool { return f.Repeat }

// RawArgs tells whether the function wants its arguments unrendered.
func (f Function) RawArgs() bool { return f.Raw }

// RequiredArgs are the names of the required arguments.
func (f Function) RequiredArgs() []string {
	var names []string

	for _, a := range f.Args {
		if a.Required {
			names = append(names, a.Name)
		}
	}

	return names
}

// Arguments are the names of all arguments, aliases included.
func (f Function) Arguments() []string {
	var names []string

	for _, a := range f.Args {
		names = append(names, a.Name)
		names = append(names, a.Aliases...)
	}

	return names
}

// WantsProfile tells whether a call with these arguments cannot do without a profile.
func (f Function) WantsProfile(args map[string]any) bool {
	return f.NeedsProfile || slices.ContainsFunc(f.ProfileFor, func(name string) bool {
		absent, ok := strings.CutPrefix(name, "!")
		_, given := args[absent]

		return given != ok
	})
}

// Arg finds an argument by its name or by an alias.
func (f Function) Arg(name string) (Arg, bool) {
	for _, a := range f.Args {
		if a.Name == name || slices.Contains(a.Aliases, name) {
			return a, true
		}
	}

	return Arg{}, false
}
