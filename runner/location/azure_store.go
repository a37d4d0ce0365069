package location

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"k8s.io/utils/ptr"
)

// azureStore keeps objects in a container of an Azure storage account, under the names that they have: a library in between renames
// those with odd characters, which other programs then do not find.
type azureStore struct {
	container *container.Client
	idle      *http.Client
	name      string // "azure://account/container"
	prefix    string
}

func (s *azureStore) URL(key string) string { return s.name + "/" + Join(s.prefix, key) }

func (s *azureStore) Close() error {
	s.idle.CloseIdleConnections()

	return nil
}

func (s *azureStore) blob(key string) *blockblob.Client {
	return s.container.NewBlockBlobClient(Join(s.prefix, key))
}

func (s *azureStore) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	n, err := s.upload(ctx, key, r)

	return n, wrap("putting object", s.URL(key), err)
}

// upload puts small streams in one request and larger ones in blocks.
func (s *azureStore) upload(ctx context.Context, key string, r io.Reader) (int64, error) {
	first, err := readFirst(r, partSize(1))
	if err != nil {
		return int64(len(first)), err
	}

	if int64(len(first)) < partSize(1) {
		_, err = s.blob(key).Upload(ctx, body(first), nil)

		return int64(len(first)), err
	}

	p := &azureBlocks{blob: s.blob(key), ids: map[int32]string{}}
	if _, err := rand.Read(p.upload[:]); err != nil {
		return int64(len(first)), err
	}

	return uploadParts(ctx, p, first, r)
}

func body(content []byte) io.ReadSeekCloser { return streaming.NopCloser(bytes.NewReader(content)) }

// azureBlocks are the blocks of one upload.
type azureBlocks struct {
	blob *blockblob.Client
	// upload keeps the blocks of two uploads of one object apart.
	upload [12]byte

	mu  sync.Mutex
	ids map[int32]string
}

func (b *azureBlocks) put(ctx context.Context, number int32, content []byte) error {
	// All of an object's have the same length.
	id := base64.StdEncoding.EncodeToString(fmt.Appendf(b.upload[:len(b.upload):len(b.upload)], "%06d", number))

	if _, err := b.blob.StageBlock(ctx, id, body(content), nil); err != nil {
		return fmt.Errorf("uploading block %d: %w", number, err)
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	b.ids[number] = id

	return nil
}

func (b *azureBlocks) complete(ctx context.Context) error {
	ids := make([]string, len(b.ids))
	for number, id := range b.ids {
		ids[number-1] = id
	}

	_, err := b.blob.CommitBlockList(ctx, ids, nil)

	return err
}

// abort does nothing: Azure has no request for it, and drops blocks that nobody commits.
func (b *azureBlocks) abort(context.Context) error { return nil }

func (s *azureStore) PutNew(ctx context.Context, key string, content []byte) error {
	_, err := s.blob(key).Upload(ctx, body(content), &blockblob.UploadOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: ptr.To(azcore.ETagAny)}},
	})
	if bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.BlobImmutableDueToPolicy) {
		err = fmt.Errorf("%w (%w)", ErrExists, err)
	}

	return wrap("putting object", s.URL(key), err)
}

func (s *azureStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	return s.GetRange(ctx, key, 0, -1)
}

func (s *azureStore) GetRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	options := &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset}}
	if length > 0 {
		options.Range.Count = length
	}

	answer, err := s.blob(key).DownloadStream(ctx, options)
	if err != nil {
		return nil, wrap("getting object", s.URL(key), notFoundBlob(err))
	}

	// It goes on where a connection broke, as long as the object is the same.
	return &reasoned{ReadCloser: answer.NewRetryReader(ctx, &blob.RetryReaderOptions{MaxRetries: resumptions}), url: s.URL(key)}, nil
}

// reasoned gives the reasons of what breaks while an object is read.
type reasoned struct {
	io.ReadCloser
	url string
}

func (e *reasoned) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF is returned as it is
		err = wrap("getting object", e.url, err)
	}

	return n, err
}

func (s *azureStore) Stat(ctx context.Context, key string) (Object, error) {
	p, err := s.blob(key).GetProperties(ctx, nil)
	if err != nil {
		return Object{}, wrap("looking up object", s.URL(key), s.notFoundHead(ctx, err))
	}

	return Object{Key: Clean(key), Size: ptr.Deref(p.ContentLength, 0), Modified: ptr.Deref(p.LastModified, time.Time{})}, nil
}

// notFoundHead tells a missing object from a missing container, where the answer has no body to say it and perhaps no code.
func (s *azureStore) notFoundHead(ctx context.Context, err error) error {
	if HTTPStatus(err) == http.StatusNotFound && !bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		if _, containerErr := s.container.GetProperties(ctx, nil); HTTPStatus(containerErr) == http.StatusNotFound {
			return &Error{Reason: NoBucket, Hint: hintBucket, Err: shorten(err)}
		}

		return fmt.Errorf("%w (%w)", ErrNotFound, err)
	}

	return notFoundBlob(err)
}

func notFoundBlob(err error) error {
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return fmt.Errorf("%w (%w)", ErrNotFound, err)
	}

	return err
}

func (s *azureStore) List(ctx context.Context, prefix string, visit func(Object) error) error {
	root := ""
	if s.prefix != "" {
		root = s.prefix + "/"
	}

	pages := s.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: ptr.To(root + prefix)})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap("listing", s.URL(prefix), err)
		}

		for _, o := range page.Segment.BlobItems {
			object := Object{Key: (*o.Name)[len(root):]}
			if p := o.Properties; p != nil {
				object.Size, object.Modified = ptr.Deref(p.ContentLength, 0), ptr.Deref(p.LastModified, time.Time{})
			}

			if err := visit(object); err != nil {
				return err
			}
		}
	}

	return nil
}

func (s *azureStore) Delete(ctx context.Context, key string) error {
	_, err := s.blob(key).Delete(ctx, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return nil
	}

	return wrap("deleting object", s.URL(key), err)
}
