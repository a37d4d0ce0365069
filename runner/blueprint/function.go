package blueprint

import "slices"

// Types of arguments as the functions reference writes them; any other word is not checked.
const (
	TypeString    = "string"
	TypeInt       = "int"
	TypeBool      = "bool"
	TypeStrings   = "[]string"
	TypeStringMap = "map[string]string"
	TypeMap       = "map[string]interface{}"
)

// FunctionTable is what validation needs to know of the functions that a runner has. Package builtin has the one of the functions
// that come with the runner.
type FunctionTable interface {
	// Lookup finds a function by its exact name.
	Lookup(name string) (Function, bool)
	// Names are all names, for suggestions.
	Names() []string
}

// Function describes one Kanister Function to validation.
type Function struct {
	Name      string
	Arguments []Argument
	// OneOf are groups of arguments of which exactly one must be given.
	OneOf [][]string
	// Outputs are the keys that the function gives. With OpenOutputs there may be others.
	Outputs     []string
	OpenOutputs bool
	// RawArgs: the arguments are not rendered before the function sees them (Wait, WaitV2).
	RawArgs bool
}

// Argument of a function.
type Argument struct {
	Name     string
	Aliases  []string // other accepted spellings
	Type     string   // one of the Type constants
	Required bool
	Values   []string // the allowed values, where they are few; compared without case
	// Check finds what is wrong with a value of the right type that is written out, or has templates within; nil: anything will do.
	Check func(value any) error
}

// argument finds an argument by name or alias.
func (f Function) argument(name string) (Argument, bool) {
	for _, a := range f.Arguments {
		if a.Name == name || slices.Contains(a.Aliases, name) {
			return a, true
		}
	}

	return Argument{}, false
}

// spellings are all accepted names of arguments.
func (f Function) spellings() []string {
	var out []string
	for _, a := range f.Arguments {
		out = append(append(out, a.Name), a.Aliases...)
	}

	return out
}
