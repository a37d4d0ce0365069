package blueprint

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Source remembers where the parts of a loaded document stand in their file, so that what is found later can name line and
// column. It is not part of the document: two documents that differ only in it are equal.
type Source struct {
	file   string
	lines  []string
	places map[string]place
}

// place of a member: of its key and of its value.
type place struct {
	key, value point
	style      yaml.Style
	// breaks is the number of line breaks in the value.
	breaks int
	// indent is the indentation of a literal block's text.
	indent int
}

type point struct{ line, column int }

// Equal is always true: where a document came from is no property of it.
func (s *Source) Equal(*Source) bool { return true }

// File is the name that the loader was given, or "".
func (s *Source) File() string {
	if s == nil {
		return ""
	}

	return s.file
}

// at gives the place of the value at path, or of the nearest part above it that is known.
func (s *Source) at(path string) point { return s.find(path).value }

// keyAt gives the place of the key at path.
func (s *Source) keyAt(path string) point { return s.find(path).key }

func (s *Source) find(path string) place {
	if s == nil {
		return place{}
	}

	for {
		if p, ok := s.places[path]; ok {
			return p
		}

		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return s.places[""]
		}

		path = path[:cut]
	}
}

// within gives the place of line and column (from 1) of the text at path. It is exact for literal block scalars and for scalars on
// one line; for folded and other scalars of several lines it is the first line that contains fragment.
func (s *Source) within(path string, line, column int, fragment string) point {
	p := s.find(path)
	if p.value.line == 0 || line < 1 {
		return p.value
	}

	column = max(column, 1)

	switch {
	case p.style&yaml.LiteralStyle != 0:
		return point{p.value.line + line, p.indent + column}
	case p.style&yaml.FoldedStyle == 0 && p.breaks == 0 && line == 1:
		quote := 0
		if p.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			quote = 1
		}

		return point{p.value.line, p.value.column + quote + column - 1}
	case fragment != "":
		for at := p.value.line; at < p.value.line+p.breaks+line+64 && at <= len(s.lines); at++ {
			if i := strings.Index(s.lines[at-1], fragment); i >= 0 {
				return point{at, i + 1}
			}
		}
	}

	return p.value
}

// indentation of a literal block scalar: what the first line that is not blank has in the file more than in the value.
func indentation(lines []string, node *yaml.Node) int {
	for i, text := range strings.Split(node.Value, "\n") {
		if at := node.Line + i; strings.TrimSpace(text) != "" && at < len(lines) {
			return max(0, leading(lines[at])-leading(text))
		}
	}

	return 0
}

func leading(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
