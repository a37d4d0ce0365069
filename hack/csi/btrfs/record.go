package btrfs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"time"
)

// kind is both the directory of subvolumes and that of their records.
type kind string

const (
	volumes   kind = "volumes"
	snapshots kind = "snapshots"
)

// Record is what the pool remembers of a volume or a snapshot.
type Record struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Capacity in bytes. Of a snapshot: the smallest volume it can be restored to.
	Capacity int64 `json:"capacity"`
	// Source is the volume of a snapshot, or what a volume was made from: the ID of a snapshot or volume, or "".
	Source  string    `json:"source,omitempty"`
	Created time.Time `json:"created"`
}

var (
	// ErrNotFound is returned for an ID or a source that the pool does not have.
	ErrNotFound = errors.New("not found")
	// ErrConflict is returned for a name that exists with other properties.
	ErrConflict = errors.New("exists with other properties")
	// ErrCapacity is returned for a capacity that cannot be given.
	ErrCapacity = errors.New("capacity out of range")
)

// idPattern keeps IDs, which come from requests, from being paths.
var idPattern = regexp.MustCompile(`^(vol|snap)-[0-9a-f]{32}$`)

// idOf makes the ID from the name, so that a repeated create finds what an earlier one made without a table of names.
func idOf(k kind, name string) string {
	sum := sha256.Sum256([]byte(name))
	prefix := "vol-"
	if k == snapshots {
		prefix = "snap-"
	}
	return prefix + hex.EncodeToString(sum[:16])
}

func (p *Pool) path(k kind, id string) string { return filepath.Join(p.root, string(k), id) }

func (p *Pool) recordFile(k kind, id string) string {
	return filepath.Join(p.root, "records", string(k), id+".json")
}

func (p *Pool) load(k kind, id string) (Record, error) {
	var r Record
	if !idPattern.MatchString(id) {
		return r, fmt.Errorf("reading record %q: %w", id, ErrNotFound)
	}
	data, err := os.ReadFile(p.recordFile(k, id))
	if errors.Is(err, os.ErrNotExist) {
		return r, fmt.Errorf("reading record %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("reading record %q: %w", id, err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("reading record %q: %w", id, err)
	}
	// A record alone is what an interrupted delete leaves.
	if _, err := os.Lstat(p.path(k, id)); errors.Is(err, os.ErrNotExist) {
		return Record{}, fmt.Errorf("reading record %q: %w", id, ErrNotFound)
	}
	return r, nil
}

func (p *Pool) save(k kind, r Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing record %q: %w", r.ID, err)
	}
	file := p.recordFile(k, r.ID)
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing record %q: %w", r.ID, err)
	}
	return os.Rename(file+".new", file)
}

func (p *Pool) list(k kind) ([]Record, error) {
	files, err := filepath.Glob(p.recordFile(k, "*"))
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, f := range files {
		id := filepath.Base(f[:len(f)-len(".json")])
		r, err := p.load(k, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	return all, nil
}

// IsID says whether s has the form of a volume's or snapshot's ID.
func IsID(s string) bool { return idPattern.MatchString(s) }
