package kopia

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotmaintenance"
)

// BackupTag is the tag that holds a function's backupTag.
const BackupTag = "backupTag"

// minID is how much of an ID must be given at least: restic's short IDs had eight digits.
const minID = 8

// List gives all complete snapshots of the repository, oldest first.
func (r *Repository) List(ctx context.Context) ([]Snapshot, error) {
	if err := r.rep.Refresh(ctx); err != nil { // others may have written since it was opened
		return nil, r.fail("listing", err)
	}

	loaded, err := watch(ctx, r, still, func(ctx context.Context) ([]*snapshot.Manifest, error) {
		ids, err := snapshot.ListSnapshotManifests(ctx, r.rep, nil, nil)
		if err != nil {
			return nil, err
		}

		return snapshot.LoadSnapshots(ctx, r.rep, ids)
	})
	if err != nil {
		return nil, r.fail("listing", err)
	}

	var all []Snapshot

	for _, m := range loaded {
		if m.IncompleteReason == "" {
			all = append(all, describe(m))
		}
	}

	slices.SortFunc(all, func(a, b Snapshot) int { return a.Started.Compare(b.Started) })

	return all, nil
}

// Find looks a snapshot up by ID (or the beginning of one), or, if that is empty, the latest with a backupTag.
func (r *Repository) Find(ctx context.Context, id, backupTag string) (Snapshot, error) {
	all, err := r.List(ctx)
	if err != nil {
		return Snapshot{}, err
	}

	if id == "" {
		for _, s := range slices.Backward(all) {
			if backupTag != "" && s.Tags[BackupTag] == backupTag {
				return s, nil
			}
		}

		return Snapshot{}, r.fail("searching", fmt.Errorf("%w with backupTag %q", ErrNotFound, backupTag))
	}

	var found []Snapshot

	for _, s := range all {
		if s.ID == id || len(id) >= minID && strings.HasPrefix(s.ID, id) {
			found = append(found, s)
		}
	}

	switch len(found) {
	case 0:
		return Snapshot{}, r.fail("searching", fmt.Errorf("%w with ID %q", ErrNotFound, id))
	case 1:
		return found[0], nil
	default:
		return Snapshot{}, r.fail("searching", fmt.Errorf("%d snapshots have IDs that begin with %q", len(found), id))
	}
}

func (r *Repository) load(ctx context.Context, id string) (*snapshot.Manifest, error) {
	return snapshot.LoadSnapshot(ctx, r.rep, manifest.ID(id))
}

// Delete forgets snapshots. Their data stays until Reclaim.
func (r *Repository) Delete(ctx context.Context, ids ...string) error {
	_, err := watch(ctx, r, still, func(ctx context.Context) (struct{}, error) { return struct{}{}, r.remove(ctx, ids) })
	if errors.Is(err, snapshot.ErrSnapshotNotFound) {
		err = fmt.Errorf("%w (%w)", ErrNotFound, err)
	}

	return r.fail("deleting from", errors.Join(err, r.sync()))
}

func (r *Repository) remove(ctx context.Context, ids []string) error {
	return repo.WriteSession(ctx, r.rep, repo.WriteSessionOptions{Purpose: "delete"}, func(ctx context.Context, w repo.RepositoryWriter) error {
		for _, id := range ids {
			if _, err := r.load(ctx, id); err != nil {
				return fmt.Errorf("deleting snapshot %q: %w", id, err)
			}

			if err := errors.Join(w.DeleteManifest(ctx, manifest.ID(id)), deleteAttributes(ctx, w, manifest.ID(id))); err != nil {
				return fmt.Errorf("deleting snapshot %q: %w", id, err)
			}
		}

		return nil
	})
}

// Safety is how careful Reclaim is.
type Safety int

const (
	// Safe keeps everything younger than a day, so that backups that run meanwhile lose nothing: space comes back a day later, with
	// the second Reclaim.
	Safe Safety = iota
	// Reckless frees at once and destroys backups that run meanwhile. For tests.
	Reckless
)

// Reclaim frees the space of data that no snapshot uses any more, and returns how many bytes the repository shrank by.
func (r *Repository) Reclaim(ctx context.Context, safety Safety) (int64, error) {
	before, err := r.Size(ctx)
	if err != nil {
		return 0, err
	}

	parameters := maintenance.SafetyFull
	if safety == Reckless {
		parameters = maintenance.SafetyNone
	}

	err = repo.DirectWriteSession(ctx, r.direct, repo.WriteSessionOptions{Purpose: "reclaim"}, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		return snapshotmaintenance.Run(ctx, w, maintenance.ModeFull, true, parameters)
	})
	if err != nil {
		return 0, r.fail("reclaiming space in", end(ctx, err))
	}

	after, err := r.Size(ctx)

	return max(before-after, 0), errors.Join(err, r.sync())
}

// Size is what the repository takes up in the store, in bytes.
func (r *Repository) Size(ctx context.Context) (int64, error) {
	if r.direct == nil {
		return 0, r.fail("measuring", errNotThrough)
	}

	var size int64

	err := r.direct.BlobReader().ListBlobs(ctx, "", func(m blob.Metadata) error {
		size += m.Length

		return nil
	})

	return size, r.fail("measuring", err)
}
