package syntax

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
)

// Names of the functions that are woven into a template before it runs. They are unknown to the parser, so no template can call
// them.
const (
	tickName = "kanister_tick"
	showName = "kanister_show"
)

// Execute renders text with data, which it does not change unless a function of the template does. It always ends, with at most
// MaxOutput bytes, and it never panics. The error is an *Error.
func Execute(text string, data any) (out string, err error) {
	if !IsTemplate(text) {
		return text, nil
	}

	defer func() {
		if r := recover(); r != nil {
			out, err = "", &Error{Message: fmt.Sprintf("the template engine gave up: %v", r)}
		}
	}()

	trees, err := parseTrees(text)
	if err != nil {
		return "", err
	}

	used := map[string]bool{}
	for _, tree := range trees {
		weave(tree, used)
	}

	t := texttemplate.New(Name).Option("missingkey=error").Funcs((&guard{}).watched(used))

	for name, tree := range trees {
		if _, err := t.AddParseTree(name, tree); err != nil {
			return "", &Error{Message: err.Error(), Cause: err}
		}
	}

	buffer := &limited{}
	if err := t.Execute(buffer, data); err != nil {
		return "", executeError(text, err)
	}

	return buffer.String(), nil
}

// Identifiers are the functions that text calls.
func Identifiers(text string) (map[string]bool, error) {
	trees, err := parseTrees(text)
	if err != nil {
		return nil, err
	}

	used := map[string]bool{}
	for _, tree := range trees {
		walkFunctions(tree.Root, func(id *parse.IdentifierNode) { used[id.Ident] = true })
	}

	return used, nil
}

// limited is a buffer that refuses to grow over MaxOutput.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > MaxOutput {
		return 0, tooLarge("the result of the template")
	}

	return l.Buffer.Write(p)
}

// WriteString keeps the embedded method from going round the limit.
func (l *limited) WriteString(s string) (int, error) { return l.Write([]byte(s)) }

// weave puts a tick at the start of every loop round and of every template, and a look at every printed value.
func weave(tree *parse.Tree, used map[string]bool) {
	if tree == nil || tree.Root == nil {
		return
	}

	walkFunctions(tree.Root, func(id *parse.IdentifierNode) { used[id.Ident] = true })
	walkLists(tree.Root, false)

	tree.Root.Nodes = append([]parse.Node{tick(tree.Root.Pos)}, tree.Root.Nodes...)
}

func tick(pos parse.Pos) parse.Node {
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: &parse.PipeNode{
		NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{call(tickName, pos)},
	}}
}

func call(name string, pos parse.Pos) *parse.CommandNode {
	return &parse.CommandNode{
		NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{parse.NewIdentifier(name).SetPos(pos)},
	}
}

func walkLists(list *parse.ListNode, loop bool) {
	if list == nil {
		return
	}

	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, call(showName, n.Pos))
			}
		case *parse.IfNode:
			walkLists(n.List, false)
			walkLists(n.ElseList, false)
		case *parse.WithNode:
			walkLists(n.List, false)
			walkLists(n.ElseList, false)
		case *parse.RangeNode:
			walkLists(n.List, true)
			walkLists(n.ElseList, false)
		}
	}

	if loop {
		list.Nodes = append([]parse.Node{tick(list.Pos)}, list.Nodes...)
	}
}

// walkFunctions visits every function name under node.
func walkFunctions(node parse.Node, visit func(*parse.IdentifierNode)) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				walkFunctions(child, visit)
			}
		}
	case *parse.ActionNode:
		walkFunctions(n.Pipe, visit)
	case *parse.PipeNode:
		if n != nil {
			for _, command := range n.Cmds {
				walkFunctions(command, visit)
			}
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			walkFunctions(arg, visit)
		}
	case *parse.IdentifierNode:
		visit(n)
	case *parse.ChainNode:
		walkFunctions(n.Node, visit)
	case *parse.TemplateNode:
		walkFunctions(n.Pipe, visit)
	case *parse.IfNode:
		walkBranch(&n.BranchNode, visit)
	case *parse.WithNode:
		walkBranch(&n.BranchNode, visit)
	case *parse.RangeNode:
		walkBranch(&n.BranchNode, visit)
	}
}

func walkBranch(n *parse.BranchNode, visit func(*parse.IdentifierNode)) {
	walkFunctions(n.Pipe, visit)
	walkFunctions(n.List, visit)
	walkFunctions(n.ElseList, visit)
}

var executePosition = regexp.MustCompile(`(?s)^template: ` + Name + `:(\d+):(\d+): executing "[^"]*" at <(.*?)>: (.*)$`)

// executeError takes the engine's text apart into place, expression and cause.
func executeError(text string, err error) error {
	out := &Error{Message: shorten(err.Error(), maxMessage), Cause: err}

	m := executePosition.FindStringSubmatch(err.Error())
	if m == nil {
		return out
	}

	out.Line, _ = strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	expression := strings.TrimSuffix(strings.TrimSuffix(m[3], " | "+showName), showName)
	out.Column = start(lineOf(text, out.Line), column+1, expression)
	out.Expression = shorten(expression, maxExpression)
	out.Message = shorten(m[4], maxMessage)

	// "error calling f: cause" repeats what the expression shows already when the cause is a limit.
	if limit, ok := asLimit(err); ok {
		out.Message = limit.Error()
	}

	return out
}

// Lengths in bytes to which errors are cut: a template can make its errors as long as its results.
const (
	maxExpression = 200
	maxMessage    = 2048
)

// shorten cuts text, and says so.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}

	return strings.ToValidUTF8(text[:most], "") + "…"
}

// start moves a column to the start of the expression that it lies in: the engine names the last part of ".Options.mode".
func start(line string, column int, expression string) int {
	for from := max(0, column-1-len(expression)); from < column && from < len(line); from++ {
		if expression != "" && strings.HasPrefix(line[from:], expression) && from+len(expression) >= column {
			return from + 1
		}
	}

	return column
}
