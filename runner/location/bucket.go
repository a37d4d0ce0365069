package location

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// bucketStore is a Store over a gocloud bucket: GCS and Azure.
type bucketStore struct {
	bucket *blob.Bucket
	name   string // "gs://bucket"
	prefix string
}

// OpenBucket opens the bucket of a profile whose location is GCS, or the container of one that is Azure, and names it for people. The
// profile's prefix does not count. It makes no request.
func OpenBucket(ctx context.Context, profile *params.Profile) (*blob.Bucket, string, error) {
	if profile.Location.Type == blueprint.LocationAzure {
		return azureBucket(ctx, profile)
	}

	bucket, err := gcsBucket(ctx, profile)

	return bucket, "gs://" + profile.Location.Bucket, err
}

func openBucketStore(ctx context.Context, profile *params.Profile) (Store, error) {
	bucket, name, err := OpenBucket(ctx, profile)
	if err != nil {
		return nil, err
	}

	return &bucketStore{bucket: bucket, name: name, prefix: Clean(profile.Location.Prefix)}, nil
}

// bufferSize of one upload in flight: large enough that a chunk is worth its request.
const bufferSize = 8 << 20

func (b *bucketStore) URL(key string) string { return b.name + "/" + Join(b.prefix, key) }

func (b *bucketStore) Close() error { return b.bucket.Close() }

func (b *bucketStore) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	n, err := b.put(ctx, key, r, false)

	return n, wrap("putting object", b.URL(key), b.missing(err))
}

func (b *bucketStore) PutNew(ctx context.Context, key string, content []byte) error {
	_, err := b.put(ctx, key, bytes.NewReader(content), true)
	if gcerrors.Code(err) == gcerrors.FailedPrecondition || gcerrors.Code(err) == gcerrors.AlreadyExists ||
		HTTPStatus(err) == http.StatusPreconditionFailed || HTTPStatus(err) == http.StatusConflict {
		err = fmt.Errorf("%w (%w)", ErrExists, err)
	}

	return wrap("putting object", b.URL(key), b.missing(err))
}

func (b *bucketStore) put(ctx context.Context, key string, r io.Reader, ifAbsent bool) (int64, error) {
	// A writer whose context is cancelled before Close leaves nothing behind.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	w, err := b.bucket.NewWriter(ctx, Join(b.prefix, key), &blob.WriterOptions{
		BufferSize: bufferSize, MaxConcurrency: 4, ContentType: "application/octet-stream", DisableContentTypeDetection: true, IfNotExist: ifAbsent,
	})
	if err != nil {
		return 0, err
	}

	n, err := io.Copy(w, r)
	if err != nil {
		cancel()

		_ = w.Close()

		return n, err
	}

	return n, w.Close()
}

// missing tells a missing bucket from a missing object where only a write can fail with "not found".
func (b *bucketStore) missing(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound || HTTPStatus(err) == http.StatusNotFound {
		return MissingBucket(err)
	}

	return err
}

// MissingBucket is an error about a bucket that is not there.
func MissingBucket(err error) error {
	return &Error{Reason: NoBucket, Hint: hintBucket, Err: shorten(err)}
}

func (b *bucketStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.bucket.NewReader(ctx, Join(b.prefix, key), nil)

	return r, wrap("getting object", b.URL(key), notFound(err))
}

func (b *bucketStore) Stat(ctx context.Context, key string) (Object, error) {
	attributes, err := b.bucket.Attributes(ctx, Join(b.prefix, key))
	if err != nil {
		return Object{}, wrap("looking up object", b.URL(key), notFound(err))
	}

	return Object{Key: Clean(key), Size: attributes.Size, Modified: attributes.ModTime}, nil
}

func (b *bucketStore) List(ctx context.Context, prefix string, visit func(Object) error) error {
	root := ""
	if b.prefix != "" {
		root = b.prefix + "/"
	}

	for it := b.bucket.List(&blob.ListOptions{Prefix: root + prefix}); ; {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return wrap("listing", b.URL(prefix), b.missing(err))
		}

		if err := visit(Object{Key: o.Key[len(root):], Size: o.Size, Modified: o.ModTime}); err != nil {
			return err
		}
	}
}

func (b *bucketStore) Delete(ctx context.Context, key string) error {
	err := b.bucket.Delete(ctx, Join(b.prefix, key))
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}

	return wrap("deleting object", b.URL(key), err)
}

func notFound(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w (%w)", ErrNotFound, err)
	}

	return err
}
