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

	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// gcsStore keeps objects in a bucket of Google Cloud Storage.
type gcsStore struct {
	bucket *blob.Bucket
	name   string // "gs://bucket"
	prefix string
}

func openGCS(ctx context.Context, profile *params.Profile) (Store, error) {
	bucket, err := gcsBucket(ctx, profile)
	if err != nil {
		return nil, err
	}

	return &gcsStore{bucket: bucket, name: "gs://" + profile.Location.Bucket, prefix: Clean(profile.Location.Prefix)}, nil
}

// bufferSize of one upload in flight: large enough that a chunk is worth its request.
const bufferSize = 8 << 20

func (b *gcsStore) URL(key string) string { return b.name + "/" + Join(b.prefix, key) }

func (b *gcsStore) Close() error { return b.bucket.Close() }

func (b *gcsStore) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	n, err := b.put(ctx, key, r, false)

	return n, wrap("putting object", b.URL(key), b.missing(err))
}

func (b *gcsStore) PutNew(ctx context.Context, key string, content []byte) error {
	_, err := b.put(ctx, key, bytes.NewReader(content), true)
	if gcerrors.Code(err) == gcerrors.FailedPrecondition || gcerrors.Code(err) == gcerrors.AlreadyExists ||
		HTTPStatus(err) == http.StatusPreconditionFailed || HTTPStatus(err) == http.StatusConflict {
		err = fmt.Errorf("%w (%w)", ErrExists, err)
	}

	return wrap("putting object", b.URL(key), b.missing(err))
}

func (b *gcsStore) put(ctx context.Context, key string, r io.Reader, ifAbsent bool) (int64, error) {
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

// missing says that the bucket is not there, where "not found" can be about nothing else.
func (b *gcsStore) missing(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound || HTTPStatus(err) == http.StatusNotFound {
		return &Error{Reason: NoBucket, Hint: hintBucket, Err: shorten(err)}
	}

	return err
}

// Get is resumed by Google's client.
func (b *gcsStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	return b.GetRange(ctx, key, 0, -1)
}

func (b *gcsStore) GetRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := b.bucket.NewRangeReader(ctx, Join(b.prefix, key), offset, length, nil)
	if err != nil {
		return nil, wrap("getting object", b.URL(key), b.notFound(ctx, err))
	}

	return &reasoned{ReadCloser: r, url: b.URL(key)}, nil
}

func (b *gcsStore) Stat(ctx context.Context, key string) (Object, error) {
	attributes, err := b.bucket.Attributes(ctx, Join(b.prefix, key))
	if err != nil {
		return Object{}, wrap("looking up object", b.URL(key), b.notFound(ctx, err))
	}

	return Object{Key: Clean(key), Size: attributes.Size, Modified: attributes.ModTime}, nil
}

func (b *gcsStore) List(ctx context.Context, prefix string, visit func(Object) error) error {
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

func (b *gcsStore) Delete(ctx context.Context, key string) error {
	err := b.bucket.Delete(ctx, Join(b.prefix, key))
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}

	return wrap("deleting object", b.URL(key), err)
}

// notFound tells a missing object from a missing bucket, which looks like it.
func (b *gcsStore) notFound(ctx context.Context, err error) error {
	if gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}

	if there, accessErr := b.bucket.IsAccessible(ctx); accessErr == nil && !there {
		return b.missing(err)
	}

	return fmt.Errorf("%w (%w)", ErrNotFound, err)
}
