package kopia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/format"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// How new repositories store data. Measured with the benchmark of this package; see there.
//
//   - hashing: BLAKE3 is twice as fast as kopia's default BLAKE2b.
//   - splitter: kopia's default finds chunk boundaries with a rolling hash over every byte, half of its CPU time. What lies on
//     volumes is databases that change pages in place, and files that are replaced: fixed chunks find unchanged data there just as
//     well. The exception, data inserted in the middle of a large file, is uploaded again from there to the end of that file.
const (
	hashing  = "BLAKE3-256-128"
	splitter = "FIXED-4M"
)

// create makes the repository. It is prepared in memory and published by one conditional write of its format blob, so that a
// repository exists either wholly or not at all and is never written over. It returns false if somebody else was faster.
func (r *Repository) create(ctx context.Context) (bool, error) {
	draft := memory{}

	err := repo.Initialize(ctx, draft, &repo.NewRepositoryOptions{
		BlockFormat: format.ContentFormat{
			Hash: hashing, EnablePasswordChange: true,
			MutableParameters: format.MutableParameters{Version: format.FormatVersion3},
		},
		ObjectFormat: format.ObjectFormat{Splitter: splitter},
	}, r.options.Password)
	if err != nil {
		return false, r.fail("creating", err)
	}

	won, err := r.publish(ctx, draft[format.KopiaRepositoryBlobID])
	if err != nil || !won {
		return false, r.fail("creating", err)
	}

	// kopia does without this blob until somebody changes the retention mode; its own command line expects it.
	if err := r.storage.PutBlob(ctx, format.KopiaBlobCfgBlobID, asBytes(draft[format.KopiaBlobCfgBlobID]), blob.PutOptions{}); err != nil {
		return false, r.fail("creating", err)
	}

	return true, nil
}

func (r *Repository) publish(ctx context.Context, text []byte) (bool, error) {
	if r.options.Profile.Location.Type == blueprint.LocationFilestore {
		return r.publishFile(ctx, text)
	}

	err := r.storage.PutBlob(ctx, format.KopiaRepositoryBlobID, asBytes(text), blob.PutOptions{DoNotRecreate: true})

	switch {
	case errors.Is(err, blob.ErrBlobAlreadyExists):
		return false, nil
	case errors.Is(err, blob.ErrUnsupportedPutBlobOption):
		return r.publishBlindly(ctx, text)
	default:
		return err == nil, err
	}
}

// publishFile uses the hard link of location's directories, as kopia's own storage knows no exclusive write.
func (r *Repository) publishFile(ctx context.Context, text []byte) (bool, error) {
	store, err := location.Open(ctx, r.options.Profile, r.options.Location...)
	if err != nil {
		return false, err
	}
	defer store.Close() // a directory

	// kopia's layout: the id is too short to be sharded, and every file ends with ".f".
	key := location.Join(r.key, format.KopiaRepositoryBlobID+".f")

	err = store.PutNew(ctx, key, text)
	if errors.Is(err, location.ErrExists) {
		return false, nil
	}

	return err == nil, err
}

// settle is how long a store without conditional writes is given to show who wrote last.
const settle = 3 * time.Second

// publishBlindly is for stores without conditional writes: look again, write, wait, and see whose repository is there. A write that is on
// its way for longer than that is found by unchanged.
func (r *Repository) publishBlindly(ctx context.Context, text []byte) (bool, error) {
	switch _, err := r.storage.GetMetadata(ctx, format.KopiaRepositoryBlobID); {
	case err == nil:
		return false, nil
	case !errors.Is(err, blob.ErrBlobNotFound):
		return false, err
	}

	if err := r.storage.PutBlob(ctx, format.KopiaRepositoryBlobID, asBytes(text), blob.PutOptions{}); err != nil {
		return false, err
	}

	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(settle):
	}

	var there buffer
	if err := r.storage.GetBlob(ctx, format.KopiaRepositoryBlobID, 0, -1, &there); err != nil {
		return false, err
	}

	return bytes.Equal(there.Bytes(), text), nil
}

// unchanged makes sure, once a backup is written, that the repository is still the one that was opened: in a store without conditional
// writes another first backup may have put its own over it, and nobody could ever read what is here.
func (r *Repository) unchanged(ctx context.Context) error {
	if r.direct == nil || r.options.Profile == nil || r.options.Profile.Location.Type == blueprint.LocationFilestore {
		return nil
	}

	var there buffer
	if err := r.storage.GetBlob(ctx, format.KopiaRepositoryBlobID, 0, -1, &there); err != nil {
		return err
	}

	found, err := format.ParseKopiaRepositoryJSON(there.Bytes())
	if err != nil {
		return err
	}

	if !bytes.Equal(found.UniqueID, r.direct.UniqueID()) {
		return errReplaced
	}

	return nil
}

var errReplaced = errors.New("another first backup to this prefix has put its own repository over this one while it was written to; back up again")

// populate writes what a new repository should say to other users of kopia.
func (r *Repository) populate(ctx context.Context) error {
	err := repo.WriteSession(ctx, r.rep, repo.WriteSessionOptions{Purpose: "new repository"}, func(ctx context.Context, w repo.RepositoryWriter) error {
		if err := policy.SetPolicy(ctx, w, policy.GlobalPolicySourceInfo, globalPolicy()); err != nil {
			return err
		}

		return setMaintenance(ctx, w)
	})

	return r.fail("creating", err)
}

func setMaintenance(ctx context.Context, w repo.RepositoryWriter) error {
	p := maintenance.DefaultParams()
	p.Owner = w.ClientOptions().UsernameAtHost()
	// Reclaiming space is asked for (reclaimSpace); it does not happen behind a backup's back. Tidying up the index does, daily.
	p.FullCycle.Enabled = false
	p.QuickCycle.Interval = 24 * time.Hour

	if err := maintenance.SetParams(ctx, w, &p); err != nil {
		return fmt.Errorf("setting maintenance parameters: %w", err)
	}

	return nil
}

// memory is the storage in which a repository is drafted.
type memory map[blob.ID][]byte

func (m memory) PutBlob(_ context.Context, id blob.ID, data blob.Bytes, _ blob.PutOptions) error {
	var b bytes.Buffer

	_, err := data.WriteTo(&b)
	m[id] = b.Bytes()

	return err
}

func (m memory) GetBlob(_ context.Context, id blob.ID, _, _ int64, output blob.OutputBuffer) error {
	content, ok := m[id]
	if !ok {
		return blob.ErrBlobNotFound
	}

	_, err := output.Write(content)

	return err
}

func (m memory) GetMetadata(context.Context, blob.ID) (blob.Metadata, error) {
	return blob.Metadata{}, blob.ErrBlobNotFound
}
func (m memory) ListBlobs(context.Context, blob.ID, func(blob.Metadata) error) error { return nil }
func (m memory) DeleteBlob(context.Context, blob.ID) error                           { return nil }
func (m memory) ConnectionInfo() blob.ConnectionInfo                                 { return blob.ConnectionInfo{} }
func (m memory) DisplayName() string                                                 { return "memory" }
func (m memory) GetCapacity(context.Context) (blob.Capacity, error) {
	return blob.Capacity{}, blob.ErrNotAVolume
}
func (m memory) Close(context.Context) error       { return nil }
func (m memory) FlushCaches(context.Context) error { return nil }
func (m memory) IsReadOnly() bool                  { return false }
func (m memory) ExtendBlobRetention(context.Context, blob.ID, blob.ExtendOptions) error {
	return blob.ErrUnsupportedObjectLock
}

// buffer is a blob.OutputBuffer.
type buffer struct{ bytes.Buffer }

func (b *buffer) Length() int { return b.Len() }

// asBytes is a blob.Bytes over a slice.
type asBytes []byte

func (b asBytes) Length() int                            { return len(b) }
func (b asBytes) Reader() io.ReadSeekCloser              { return seekCloser{bytes.NewReader(b)} }
func (b asBytes) WriteTo(w io.Writer) (n int64, e error) { return io.Copy(w, bytes.NewReader(b)) }

type seekCloser struct{ *bytes.Reader }

func (seekCloser) Close() error { return nil }
