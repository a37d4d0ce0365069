// Package output is the protocol by which commands hand values to the phase that runs them: `kando output KEY VALUE` writes a
// marked line to the command's stdout (COMPAT §3).
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Marker begins the part of a line that carries an output.
const Marker = "###Phase-output###:"

// Bounds of what is held in memory.
const (
	// longestValue bounds one marked line. etcd's object limit makes upstream's about 1.5 MB; ours spill to the location.
	longestValue = 64 << 20
	// longestLog is where a line that is no output is cut into several.
	longestLog = 16 << 10
)

// keys are those that kando accepts.
var keys = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)

// pair is the JSON of a marked line.
type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Line is the line, with its line break, that hands over value under key. A key has letters, digits and _ only.
func Line(key, value string) (string, error) {
	if !keys.MatchString(key) {
		return "", fmt.Errorf("writing output %q: a key has only letters, digits and _", key)
	}

	encoded, err := json.Marshal(pair{key, value})
	if err != nil {
		return "", fmt.Errorf("writing output %q: %w", key, err)
	}

	return Marker + " " + string(encoded) + "\n", nil
}

// InvalidError is a marked line that is not what kando output writes. Upstream fails the phase for it, and so do we.
type InvalidError struct {
	// Text is the beginning of what followed the marker.
	Text string
	Err  error
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("reading a phase output: after %q comes %q, which is not the JSON that kando output writes: %v", Marker, e.Text, e.Err)
}

// Unwrap gives the cause.
func (e *InvalidError) Unwrap() error { return e.Err }

// Parser is a writer that takes a command's stdout, in chunks of any size, and collects the outputs in it. All other text is
// log. It is not safe for concurrent use. The zero Parser works.
type Parser struct {
	// Log hears every line that is no output, without its line break; long ones in parts. Nil: nobody wants them.
	Log func(line string)

	outputs map[string]any
	text    []byte // of the current line, before a marker
	value   []byte // of the current line, after a marker
	marked  bool
	err     error
}

// Write takes the next chunk. It fails with an *InvalidError, and then always; text behind an output is log.
func (p *Parser) Write(chunk []byte) (int, error) {
	rest := chunk

	for p.err == nil && len(rest) > 0 {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		p.take(part)

		if ended {
			p.endLine()
		}

		rest = after
	}

	if p.err != nil {
		return 0, p.err
	}

	return len(chunk), nil
}

// Close ends the last line, if it had no line break.
func (p *Parser) Close() error {
	if p.err == nil && (p.marked || len(p.text) > 0) {
		p.endLine()
	}

	return p.err
}

// Outputs are the collected values by key; of several for one key the last. Nil if there were none.
func (p *Parser) Outputs() map[string]any { return p.outputs }

// take adds a part of the current line.
func (p *Parser) take(part []byte) {
	if p.marked {
		p.grow(part)

		return
	}

	// The marker may have begun in the chunk before.
	from := max(0, len(p.text)-len(Marker)+1)
	p.text = append(p.text, part...)

	if i := bytes.Index(p.text[from:], []byte(Marker)); i >= 0 {
		i += from
		p.marked = true
		p.grow(p.text[i+len(Marker):])
		p.text = p.text[:i]
	}

	for len(p.text) > longestLog+len(Marker) {
		cut := longestLog
		for cut > longestLog-utf8.UTFMax && !utf8.RuneStart(p.text[cut]) {
			cut--
		}

		p.log(p.text[:cut])
		p.text = append(p.text[:0], p.text[cut:]...)
	}
}

func (p *Parser) grow(part []byte) {
	if len(p.value)+len(part) > longestValue {
		p.err = &InvalidError{Text: shorten(p.value), Err: fmt.Errorf("the line is longer than %d MiB", longestValue>>20)}

		return
	}

	p.value = append(p.value, part...)
}

func (p *Parser) endLine() {
	if len(p.text) > 0 || !p.marked {
		p.log(p.text)
	}

	p.text = p.text[:0]

	if !p.marked {
		return
	}

	value := p.value
	p.value, p.marked = nil, false

	// What follows an output on its line is text: a kubelet that gives both streams of a container as one puts a line of stderr
	// behind a last line of stdout that has no line break.
	for more := true; more; {
		var text []byte

		text, value, more = bytes.Cut(p.parse(value), []byte(Marker))

		if len(bytes.TrimSpace(text)) > 0 {
			p.take(text)
			p.log(p.text)
			p.text = p.text[:0]
		}
	}
}

// parse takes the output that value begins with, and gives what is after it.
func (p *Parser) parse(value []byte) (rest []byte) {
	if len(bytes.TrimSpace(value)) == 0 || p.err != nil {
		return nil
	}

	var got pair

	decoder := json.NewDecoder(bytes.NewReader(value))
	if err := decoder.Decode(&got); err != nil {
		p.err = &InvalidError{Text: shorten(bytes.TrimSpace(value)), Err: err}

		return nil
	}

	if p.outputs == nil {
		p.outputs = map[string]any{}
	}

	p.outputs[got.Key] = got.Value

	return value[decoder.InputOffset():]
}

func (p *Parser) log(line []byte) {
	if p.Log != nil {
		p.Log(strings.ToValidUTF8(strings.TrimSuffix(string(line), "\r"), "\uFFFD"))
	}
}

func shorten(value []byte) string {
	const most = 80

	if len(value) > most {
		return strings.ToValidUTF8(string(value[:most]), "") + "…"
	}

	return string(value)
}
