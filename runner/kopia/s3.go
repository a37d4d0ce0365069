package kopia

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// s3Storage is kopia's storage over S3, in the layout of kopia's own "s3" storage. Ours because kopia's hard-codes MD5, a third
// of an upload's CPU time; this one sends CRC32C, which the store checks as well, and leaves the payload unsigned over TLS.
type s3Storage struct {
	blob.DefaultProviderImplementation

	s3     *location.S3
	bucket string
	prefix string // ends with a slash, or is empty
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func openS3(ctx context.Context, options Options, prefix string) (blob.Storage, error) {
	client, err := location.NewS3(ctx, options.Profile, options.Location...)
	if err != nil {
		return nil, err
	}

	return &s3Storage{s3: client, bucket: options.Profile.Location.Bucket, prefix: prefix}, nil
}

func (s *s3Storage) key(id blob.ID) *string { return aws.String(s.prefix + string(id)) }

func (s *s3Storage) DisplayName() string { return "S3 " + s.bucket + "/" + s.prefix }

func (s *s3Storage) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: storageType, Config: &storageRef{}}
}

func (s *s3Storage) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if err := checkPut(id, opts); err != nil {
		return err
	}

	sum := crc32.New(castagnoli)
	if _, err := data.WriteTo(sum); err != nil {
		return err
	}

	body := data.Reader()
	defer body.Close() // memory

	input := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: s.key(id), Body: body, ContentLength: aws.Int64(int64(data.Length())),
		ContentType: aws.String("application/x-kopia"), ChecksumCRC32C: aws.String(location.CRC32C(sum.Sum32())),
	}
	if opts.DoNotRecreate {
		input.IfNoneMatch = aws.String("*")
	}

	if _, err := s.s3.PutObject(ctx, input, s.s3.Upload()...); err != nil {
		return translate(err)
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

func (s *s3Storage) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	const attempts = 4 // the SDK retries requests, not bodies that break off

	for attempt := 1; ; attempt++ {
		output.Reset()

		err := s.get(ctx, id, offset, length, output)
		if err == nil || errors.Is(err, blob.ErrBlobNotFound) || errors.Is(err, blob.ErrInvalidRange) || ctx.Err() != nil || attempt == attempts {
			return err
		}

		var api smithy.APIError
		if errors.As(err, &api) { // the store has answered, and the SDK has tried again where that helps
			return err
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * 200 * time.Millisecond):
		}
	}
}

func (s *s3Storage) get(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	if length == 0 { // S3 has no empty ranges
		_, err := s.GetMetadata(ctx, id)

		return err
	}

	input := &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(id)}
	if length > 0 {
		input.Range = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	}

	result, err := s.s3.GetObject(ctx, input)
	if err != nil {
		return translate(err)
	}
	defer result.Body.Close() // read only

	if _, err := io.Copy(output, result.Body); err != nil {
		return fmt.Errorf("reading blob %q: %w", id, err)
	}

	return blob.EnsureLengthExactly(output.Length(), length)
}

func (s *s3Storage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	result, err := s.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(id)})
	if code := status(err); code == http.StatusNotFound {
		err = s.s3.Why(ctx, s.bucket, *s.key(id), nil) // a missing bucket looks like a missing object
	} else if code == http.StatusBadRequest || code == http.StatusForbidden {
		err = s.s3.Why(ctx, s.bucket, *s.key(id), err) // and an expired key like a wrong request
	}

	if err != nil {
		return blob.Metadata{}, translate(err)
	}

	if result == nil {
		return blob.Metadata{}, blob.ErrBlobNotFound // it appeared between the two requests: the next call sees it
	}

	return blob.Metadata{BlobID: id, Length: aws.ToInt64(result.ContentLength), Timestamp: aws.ToTime(result.LastModified)}, nil
}

func (s *s3Storage) DeleteBlob(ctx context.Context, id blob.ID) error {
	_, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(id)})
	if err = translate(err); errors.Is(err, blob.ErrBlobNotFound) {
		return nil
	}

	return err
}

func (s *s3Storage) ListBlobs(ctx context.Context, prefix blob.ID, visit func(blob.Metadata) error) error {
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.key(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return translate(err)
		}

		for _, o := range page.Contents {
			m := blob.Metadata{BlobID: blob.ID(aws.ToString(o.Key)[len(s.prefix):]), Length: aws.ToInt64(o.Size), Timestamp: aws.ToTime(o.LastModified)}
			if err := visit(m); err != nil {
				return err
			}
		}
	}

	return nil
}

func status(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}

	return 0
}

// translate gives errors that kopia decides on its names; the others keep theirs.
func translate(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}

	switch code := api.ErrorCode(); {
	case code == "NoSuchKey", code == "NotFound":
		return blob.ErrBlobNotFound
	case code == "InvalidRange", status(err) == http.StatusRequestedRangeNotSatisfiable:
		return blob.ErrInvalidRange
	case code == "PreconditionFailed", code == "ConditionalRequestConflict", status(err) == http.StatusPreconditionFailed:
		return blob.ErrBlobAlreadyExists
	case code == "NotImplemented", status(err) == http.StatusNotImplemented:
		return fmt.Errorf("%w (%w)", blob.ErrUnsupportedPutBlobOption, err)
	default:
		return err
	}
}
