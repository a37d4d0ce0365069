package syntax

import (
	"slices"
	"strings"
	"text/template/parse"
)

// Reference is one place where a template reads its parameters.
type Reference struct {
	// Path are the names from the root on, as far as they are written in the template: ["Phases", "dump", "Output", "key"].
	// It is empty where the whole root is used.
	Path []string
	// Line and Column count from 1 within the template's text.
	Line, Column int
	// Soft: the last name is looked up with index or get, which tolerate a missing key.
	Soft bool
	// Scope: the value is only the subject of with or of a variable; what is read of it has references of its own.
	Scope bool
	// Tested: the value is only tested, by if, not, empty, hasKey and the like; nothing of it comes through.
	Tested bool
	// Guards are the paths, joined by dots, that the conditions around this reference look at. With any, the reference may never be
	// reached.
	Guards []string
	// Conditional: the reference stands in a branch, a loop or behind and/or, and may never be reached.
	Conditional bool
	// Function is the function that the value is handed to directly, or "".
	Function string
}

// String is the path as a template writes it: ".Phases.dump.Output.key".
func (r Reference) String() string { return "." + strings.Join(r.Path, ".") }

// References lists what text reads, in the order of the text. It follows with, range, variables and defined templates; where it
// cannot tell what is read it says nothing, so that no false conclusion can be drawn from a reference. (The other way round, no
// conclusion should be drawn from the absence of one but by Reads, which is careful.) The error is an *Error.
func References(text string) ([]Reference, error) { return ReferencesWith(text, nil) }

// ReferencesWith is References for a language that knows, beside the engine's own, other functions than the templates of
// arguments; nil means theirs.
func ReferencesWith(text string, functions []string) ([]Reference, error) {
	if !IsTemplate(text) {
		return nil, nil
	}

	trees, err := parseTreesWith(text, functions)
	if err != nil {
		return nil, err
	}

	w := &walker{lines: splitLines(text), trees: trees, variables: []variable{{"$", value{known: true}}}}
	w.dot = value{known: true}
	w.list(trees[Name].Root)

	return w.found, nil
}

// value is what the walker knows of an expression's value.
type value struct {
	known bool
	path  []string
	soft  bool
	pos   parse.Pos
	// written is the expression as the template has it, where it is in one piece.
	written string
}

type variable struct {
	name  string
	value value
}

type walker struct {
	lines       lines
	trees       map[string]*parse.Tree
	found       []Reference
	dot         value
	variables   []variable
	guards      []string
	conditional int
	inside      []string // defined templates being walked
}

// emit notes that v is read by function.
func (w *walker) emit(v value, function string, mark func(*Reference)) {
	if !v.known {
		return
	}

	r := Reference{
		Path: slices.Clone(v.path), Soft: v.soft, Function: function, Guards: slices.Clone(w.guards),
		Conditional: w.conditional > 0,
	}
	r.Line, r.Column = w.lines.place(int(v.pos), v.written)

	if mark != nil {
		mark(&r)
	}

	w.found = append(w.found, r)
}

func (w *walker) list(list *parse.ListNode) {
	if list == nil {
		return
	}

	mark := len(w.variables)
	defer func() { w.variables = w.variables[:mark] }()

	for _, node := range list.Nodes {
		w.node(node)
	}
}

func (w *walker) node(node parse.Node) {
	switch n := node.(type) {
	case *parse.ActionNode:
		v := w.pipe(n.Pipe)
		if len(n.Pipe.Decl) > 0 {
			w.declare(n.Pipe, v)

			return
		}

		w.emit(v, "", nil)
	case *parse.IfNode:
		w.branch(&n.BranchNode, func(v value) {
			w.emit(v, "if", func(r *Reference) { r.Tested = true })
		})
	case *parse.WithNode:
		w.branch(&n.BranchNode, func(v value) {
			w.emit(v, "with", func(r *Reference) { r.Scope = true })
			w.dot = v
		})
	case *parse.RangeNode:
		w.branch(&n.BranchNode, func(v value) {
			w.emit(v, "range", nil)
			w.dot = value{}
		})
	case *parse.TemplateNode:
		w.template(n)
	}
}

// branch walks if, with and range: the condition, the body with the dot and the variables that enter sets, the else branch.
func (w *walker) branch(n *parse.BranchNode, enter func(value)) {
	dot, variables, guards := w.dot, len(w.variables), len(w.guards)
	before := len(w.found)
	v := w.pipe(n.Pipe)
	enter(v)

	if len(n.Pipe.Decl) > 0 {
		if n.NodeType == parse.NodeRange {
			v = value{}
		}

		w.declare(n.Pipe, v)
	}

	for _, r := range w.found[before:] {
		w.guards = append(w.guards, strings.Join(r.Path, "."))
	}

	w.conditional++
	w.list(n.List)
	w.dot = dot
	w.list(n.ElseList)
	w.conditional--

	w.guards, w.variables = w.guards[:guards], w.variables[:variables]
}

// declare sets the variables of a pipe. After an assignment (=) nothing is known of the variable any more, because it may stand in
// a branch; the value counts as read then.
func (w *walker) declare(p *parse.PipeNode, v value) {
	for _, decl := range p.Decl {
		name := decl.Ident[0]

		if p.IsAssign {
			w.emit(v, "", nil)

			for i := range w.variables {
				if w.variables[i].name == name {
					w.variables[i].value = value{}
				}
			}

			continue
		}

		if p.NodeType == parse.NodePipe && v.known {
			w.emit(v, "", func(r *Reference) { r.Scope = true })
		}

		w.variables = append(w.variables, variable{name, v})
	}
}

// template walks a defined template where it is called, with the dot and the root that it is given.
func (w *walker) template(n *parse.TemplateNode) {
	v := w.pipe(n.Pipe)
	tree := w.trees[n.Name]

	if tree == nil || slices.Contains(w.inside, n.Name) || len(w.inside) > 16 {
		w.emit(v, "template", nil)

		return
	}

	w.emit(v, "template", func(r *Reference) { r.Scope = true })

	inner := *w
	inner.dot, inner.variables = v, []variable{{"$", v}}
	inner.inside = append(slices.Clone(w.inside), n.Name)
	inner.conditional++
	inner.list(tree.Root)
	w.found = inner.found
}

// pipe gives the value of a pipe; all that its commands read but hand to nobody else is emitted.
func (w *walker) pipe(p *parse.PipeNode) value {
	if p == nil {
		return value{}
	}

	var v value

	for i, command := range p.Cmds {
		if i > 0 {
			// The value before is the last argument of this command.
			w.emitArgument(v, function(command))
		}

		v = w.command(command, i > 0)
	}

	return v
}

// function is the name of the function that a command calls, or "".
func function(c *parse.CommandNode) string {
	if id, ok := c.Args[0].(*parse.IdentifierNode); ok {
		return id.Ident
	}

	return ""
}

// testers only test their arguments.
var testers = []string{"not", "empty", "hasKey", "kindIs", "typeIs"}

func (w *walker) emitArgument(v value, function string) {
	w.emit(v, function, func(r *Reference) { r.Tested = slices.Contains(testers, function) })
}

func (w *walker) command(c *parse.CommandNode, piped bool) value {
	name := function(c)
	if name == "" {
		v := w.value(c.Args[0])
		for _, arg := range c.Args[1:] { // arguments of a method
			w.emitArgument(w.value(arg), "")
		}

		return v
	}

	if v, ok := w.lookUp(name, c, piped); ok {
		return v
	}

	// and, or stop early, so that what follows the first argument may never be evaluated.
	lazy := name == "and" || name == "or"
	guards := len(w.guards)

	for i, arg := range c.Args[1:] {
		if lazy && i == 1 {
			w.conditional++
			defer func() { w.conditional-- }()
		}

		before := len(w.found)
		w.emitArgument(w.value(arg), name)

		if lazy {
			for _, r := range w.found[before:] {
				w.guards = append(w.guards, strings.Join(r.Path, "."))
			}
		}
	}

	w.guards = w.guards[:guards] // those of and/or hold for the rest of the command only

	return value{}
}

// lookUp follows index and get over written keys.
func (w *walker) lookUp(name string, c *parse.CommandNode, piped bool) (value, bool) {
	if piped || len(c.Args) < 3 || name != "index" && name != "get" {
		return value{}, false
	}

	v := w.value(c.Args[1])
	if !v.known {
		for _, arg := range c.Args[2:] {
			w.emitArgument(w.value(arg), name)
		}

		return value{}, true
	}

	for i, arg := range c.Args[2:] {
		key, ok := arg.(*parse.StringNode)
		if !ok {
			// From here on nobody knows: all below v counts as read.
			w.emitArgument(v, name)

			for _, rest := range c.Args[2+i:] {
				w.emitArgument(w.value(rest), name)
			}

			return value{}, true
		}

		v = value{known: true, path: append(slices.Clone(v.path), key.Text), soft: true, pos: v.pos, written: v.written}
	}

	return v, true
}

// value gives what is known of an argument; parts that it reads but that are not its value are emitted.
func (w *walker) value(node parse.Node) value {
	switch n := node.(type) {
	case *parse.DotNode:
		return value{known: w.dot.known, path: w.dot.path, soft: w.dot.soft, pos: n.Pos}
	case *parse.FieldNode:
		return w.dot.below(n.Ident, n.Pos, n.String())
	case *parse.VariableNode:
		for i := len(w.variables) - 1; i >= 0; i-- {
			if w.variables[i].name == n.Ident[0] {
				return w.variables[i].value.below(n.Ident[1:], n.Pos, n.String())
			}
		}
	case *parse.ChainNode:
		return w.value(n.Node).below(n.Field, n.Pos, "")
	case *parse.PipeNode:
		v := w.pipe(n)
		v.pos = max(v.pos, n.Pos)

		return v
	case *parse.IdentifierNode: // a function without arguments
		return value{}
	}

	return value{}
}

// below is the value of the named fields of v.
func (v value) below(names []string, pos parse.Pos, written string) value {
	if !v.known {
		return value{}
	}

	if len(names) == 0 {
		return value{known: true, path: v.path, soft: v.soft, pos: pos, written: written}
	}

	return value{known: true, path: append(slices.Clone(v.path), names...), pos: pos, written: written}
}
