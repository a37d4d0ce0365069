package kopia

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// Stats modes, by restic's names (COMPAT §4.18), because blueprints spell them.
const (
	RestoreSize     = "restore-size"      // files, and their bytes when restored
	FilesByContents = "files-by-contents" // files of different content, and their bytes
	BlobsPerFile    = "blobs-per-file"    // chunks of the snapshot, and their bytes before compression
	RawData         = "raw-data"          // chunks of the snapshot, and the bytes that they take up in the store
)

// StatsModes are all of them.
var StatsModes = []string{RestoreSize, FilesByContents, BlobsPerFile, RawData}

// Stats of a snapshot.
type Stats struct {
	Mode  string `json:"mode"`
	Count int64  `json:"count"`
	Bytes int64  `json:"bytes"`
}

// Stats measures a snapshot.
func (r *Repository) Stats(ctx context.Context, id, mode string) (Stats, error) {
	found, err := r.Find(ctx, id, "")
	if err != nil {
		return Stats{}, err
	}

	if mode == RestoreSize {
		return Stats{Mode: mode, Count: found.Files, Bytes: found.Bytes}, nil
	}

	s := Stats{Mode: mode}
	err = r.objects(ctx, found.ID, func(e fs.Entry, _ object.ID, contents []content.ID) error {
		if mode == FilesByContents {
			if _, ok := e.(fs.File); ok {
				s.Count++
				s.Bytes += e.Size()
			}

			return nil
		}

		for _, c := range contents {
			info, err := r.rep.ContentInfo(ctx, c)
			if err != nil {
				return err
			}

			s.Count++

			if mode == RawData {
				s.Bytes += int64(info.PackedLength)
			} else {
				s.Bytes += int64(info.OriginalLength)
			}
		}

		return nil
	})

	return s, r.fail("measuring", err)
}

// objects visits every different object of a snapshot once, with those of its chunks that were not visited before.
func (r *Repository) objects(ctx context.Context, id string, visit func(fs.Entry, object.ID, []content.ID) error) error {
	m, err := r.load(ctx, id)
	if err != nil {
		return err
	}

	root, err := snapshotfs.SnapshotRoot(r.rep, m)
	if err != nil {
		return err
	}

	var (
		mu   sync.Mutex
		seen = map[content.ID]bool{}
	)

	walker, err := snapshotfs.NewTreeWalker(ctx, snapshotfs.TreeWalkerOptions{
		EntryCallback: func(ctx context.Context, e fs.Entry, oid object.ID, _ string) error {
			contents, err := r.rep.VerifyObject(ctx, oid)
			if err != nil {
				return err
			}

			mu.Lock()
			defer mu.Unlock()

			fresh := contents[:0]

			for _, c := range contents {
				if !seen[c] {
					seen[c] = true
					fresh = append(fresh, c)
				}
			}

			return visit(e, oid, fresh)
		},
	})
	if err != nil {
		return err
	}
	defer walker.Close(ctx)

	return walker.Process(ctx, root, ".")
}

// Verification says what Verify looked at.
type Verification struct {
	Snapshots int64 `json:"snapshots"`
	Objects   int64 `json:"objects"`
	Chunks    int64 `json:"chunks"`
	BytesRead int64 `json:"bytesRead,omitempty"`
}

// Verify checks that everything a snapshot needs is in the store (all snapshots if id is empty); with read, also that it can be
// read, decrypted and is what was written.
func (r *Repository) Verify(ctx context.Context, id string, read bool) (Verification, error) {
	var v Verification

	all, err := r.List(ctx)
	if err != nil {
		return v, err
	}

	if id != "" {
		found, err := r.Find(ctx, id, "")
		if err != nil {
			return v, err
		}

		all = []Snapshot{found}
	}

	stored, err := r.stored(ctx)
	if err != nil {
		return v, err
	}

	checked := map[content.ID]bool{}

	for _, s := range all {
		v.Snapshots++

		if err := r.objects(ctx, s.ID, func(_ fs.Entry, _ object.ID, contents []content.ID) error {
			v.Objects++

			for _, c := range contents {
				if checked[c] {
					continue
				}

				checked[c] = true
				v.Chunks++

				if err := r.verifyChunk(ctx, c, stored, read, &v); err != nil {
					return err
				}
			}

			return nil
		}); err != nil {
			return v, r.fail("verifying", fmt.Errorf("snapshot %q of %s: %w", s.ID, s.Source.Path, err))
		}
	}

	return v, nil
}

func (r *Repository) stored(ctx context.Context) (map[blob.ID]int64, error) {
	if r.direct == nil {
		return nil, r.fail("verifying", errNotThrough)
	}

	stored := map[blob.ID]int64{}
	err := r.direct.BlobReader().ListBlobs(ctx, "", func(m blob.Metadata) error {
		stored[m.BlobID] = m.Length

		return nil
	})

	return stored, r.fail("verifying", err)
}

func (r *Repository) verifyChunk(ctx context.Context, id content.ID, stored map[blob.ID]int64, read bool, v *Verification) error {
	info, err := r.rep.ContentInfo(ctx, id)
	if err != nil {
		return err
	}

	length, there := stored[info.PackBlobID]
	if !there {
		return fmt.Errorf("%w: blob %q", blob.ErrBlobNotFound, info.PackBlobID)
	}

	if int64(info.PackOffset)+int64(info.PackedLength) > length {
		return fmt.Errorf("blob %q is cut short: %d bytes", info.PackBlobID, length)
	}

	if !read {
		return nil
	}

	data, err := r.direct.ContentReader().GetContent(ctx, id)
	if err != nil {
		return errors.Join(fmt.Errorf("chunk %q in blob %q", id, info.PackBlobID), err)
	}

	v.BytesRead += int64(len(data))

	return nil
}
