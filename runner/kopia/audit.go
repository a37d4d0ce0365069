package kopia

import (
	"fmt"
	"io/fs"
	"sync"
)

// Problems counts what went not as it should, and names the first ones.
type Problems struct {
	Count int64    `json:"count"`
	First []string `json:"first,omitempty"` // "path: why"
}

// maxNamed bounds Problems.First, so that a result fits where results go.
const maxNamed = 10

func (p *Problems) add(rel, why string) {
	p.Count++
	if len(p.First) < maxNamed {
		p.First = append(p.First, fmt.Sprintf("%s: %s", rel, why))
	}
}

// audit collects what a backup could not take along as it was. It is safe for concurrent use.
type audit struct {
	mu           sync.Mutex
	unread       Problems
	altered      Problems
	alteredPaths map[string]bool
	specials     Problems
	extra        attributes
}

func (a *audit) unreadable(rel string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()

	a.unread.add(rel, cause(err))
}

// changed notes a file once, although large ones are read in several parts.
func (a *audit) changed(rel, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()

	if a.alteredPaths[rel] {
		return
	}

	if a.alteredPaths == nil {
		a.alteredPaths = map[string]bool{}
	}

	a.alteredPaths[rel] = true
	a.altered.add(rel, why)
}

func (a *audit) special(rel string, mode fs.FileMode) {
	a.mu.Lock()
	defer a.mu.Unlock()

	kind := "a device"

	switch {
	case mode&fs.ModeSocket != 0:
		return // the process that listens makes it again
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	}

	a.specials.add(rel, kind)
}

// cause is the innermost message: the path is said already.
func cause(err error) string {
	for {
		inner, ok := err.(interface{ Unwrap() error }) // walking the chain by hand
		if !ok || inner.Unwrap() == nil {
			return err.Error()
		}

		err = inner.Unwrap()
	}
}
