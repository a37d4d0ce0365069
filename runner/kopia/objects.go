package kopia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/retrying"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// objectStorage is kopia's view of a bucket of GCS or a container of Azure. kopia's own have no word for the endpoint and the
// certificates of a profile.
type objectStorage struct {
	store  location.Ranged
	prefix string // relative to that of the profile

	closing sync.Once
}

func openObjects(ctx context.Context, options Options, prefix string) (blob.Storage, error) {
	store, err := location.Open(ctx, options.Profile, options.Location...)
	if err != nil {
		return nil, err
	}

	ranged, ok := store.(location.Ranged)
	if !ok {
		return nil, fmt.Errorf("opening %q: it cannot read ranges of objects", store.URL(""))
	}

	return retrying.NewWrapper(&objectStorage{store: ranged, prefix: prefix}), nil
}

func (s *objectStorage) key(id blob.ID) string { return s.prefix + string(id) }

func (s *objectStorage) DisplayName() string { return s.store.URL(s.prefix) }

func (s *objectStorage) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: storageType, Config: &storageRef{}}
}

func (s *objectStorage) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if err := checkPut(id, opts); err != nil {
		return err
	}

	if err := s.put(ctx, id, data, opts.DoNotRecreate); err != nil {
		return err
	}

	if opts.GetModTime != nil {
		m, err := s.GetMetadata(ctx, id)
		if err != nil {
			return err
		}

		*opts.GetModTime = m.Timestamp
	}

	return nil
}

func (s *objectStorage) put(ctx context.Context, id blob.ID, data blob.Bytes, ifAbsent bool) error {
	r := data.Reader()
	defer r.Close() // memory

	if !ifAbsent {
		_, err := s.store.Put(ctx, s.key(id), r)

		return err
	}

	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}

	if err := s.store.PutNew(ctx, s.key(id), content); !errors.Is(err, location.ErrExists) {
		return err
	}

	return blob.ErrBlobAlreadyExists
}

func (s *objectStorage) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	output.Reset()

	if offset < 0 {
		return blob.ErrInvalidRange
	}

	if length == 0 {
		_, err := s.GetMetadata(ctx, id)

		return err
	}

	r, err := s.store.GetRange(ctx, s.key(id), offset, length)
	if err != nil {
		if location.HTTPStatus(err) == http.StatusRequestedRangeNotSatisfiable {
			return blob.ErrInvalidRange
		}

		return missingBlob(err)
	}
	defer r.Close() // read only

	if _, err := io.Copy(output, r); err != nil {
		return fmt.Errorf("reading blob %q: %w", id, err)
	}

	return blob.EnsureLengthExactly(output.Length(), length)
}

func (s *objectStorage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	o, err := s.store.Stat(ctx, s.key(id))
	if err != nil {
		return blob.Metadata{}, missingBlob(err)
	}

	return blob.Metadata{BlobID: id, Length: o.Size, Timestamp: o.Modified}, nil
}

func (s *objectStorage) DeleteBlob(ctx context.Context, id blob.ID) error {
	return s.store.Delete(ctx, s.key(id))
}

func (s *objectStorage) ListBlobs(ctx context.Context, prefix blob.ID, visit func(blob.Metadata) error) error {
	return s.store.List(ctx, s.key(prefix), func(o location.Object) error {
		return visit(blob.Metadata{BlobID: blob.ID(o.Key[len(s.prefix):]), Length: o.Size, Timestamp: o.Modified})
	})
}

func missingBlob(err error) error {
	if errors.Is(err, location.ErrNotFound) {
		return blob.ErrBlobNotFound
	}

	return err
}

// Close may be called twice, as that of kopia's own storages: a server and the repository that it serves both do.
func (s *objectStorage) Close(context.Context) error {
	var err error

	s.closing.Do(func() { err = s.store.Close() })

	return err
}

func (s *objectStorage) FlushCaches(context.Context) error { return nil }

func (s *objectStorage) IsReadOnly() bool { return false }

func (s *objectStorage) GetCapacity(context.Context) (blob.Capacity, error) {
	return blob.Capacity{}, blob.ErrNotAVolume
}

func (s *objectStorage) ExtendBlobRetention(context.Context, blob.ID, blob.ExtendOptions) error {
	return blob.ErrUnsupportedObjectLock
}
