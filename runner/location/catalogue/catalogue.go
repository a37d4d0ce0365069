// Package catalogue keeps one JSON entry per finished run beside the data, so that a new cluster that knows only the profile can
// list and restore what an old one backed up.
package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"golang.org/x/sync/errgroup"
)

// Dir is the catalogue's directory below the profile's prefix: <Dir>/<namespace>/<run>.json.
const Dir = "kanister-catalogue"

const (
	suffix      = ".json"
	maxEntry    = 4 << 20 // bytes; a record is smaller
	parallelism = 16
)

// Put writes the entry of a finished run, replacing an older one. What the engine hands on of a record has no outputs of
// phases, which may hold what a phase has made up.
func Put(ctx context.Context, store location.Store, r record.Record) error {
	if r.Run == "" || r.Namespace == "" {
		return errors.New("writing a catalogue entry: the record names no run or no namespace")
	}

	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the catalogue entry of run %q: %w", r.Run, err)
	}

	if _, err := store.Put(ctx, key(r.Namespace, r.Run), bytes.NewReader(content)); err != nil {
		return fmt.Errorf("writing the catalogue entry of run %q: %w", r.Run, err)
	}

	return nil
}

// Get reads one entry; location.ErrNotFound if there is none.
func Get(ctx context.Context, store location.Store, namespace, run string) (record.Record, error) {
	return read(ctx, store, key(namespace, run))
}

// Delete removes an entry; a missing one is no error.
func Delete(ctx context.Context, store location.Store, namespace, run string) error {
	return store.Delete(ctx, key(namespace, run))
}

// List reads all entries of namespace, or of every namespace if that is empty, oldest first. An entry that cannot be read or
// parsed does not hide the others: they are returned together with an error that names it.
func List(ctx context.Context, store location.Store, namespace string) ([]record.Record, error) {
	prefix := Dir + "/"
	if namespace != "" {
		prefix += namespace + "/"
	}

	var keys []string

	if err := store.List(ctx, prefix, func(o location.Object) error {
		if strings.HasSuffix(o.Key, suffix) {
			keys = append(keys, o.Key)
		}

		return nil
	}); err != nil {
		return nil, fmt.Errorf("listing the catalogue: %w", err)
	}

	var (
		mu      sync.Mutex
		entries []record.Record
		bad     []error
		group   errgroup.Group
	)

	group.SetLimit(parallelism)

	for _, k := range keys {
		group.Go(func() error {
			r, err := read(ctx, store, k)

			mu.Lock()
			defer mu.Unlock()

			switch {
			case err == nil:
				entries = append(entries, r)
			case !errors.Is(err, location.ErrNotFound): // deleted while we read
				bad = append(bad, err)
			}

			return nil
		})
	}

	_ = group.Wait() // the goroutines collect their errors in bad

	slices.SortFunc(entries, func(a, b record.Record) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}

		return strings.Compare(a.Run, b.Run)
	})

	return entries, errors.Join(bad...)
}

func key(namespace, run string) string { return location.Join(Dir, namespace, run+suffix) }

func read(ctx context.Context, store location.Store, key string) (record.Record, error) {
	var r record.Record

	body, err := store.Get(ctx, key)
	if err != nil {
		return r, fmt.Errorf("reading catalogue entry: %w", err)
	}
	defer body.Close() // read only

	content, err := io.ReadAll(io.LimitReader(body, maxEntry))
	if err != nil {
		return r, fmt.Errorf("reading catalogue entry %q: %w", store.URL(key), err)
	}

	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("reading catalogue entry %q: %w", store.URL(key), err)
	}

	if r.SchemaVersion != record.SchemaVersion {
		return r, fmt.Errorf("reading catalogue entry %q: its schema is %q, this program knows %q", store.URL(key), r.SchemaVersion, record.SchemaVersion)
	}

	return r, nil
}
