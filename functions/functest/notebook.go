package functest

import (
	"context"
	"encoding/json"
	"sync"
)

// Notebook is the part of a journal that keeps notes, for the journal of a test. It outlives the runs that it is given to, as a run record
// outlives runners. The zero value is empty.
type Notebook struct {
	mu    sync.Mutex
	notes map[string][]byte
}

// Note implements functions.Journal.
func (n *Notebook) Note(_ context.Context, key string, value any) error {
	n.mu.Lock()
	defer n.mu.Unlock()

	if _, there := n.notes[key]; there {
		return nil
	}

	text, err := json.Marshal(value)
	if err != nil {
		return err
	}

	if n.notes == nil {
		n.notes = map[string][]byte{}
	}

	n.notes[key] = text

	return nil
}

// Noted implements functions.Journal.
func (n *Notebook) Noted(key string, value any) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	text, there := n.notes[key]
	if !there {
		return false, nil
	}

	return true, json.Unmarshal(text, value)
}
