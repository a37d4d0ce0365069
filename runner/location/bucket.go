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
)

// bucketStore is a Store over a gocloud bucket: GCS and Azure.
type bucketStore struct {
	bucket *blob.Bucket
	name   string // "gs://bucket"
	prefix string
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
		httpStatus(err) == http.StatusPreconditionFailed || httpStatus(err) == http.StatusConflict {
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
	if gcerrors.Code(err) == gcerrors.NotFound || httpStatus(err) == http.StatusNotFound {
		return &Error{Reason: NoBucket, Hint: hintBucket, Err: shorten(err)}
	}

	return err
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
