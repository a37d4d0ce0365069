package location

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETags
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// upload puts small streams in one request and larger ones in parts.
func (s *s3Store) upload(ctx context.Context, key string, r io.Reader) (int64, error) {
	first, err := readFirst(r, partSize(1))
	if err != nil {
		return int64(len(first)), err
	}

	if int64(len(first)) < partSize(1) {
		return int64(len(first)), s.put(ctx, key, first, nil)
	}

	created, err := s.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: s.key(key), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
	})
	if err != nil {
		return 0, err
	}

	return uploadParts(ctx, &s3Parts{store: s, key: s.key(key), id: created.UploadId}, first, r)
}

// s3Parts are the parts of one multipart upload.
type s3Parts struct {
	store *s3Store
	key   *string
	id    *string

	mu   sync.Mutex
	done []types.CompletedPart
}

func (p *s3Parts) put(ctx context.Context, number int32, content []byte) error {
	sum := CRC32C(crc32.Checksum(content, castagnoli))

	output, err := p.store.s3.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &p.store.bucket, Key: p.key, UploadId: p.id, PartNumber: aws.Int32(number),
		Body: bytes.NewReader(content), ContentLength: aws.Int64(int64(len(content))), ChecksumCRC32C: aws.String(sum),
	}, p.store.s3.Upload()...)
	if err != nil {
		return fmt.Errorf("uploading part %d: %w", number, err)
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	// The checksum goes into the completion only if the store keeps checksums, which it shows by answering with it.
	p.done = append(p.done, types.CompletedPart{PartNumber: aws.Int32(number), ETag: output.ETag, ChecksumCRC32C: output.ChecksumCRC32C})

	return nil
}

func (p *s3Parts) complete(ctx context.Context) error {
	slices.SortFunc(p.done, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })

	_, err := p.store.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &p.store.bucket, Key: p.key, UploadId: p.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: p.done},
	}, p.store.s3.complete...)
	if err != nil && p.completed(ctx) {
		return nil
	}

	return err
}

// completed tells whether the object is there although its completion failed: when the answer is lost, the repeated request finds
// no such upload any more. It is known by its ETag, which S3 makes of those of the parts.
func (p *s3Parts) completed(ctx context.Context) bool {
	var sums []byte

	for _, part := range p.done {
		sum, err := hex.DecodeString(strings.Trim(aws.ToString(part.ETag), `"`))
		if err != nil || len(sum) != md5.Size {
			return false // not a checksum, as with keys of KMS
		}

		sums = append(sums, sum...)
	}

	output, err := p.store.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.store.bucket, Key: p.key})

	return err == nil && strings.Trim(aws.ToString(output.ETag), `"`) == fmt.Sprintf("%x-%d", md5.Sum(sums), len(p.done))
}

func (p *s3Parts) abort(ctx context.Context) error {
	_, err := p.store.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &p.store.bucket, Key: p.key, UploadId: p.id})

	return err
}
