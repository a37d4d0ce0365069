package kube

import (
	"strings"
	"sync"
)

// What a Tail keeps of a line.
const tailLine = 1024

// Tail is a writer that keeps the last lines written to it, for the message of a failure. Long lines are cut at 1 KiB, with a
// word about it. It is safe for concurrent use.
type Tail struct {
	mu      sync.Mutex
	lines   []string
	n       int
	current strings.Builder
	cut     int
}

// NewTail makes a Tail of n lines.
func NewTail(n int) *Tail { return &Tail{n: n} }

// Write never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()

	rest := string(p)
	for rest != "" {
		line, after, found := strings.Cut(rest, "\n")
		room := max(0, min(tailLine-t.current.Len(), len(line)))

		t.current.WriteString(line[:room])
		t.cut += len(line) - room

		if found {
			t.push()
		}

		rest = after
	}

	return len(p), nil
}

func (t *Tail) push() {
	line := strings.TrimRight(strings.ToValidUTF8(t.current.String(), "\uFFFD"), "\r")
	if t.cut > 0 {
		line += " … (line cut)"
	}

	t.current.Reset()
	t.cut = 0

	if line == "" {
		return
	}

	if len(t.lines) == t.n {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}

	t.lines = append(t.lines, line)
}

// Lines are the last lines, oldest first, an unfinished one included; empty ones are left out.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.current.Len() > 0 {
		t.push()
	}

	return append([]string(nil), t.lines...)
}
