package kopia

import (
	"context"
	"errors"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/format"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/restic"
)

// beside is where the repository lies, below its prefix, if upstream's restic functions keep theirs right there. The two must not share
// a folder: kopia's maintenance takes restic's "snapshots/" for unused blobs of its own, whose names begin with "s", too, and
// deletes them. No pod has this name, so that it is never the repository of a pod (COMPAT §4.0.4).
const beside = ".kopia"

// find looks for the repository and leaves r where it is, or where a new one belongs; then the error is ErrNoRepository.
func (r *Repository) find(ctx context.Context) error {
	if err := r.exists(ctx); !errors.Is(err, ErrNoRepository) || !mayHoldRestic(r.options.Profile.Location) {
		return err
	}

	root := r.key

	if err := r.move(ctx, location.Join(root, beside)); err != nil {
		return err
	}

	// Found even if the restic repository is long gone.
	if err := r.exists(ctx); !errors.Is(err, ErrNoRepository) {
		return err
	}

	if restic, err := r.holdsRestic(ctx, root); restic || err != nil {
		return errors.Join(err, r.fail("opening", ErrNoRepository))
	}

	if err := r.move(ctx, root); err != nil {
		return err
	}

	return r.fail("opening", ErrNoRepository)
}

func (r *Repository) move(ctx context.Context, key string) error {
	if err := r.storage.Close(ctx); err != nil {
		return r.fail("opening", err)
	}

	return r.at(ctx, key)
}

// exists returns nil if there is a repository, ErrNoRepository if there is none, or why that cannot be told.
func (r *Repository) exists(ctx context.Context) error {
	_, err := r.storage.GetMetadata(ctx, format.KopiaRepositoryBlobID)
	if errors.Is(err, blob.ErrBlobNotFound) {
		err = ErrNoRepository
	}

	return r.fail("opening", err)
}

// mayHoldRestic tells where upstream's functions wrote.
func mayHoldRestic(l blueprint.Location) bool {
	return l.Type == blueprint.LocationS3 || l.Type == blueprint.LocationGCS || l.Type == blueprint.LocationAzure
}

// holdsRestic tells whether restic has a repository at a key of the location.
func (r *Repository) holdsRestic(ctx context.Context, root string) (bool, error) {
	store, err := location.Open(ctx, r.options.Profile, r.options.Location...)
	if err != nil {
		return false, r.fail("opening", err)
	}
	defer store.Close() // read only

	found, err := restic.In(ctx, store, root)

	return found, r.fail("opening", err)
}
