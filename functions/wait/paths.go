package wait

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"

	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// place is where in a condition's text a JSON path stands.
type place int

const (
	inText   place = iota // outside of {{ }}
	inAction              // inside of {{ }}, bare
	inQuotes              // inside of {{ }}, in "…"
	inRaw                 // inside of {{ }}, in `…`
)

// piece is a part of a condition: text, or a path whose value goes there.
type piece struct {
	text  string
	path  *jsonpath.JSONPath
	place place
}

// compilePaths makes a condition of Wait ready: a template in which paths in single braces, { $.status.phase }, stand for
// values of the object.
func compilePaths(text string) (evaluation, error) {
	pieces, err := split(text)
	if err != nil {
		return nil, err
	}

	// A number fits wherever a path may stand.
	sample, err := fill(pieces, func(*jsonpath.JSONPath) (string, error) { return "0", nil })
	if err != nil {
		return nil, err
	}

	if err := template.Parse(sample); err != nil {
		return nil, fmt.Errorf("it does not parse: %w", err)
	}

	return func(u *unstructured.Unstructured) (string, error) {
		filled, err := fill(pieces, func(path *jsonpath.JSONPath) (string, error) {
			var out bytes.Buffer

			err := path.Execute(&out, u.UnstructuredContent())

			return out.String(), err
		})
		if err != nil {
			return "", err
		}

		return syntax.Execute(filled, nil)
	}, nil
}

// split finds the paths: a brace, spaces perhaps, $, up to the closing brace. Double braces are the template's own, and
// {{ $x }} is a variable.
func split(text string) ([]piece, error) {
	var (
		pieces []piece
		begin  int
		where  = inText
	)

	for i := 0; i < len(text); {
		rest := text[i:]

		switch {
		case where == inText && strings.HasPrefix(rest, "{{"), where == inAction && strings.HasPrefix(rest, "}}"):
			where = map[place]place{inText: inAction, inAction: inText}[where]
			i += 2

			continue
		case where == inAction && rest[0] == '"', where == inAction && rest[0] == '`':
			where = map[byte]place{'"': inQuotes, '`': inRaw}[rest[0]]
		case where == inQuotes && rest[0] == '\\' && len(rest) > 1:
			i++
		case where == inQuotes && rest[0] == '"', where == inRaw && rest[0] == '`':
			where = inAction
		case rest[0] == '{' && strings.HasPrefix(strings.TrimLeft(rest[1:], " \t\r\n"), "$"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return nil, fmt.Errorf("the path %q has no closing brace", shorten(rest))
			}

			path, err := parsePath(rest[1:end])
			if err != nil {
				return nil, err
			}

			pieces = append(pieces, piece{text: text[begin:i]}, piece{path: path, place: where})
			i += end + 1
			begin = i

			continue
		}

		i++
	}

	return append(pieces, piece{text: text[begin:]}), nil
}

func parsePath(text string) (*jsonpath.JSONPath, error) {
	text = strings.TrimSpace(text)

	path := jsonpath.New("condition")
	if err := path.Parse("{" + text + "}"); err != nil {
		return nil, fmt.Errorf("the path %q does not parse: %w", text, err)
	}

	return path, nil
}

// word is a value that may stand bare in an action and mean itself.
var word = regexp.MustCompile(`^(-?[0-9]+(\.[0-9]+)?|true|false)$`)

// fill puts the values in, as text that the template takes for text: it can neither end the quotes it stands in nor begin an
// action.
func fill(pieces []piece, value func(*jsonpath.JSONPath) (string, error)) (string, error) {
	var out strings.Builder

	for _, p := range pieces {
		if p.path == nil {
			out.WriteString(p.text)

			continue
		}

		text, err := value(p.path)
		if err != nil {
			return "", err
		}

		quoted := strconv.Quote(text)

		switch {
		case p.place == inQuotes:
			out.WriteString(quoted[1 : len(quoted)-1])
		case p.place == inRaw && strings.Contains(text, "`"):
			return "", errors.New("the value holds a backquote, and the condition has it between backquotes")
		case p.place == inText && strings.Contains(text, "{{"):
			out.WriteString("{{" + quoted + "}}")
		case p.place == inAction && !word.MatchString(text):
			out.WriteString(quoted)
		default:
			out.WriteString(text)
		}
	}

	return out.String(), nil
}
