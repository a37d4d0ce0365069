package location

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

type s3Store struct {
	s3     *S3
	bucket string
	prefix string
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C is the checksum of S3's x-amz-checksum-crc32c header: the store refuses a body that arrived damaged. It is computed in
// hardware, unlike MD5, which takes a third of an upload's CPU time.
func CRC32C(sum uint32) string {
	var b [4]byte

	binary.BigEndian.PutUint32(b[:], sum)

	return base64.StdEncoding.EncodeToString(b[:])
}

func (s *s3Store) key(key string) *string { return aws.String(Join(s.prefix, key)) }

func (s *s3Store) URL(key string) string { return "s3://" + Join(s.bucket, s.prefix, key) }

func (s *s3Store) Close() error { return nil }

func (s *s3Store) PutNew(ctx context.Context, key string, content []byte) error {
	err := s.put(ctx, key, content, aws.String("*"))
	if HTTPStatus(err) == http.StatusNotImplemented {
		// A store without conditional writes: look first. The gap is a few milliseconds wide.
		if _, statErr := s.Stat(ctx, key); statErr == nil {
			err = ErrExists
		} else {
			err = s.put(ctx, key, content, nil)
		}
	}

	if s := HTTPStatus(err); s == http.StatusPreconditionFailed || s == http.StatusConflict {
		err = fmt.Errorf("%w (%w)", ErrExists, err)
	}

	return wrap("putting object", s.URL(key), err)
}

func (s *s3Store) put(ctx context.Context, key string, content []byte, ifNoneMatch *string) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: s.key(key), Body: bytes.NewReader(content), ContentLength: aws.Int64(int64(len(content))),
		ChecksumCRC32C: aws.String(CRC32C(crc32.Checksum(content, castagnoli))), IfNoneMatch: ifNoneMatch,
	}, s.s3.Upload()...)

	return err
}

func (s *s3Store) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	n, err := s.upload(ctx, key, r)

	return n, wrap("putting object", s.URL(key), err)
}

func (s *s3Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	// Not Downloads in parts: one stream, resumed where it broke.
	return openResumable(ctx, s.URL(key), func(ctx context.Context, offset int64, etag string) (io.ReadCloser, string, int64, error) {
		input := &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(key)}
		if offset > 0 {
			input.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
			input.IfMatch = aws.String(etag)
		}

		output, err := s.s3.GetObject(ctx, input)
		if err != nil {
			return nil, "", 0, err
		}

		return output.Body, aws.ToString(output.ETag), aws.ToInt64(output.ContentLength), nil
	})
}

func (s *s3Store) Stat(ctx context.Context, key string) (Object, error) {
	output, err := s.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	switch HTTPStatus(err) {
	case http.StatusNotFound:
		err = fmt.Errorf("%w (%w)", ErrNotFound, err)
	case http.StatusBadRequest, http.StatusForbidden:
		err = s.s3.Why(ctx, s.bucket, *s.key(key), err)
	}

	if err != nil {
		return Object{}, wrap("looking up object", s.URL(key), err)
	}

	return Object{Key: Clean(key), Size: aws.ToInt64(output.ContentLength), Modified: aws.ToTime(output.LastModified)}, nil
}

func (s *s3Store) List(ctx context.Context, prefix string, visit func(Object) error) error {
	root := ""
	if s.prefix != "" {
		root = s.prefix + "/"
	}

	input := &s3.ListObjectsV2Input{Bucket: &s.bucket}
	if root+prefix != "" {
		input.Prefix = aws.String(root + prefix)
	}

	pages := s3.NewListObjectsV2Paginator(s.s3, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap("listing", s.URL(prefix), err)
		}

		for _, o := range page.Contents {
			object := Object{Key: aws.ToString(o.Key)[len(root):], Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}
			if err := visit(object); err != nil {
				return err
			}
		}
	}

	return nil
}

func (s *s3Store) Delete(ctx context.Context, key string) error {
	_, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(key)})

	var e *Error
	if wrapped := wrap("deleting object", s.URL(key), err); errors.As(wrapped, &e) && e.Reason != NotFound {
		return wrapped
	}

	return nil
}
