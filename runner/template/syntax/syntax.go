// Package syntax knows the template language of blueprints without its data: which functions there are, what parses, what a
// template refers to, and how to run one without letting it run away. It stands below package template, so that the validation
// of blueprints can use it.
package syntax

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// Name is the name of every template; upstream's error texts show it (COMPAT §2.1).
const Name = "config"

// MaxText is the longest template in bytes. No object in a cluster holds more.
const MaxText = 2 << 20

// Error is a template that does not parse or render.
type Error struct {
	// Line and Column count from 1 within the template's text; Column is 0 where it is not known.
	Line, Column int
	// Expression is the failing part of the template as written, without braces; it may be empty.
	Expression string
	// Message says what is wrong with it.
	Message string
	// Suggestion is what was probably meant; it may be empty.
	Suggestion string
	// Cause is the error of the template engine or of the function that was called.
	Cause error
}

// Error names place, expression and message.
func (e *Error) Error() string {
	var b strings.Builder

	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d", e.Line)

		if e.Column > 0 {
			fmt.Fprintf(&b, ", column %d", e.Column)
		}

		b.WriteString(": ")
	}

	if e.Expression != "" {
		fmt.Fprintf(&b, "{{ %s }}: ", e.Expression)
	}

	b.WriteString(e.Message)

	if e.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", e.Suggestion)
	}

	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// IsTemplate tells whether text has anything to render at all.
func IsTemplate(text string) bool { return strings.Contains(text, "{{") }

// Parse checks text without running it. The error is an *Error.
func Parse(text string) error {
	_, err := parseTrees(text)

	return err
}

// parseTrees parses text into its main tree, under Name, and the templates that it defines.
func parseTrees(text string) (map[string]*parse.Tree, error) { return parseTreesWith(text, nil) }

// parseTreesWith is parseTrees with other functions; nil means those of arguments.
func parseTreesWith(text string, functions []string) (map[string]*parse.Tree, error) {
	if len(text) > MaxText {
		return nil, &Error{Message: fmt.Sprintf("the template has %d bytes; at most %d are rendered", len(text), MaxText)}
	}

	known, all := FunctionNames(), names()

	if functions != nil {
		known, all = slices.Concat(builtins, functions), map[string]any{}
		for _, name := range known {
			all[name] = struct{}{}
		}
	}

	// Parsing recurses; the depth is bounded by the length of the text.
	trees, err := parse.Parse(Name, text, "", "", all)
	if err != nil {
		return nil, parseError(text, err, known)
	}

	return trees, nil
}

var (
	parsePosition   = regexp.MustCompile(`^template: ` + Name + `:(\d+):(?:(\d+):)? ?(.*)$`)
	unknownFunction = regexp.MustCompile(`function "([^"]*)" not defined`)
)

// parseError turns the parser's error into ours: with a column and a suggestion, where they can be found.
func parseError(text string, err error, functions []string) error {
	out := &Error{Message: err.Error(), Cause: err}

	if m := parsePosition.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " ")); m != nil {
		out.Line, _ = strconv.Atoi(m[1])
		out.Message = m[3]
	}

	if m := unknownFunction.FindStringSubmatch(out.Message); m != nil {
		name := m[1]
		out.Message = fmt.Sprintf("the template language has no function %q", name)
		out.Suggestion = suggest.Nearest(name, functions)

		if line := lineOf(text, out.Line); line != "" {
			if at := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).FindStringIndex(line); at != nil {
				out.Column = at[0] + 1
			}
		}
	}

	return out
}

// lineOf gives line n, counted from 1, of text, or "".
func lineOf(text string, n int) string { return splitLines(text).line(n) }

// lines is a text with the offsets at which its lines start.
type lines struct {
	text   string
	starts []int
}

func splitLines(text string) lines {
	l := lines{text: text, starts: []int{0}}

	for i := range len(text) {
		if text[i] == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}

	return l
}

// line gives line n, counted from 1, without its end, or "".
func (l lines) line(n int) string {
	if n < 1 || n > len(l.starts) {
		return ""
	}

	end := len(l.text)
	if n < len(l.starts) {
		end = l.starts[n] - 1
	}

	return l.text[l.starts[n-1]:end]
}

// place turns a byte offset into line and column, both counted from 1; the column is that of the start of the expression as written
// that the offset lies in.
func (l lines) place(pos int, written string) (line, column int) {
	n, found := slices.BinarySearch(l.starts, pos)
	if !found {
		n--
	}

	return n + 1, start(l.line(n+1), pos-l.starts[n]+1, written)
}

// AsError finds an *Error in err's chain.
func AsError(err error) (*Error, bool) {
	var e *Error

	return e, errors.As(err, &e)
}
