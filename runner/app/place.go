package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/catalogue"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// maxEntry is the size from which large values are left out of a catalogue entry and put beside it.
const maxEntry = 1 << 20

// actionDelete is the action that ends what From has left (Kanister's own word).
const actionDelete = "delete"

// place is the run's location, opened when it is first needed: most runs never do.
type place struct {
	in *record.Input

	mu    sync.Mutex
	store location.Store
}

func newPlace(in *record.Input) *place { return &place{in: in} }

func (p *place) open(ctx context.Context) (location.Store, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.store != nil {
		return p.store, nil
	}

	store, err := location.Open(ctx, p.in.Profile.Params())
	if err != nil {
		return nil, err
	}

	p.store = store

	return store, nil
}

// Close frees what open made.
func (p *place) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.store != nil {
		_ = p.store.Close() // everything was written long ago
	}
}

// Spill is nil without a profile.
func (p *place) Spill() record.Spill {
	if p.in.Profile == nil {
		return nil
	}

	return p
}

// Put implements record.Spill.
func (p *place) Put(ctx context.Context, key string, data []byte) error {
	store, err := p.open(ctx)
	if err != nil {
		return err
	}

	_, err = store.Put(ctx, key, bytes.NewReader(data))

	return err
}

// Get implements record.Spill.
func (p *place) Get(ctx context.Context, key string) ([]byte, error) {
	store, err := p.open(ctx)
	if err != nil {
		return nil, err
	}

	body, err := store.Get(ctx, key)
	if err != nil {
		return nil, err
	}

	data, err := io.ReadAll(io.LimitReader(body, record.MaxValue))

	return data, firstError(err, body.Close())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}

	return nil
}

// fetchArtifacts replaces what an earlier run has spilled, in the input's artifacts.
func (p *place) fetchArtifacts(ctx context.Context, in *record.Input) error {
	for name, artifact := range in.Artifacts {
		for key, value := range artifact.KeyValue {
			whole, err := record.Unspill(ctx, p.Spill(), value)
			if err != nil {
				return fmt.Errorf("reading %q of artifact %q: %w", key, name, err)
			}

			artifact.KeyValue[key] = whole
		}

		whole, err := record.Unspill(ctx, p.Spill(), artifact.KopiaSnapshot)
		if err != nil {
			return fmt.Errorf("reading the snapshot of artifact %q: %w", name, err)
		}

		artifact.KopiaSnapshot = whole
		in.Artifacts[name] = artifact
	}

	return nil
}

// Publish keeps the catalogue beside the data: a run that left artifacts gets an entry, and a delete takes away the entry of the
// run whose artifacts it deleted. nil without a profile.
func (p *place) Publish() func(context.Context, *record.Record) error {
	if p.in.Profile == nil {
		return nil
	}

	return func(ctx context.Context, r *record.Record) error {
		if len(r.Artifacts) == 0 && (p.in.Action != actionDelete || p.in.From == "") {
			return nil
		}

		store, err := p.open(ctx)
		if err != nil {
			return err
		}

		if p.in.Action == actionDelete && p.in.From != "" {
			return catalogue.Delete(ctx, store, p.in.Namespace, p.in.From)
		}

		entry, err := p.slim(ctx, r)
		if err != nil {
			return err
		}

		return catalogue.Put(ctx, store, *entry)
	}
}

// Withdraw removes the run's own entry; nil without a profile.
func (p *place) Withdraw() func(context.Context) error {
	if p.in.Profile == nil {
		return nil
	}

	return func(ctx context.Context) error {
		store, err := p.open(ctx)
		if err != nil {
			return err
		}

		return catalogue.Delete(ctx, store, p.in.Namespace, p.in.Run)
	}
}

// slim is r as it goes into the catalogue: with large values beside it.
func (p *place) slim(ctx context.Context, r *record.Record) (*record.Record, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding the catalogue entry: %w", err)
	}

	if len(raw) <= maxEntry {
		return r, nil
	}

	encoder := record.Encoder{Spill: p, SpillPrefix: record.SpillPrefix(p.in.Namespace, p.in.Run)}

	return encoder.Slim(ctx, r, maxEntry/64)
}
