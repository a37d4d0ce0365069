package btrfs

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// VolumePath is the directory that a volume's users see.
func (p *Pool) VolumePath(id string) string { return p.path(volumes, id) }

// Volume returns the record of a volume, ErrNotFound when there is none.
func (p *Pool) Volume(id string) (Record, error) { return p.load(volumes, id) }

// Snapshot returns the record of a snapshot, ErrNotFound when there is none.
func (p *Pool) Snapshot(id string) (Record, error) { return p.load(snapshots, id) }

// Volumes lists the volumes, ordered by ID.
func (p *Pool) Volumes() ([]Record, error) { return p.list(volumes) }

// Snapshots lists the snapshots, ordered by ID.
func (p *Pool) Snapshots() ([]Record, error) { return p.list(snapshots) }

// CreateVolume makes a volume: empty, or with the content of source, the ID of a snapshot or of another volume.
// A second call with the same arguments returns what the first one made; a name that exists with another capacity
// or source is an ErrConflict.
func (p *Pool) CreateVolume(ctx context.Context, name string, capacity int64, source string) (Record, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := idOf(volumes, name)
	if r, err := p.load(volumes, id); !errors.Is(err, ErrNotFound) {
		if err == nil && (r.Capacity != capacity || r.Source != source) {
			err = fmt.Errorf("making volume %q: %w: %d bytes from %q", name, ErrConflict, r.Capacity, r.Source)
		}
		return r, err
	}
	from, err := p.sourcePath(source, capacity)
	if err != nil {
		return Record{}, fmt.Errorf("making volume %q: %w", name, err)
	}
	if size, err := p.Size(); err != nil || capacity > size {
		return Record{}, errors.Join(err, fmt.Errorf("making volume %q: %w: %d bytes in a pool of %d", name, ErrCapacity, capacity, size))
	}
	if err := p.deleteSubvolume(ctx, volumes, id); err != nil {
		return Record{}, err
	}
	if from == "" {
		err = run(ctx, "btrfs", "subvolume", "create", p.path(volumes, id))
	} else {
		err = run(ctx, "btrfs", "subvolume", "snapshot", from, p.path(volumes, id))
	}
	if err != nil {
		return Record{}, fmt.Errorf("making volume %q: %w", name, err)
	}
	if err := p.limit(ctx, id, capacity); err != nil {
		return Record{}, fmt.Errorf("limiting volume %q to %d bytes: %w", name, capacity, err)
	}
	r := Record{ID: id, Name: name, Capacity: capacity, Source: source, Created: p.now().UTC()}
	return r, p.save(volumes, r)
}

// sourcePath is the subvolume to copy from, "" for none.
func (p *Pool) sourcePath(source string, capacity int64) (string, error) {
	if source == "" {
		return "", nil
	}
	r, err := p.load(snapshots, source)
	k := snapshots
	if errors.Is(err, ErrNotFound) {
		k = volumes
		r, err = p.load(volumes, source)
	}
	if err != nil {
		return "", err
	}
	if capacity < r.Capacity {
		return "", fmt.Errorf("%w: %d bytes, less than the %d of its source %q", ErrCapacity, capacity, r.Capacity, source)
	}
	return p.path(k, source), nil
}

// CreateSnapshot freezes a volume as it is at this instant, whether or not a pod writes to it. A second call with the same
// arguments returns the first one's snapshot; a name that exists for another volume is an ErrConflict.
func (p *Pool) CreateSnapshot(ctx context.Context, name, volume string) (Record, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := idOf(snapshots, name)
	if r, err := p.load(snapshots, id); !errors.Is(err, ErrNotFound) {
		if err == nil && r.Source != volume {
			err = fmt.Errorf("making snapshot %q: %w: of volume %q", name, ErrConflict, r.Source)
		}
		return r, err
	}
	v, err := p.load(volumes, volume)
	if err != nil {
		return Record{}, fmt.Errorf("making snapshot %q: %w", name, err)
	}
	if err := p.deleteSubvolume(ctx, snapshots, id); err != nil {
		return Record{}, err
	}
	if err := run(ctx, "btrfs", "subvolume", "snapshot", "-r", p.path(volumes, volume), p.path(snapshots, id)); err != nil {
		return Record{}, fmt.Errorf("making snapshot %q: %w", name, err)
	}
	r := Record{ID: id, Name: name, Capacity: v.Capacity, Source: volume, Created: p.now().UTC()}
	return r, p.save(snapshots, r)
}

// DeleteVolume removes a volume. One that is not there is no error. Snapshots of it stay.
func (p *Pool) DeleteVolume(ctx context.Context, id string) error { return p.delete(ctx, volumes, id) }

// DeleteSnapshot removes a snapshot. One that is not there is no error. Volumes made from it stay.
func (p *Pool) DeleteSnapshot(ctx context.Context, id string) error {
	return p.delete(ctx, snapshots, id)
}

func (p *Pool) delete(ctx context.Context, k kind, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !idPattern.MatchString(id) {
		return nil
	}
	if err := p.deleteSubvolume(ctx, k, id); err != nil {
		return err
	}
	if err := os.Remove(p.recordFile(k, id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing record %q: %w", id, err)
	}
	return nil
}

func (p *Pool) deleteSubvolume(ctx context.Context, k kind, id string) error {
	path := p.path(k, id)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := run(ctx, "btrfs", "subvolume", "delete", path); err != nil {
		return fmt.Errorf("removing subvolume %q: %w", id, err)
	}
	return nil
}
