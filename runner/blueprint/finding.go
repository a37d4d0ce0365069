package blueprint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity tells whether a Finding stops a run.
type Severity string

// Severities of findings.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one fault of a file.
type Finding struct {
	// File is the source as it was given to the loader.
	File string `json:"file,omitempty"`
	// Line and Column count from 1; 0 where the place is not known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the place in the document: "actions.backup.phases[1].args.comand".
	Path string `json:"path,omitempty"`
	// Message says what is wrong and, where that is not plain, what to do.
	Message string `json:"message"`
	// Suggestion is the word that was probably meant; it may be empty.
	Suggestion string   `json:"suggestion,omitempty"`
	Severity   Severity `json:"severity"`
}

// String is one line, as compilers print it: file:line:column: path: message (did you mean "command"?).
func (f Finding) String() string {
	var b strings.Builder

	switch {
	case f.File != "" && f.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	case f.File != "":
		fmt.Fprintf(&b, "%s: ", f.File)
	case f.Line > 0:
		fmt.Fprintf(&b, "%d:%d: ", f.Line, f.Column)
	}

	if f.Severity == Warning {
		b.WriteString("warning: ")
	}

	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}

	b.WriteString(f.Message)

	if f.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", f.Suggestion)
	}

	return b.String()
}

// Findings are the faults of a file, in the order of the file. As an error they print one per line.
type Findings []Finding

// Error prints one finding per line.
func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}

	return strings.Join(lines, "\n")
}

// Err is nil if there is no finding of severity error; otherwise it is all findings.
func (f Findings) Err() error {
	if len(f.Errors()) == 0 {
		return nil
	}

	return f
}

// Errors are the findings that stop a run.
func (f Findings) Errors() Findings { return f.with(Error) }

// Warnings are the findings that do not.
func (f Findings) Warnings() Findings { return f.with(Warning) }

func (f Findings) with(s Severity) Findings {
	var out Findings

	for _, finding := range f {
		if finding.Severity == s {
			out = append(out, finding)
		}
	}

	return out
}

// sort orders by place; findings without one come first.
func (f Findings) sort() {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
}
