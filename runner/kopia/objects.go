package kopia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/retrying"
	gocloud "gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// objectStorage is kopia's view of a bucket of GCS or a container of Azure. kopia's own have no word for the endpoint and the
// certificates of a profile.
type objectStorage struct {
	bucket *gocloud.Bucket
	name   string // "gs://bucket"
	prefix string
}

func openObjects(ctx context.Context, options Options, prefix string) (blob.Storage, error) {
	bucket, name, err := location.OpenBucket(ctx, options.Profile)
	if err != nil {
		return nil, err
	}

	return retrying.NewWrapper(&objectStorage{bucket: bucket, name: name, prefix: prefix}), nil
}

func (s *objectStorage) key(id blob.ID) string { return s.prefix + string(id) }

func (s *objectStorage) DisplayName() string { return s.name + "/" + s.prefix }

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
	ctx, cancel := context.WithCancel(ctx) // a writer whose context ends before it is closed leaves nothing behind
	defer cancel()

	w, err := s.bucket.NewWriter(ctx, s.key(id), &gocloud.WriterOptions{
		ContentType: "application/x-kopia", DisableContentTypeDetection: true, IfNotExist: ifAbsent, BufferSize: max(data.Length(), 1), MaxConcurrency: 1,
	})
	if err != nil {
		return err
	}

	if _, err := data.WriteTo(w); err != nil {
		cancel()

		_ = w.Close()

		return err
	}

	err = w.Close()

	switch code := location.HTTPStatus(err); {
	case err == nil:
		return nil
	case ifAbsent && (code == http.StatusPreconditionFailed || code == http.StatusConflict || gcerrors.Code(err) == gcerrors.FailedPrecondition || gcerrors.Code(err) == gcerrors.AlreadyExists):
		return blob.ErrBlobAlreadyExists
	case gcerrors.Code(err) == gcerrors.NotFound:
		return location.MissingBucket(err)
	default:
		return err
	}
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

	r, err := s.bucket.NewRangeReader(ctx, s.key(id), offset, length, nil)
	if err != nil {
		if location.HTTPStatus(err) == http.StatusRequestedRangeNotSatisfiable {
			return blob.ErrInvalidRange
		}

		return s.translate(ctx, err)
	}
	defer r.Close() // read only

	if _, err := io.Copy(output, r); err != nil {
		return fmt.Errorf("reading blob %q: %w", id, err)
	}

	return blob.EnsureLengthExactly(output.Length(), length)
}

func (s *objectStorage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	attributes, err := s.bucket.Attributes(ctx, s.key(id))
	if err != nil {
		return blob.Metadata{}, s.translate(ctx, err)
	}

	return blob.Metadata{BlobID: id, Length: attributes.Size, Timestamp: attributes.ModTime}, nil
}

func (s *objectStorage) DeleteBlob(ctx context.Context, id blob.ID) error {
	err := s.bucket.Delete(ctx, s.key(id))
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}

	return err
}

func (s *objectStorage) ListBlobs(ctx context.Context, prefix blob.ID, visit func(blob.Metadata) error) error {
	for objects := s.bucket.List(&gocloud.ListOptions{Prefix: s.key(prefix)}); ; {
		o, err := objects.Next(ctx)

		switch {
		case errors.Is(err, io.EOF):
			return nil
		case gcerrors.Code(err) == gcerrors.NotFound:
			return location.MissingBucket(err)
		case err != nil:
			return err
		}

		if err := visit(blob.Metadata{BlobID: blob.ID(o.Key[len(s.prefix):]), Length: o.Size, Timestamp: o.ModTime}); err != nil {
			return err
		}
	}
}

// translate tells a missing blob from a missing bucket, which looks like it.
func (s *objectStorage) translate(ctx context.Context, err error) error {
	if gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}

	if there, accessErr := s.bucket.IsAccessible(ctx); accessErr == nil && !there {
		return location.MissingBucket(err)
	}

	return blob.ErrBlobNotFound
}

func (s *objectStorage) Close(context.Context) error { return s.bucket.Close() }

func (s *objectStorage) FlushCaches(context.Context) error { return nil }

func (s *objectStorage) IsReadOnly() bool { return false }

func (s *objectStorage) GetCapacity(context.Context) (blob.Capacity, error) {
	return blob.Capacity{}, blob.ErrNotAVolume
}

func (s *objectStorage) ExtendBlobRetention(context.Context, blob.ID, blob.ExtendOptions) error {
	return blob.ErrUnsupportedObjectLock
}
