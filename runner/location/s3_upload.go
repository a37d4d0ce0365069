package location

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// S3 allows 10 000 parts of at most 5 GiB per object and the length of a stream is unknown, so parts grow as the stream does. Parts
// of the first 31 GiB are equal, which stores that insist on equal parts accept. Together they hold 5 TiB, S3's largest object.
// A part is held in memory, so that it can be sent again: a stream of up to 31 GiB takes uploadBudget, one of up to 218 GiB
// 128 MiB, a longer one 1120 MiB.
const (
	maxParts      = 10000
	abortPatience = 30 * time.Second
	// uploadBudget bounds the memory of parts being read and in flight; a larger part goes alone.
	uploadBudget = 16 << 20
	// firstRead is what a stream gets before it is known to be longer.
	firstRead = 64 << 10
)

func partSize(number int32) int64 {
	switch {
	case number <= 4000:
		return 8 << 20
	case number <= 5500:
		return 128 << 20
	default:
		return 1120 << 20
	}
}

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

	up := &multipart{store: s, key: s.key(key), id: created.UploadId, slots: semaphore.NewWeighted(uploadBudget)}

	n, err := up.run(ctx, first, r)
	if err != nil {
		// Unfinished parts cost money and are invisible: remove them even though ctx may be over.
		abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortPatience)
		defer cancel()

		_, abortErr := s.s3.AbortMultipartUpload(abort, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: up.key, UploadId: up.id})

		return n, errors.Join(err, abortErr)
	}

	return n, nil
}

type multipart struct {
	store *s3Store
	key   *string
	id    *string
	slots *semaphore.Weighted

	mu    sync.Mutex
	parts []types.CompletedPart
	free  [][]byte // buffers of parts that are stored: garbage of this size would double the memory
}

func (m *multipart) run(ctx context.Context, first []byte, r io.Reader) (int64, error) {
	var total int64

	group, groupCtx := errgroup.WithContext(ctx)
	err := m.send(groupCtx, group, first, r, &total)
	err = errors.Join(err, group.Wait())

	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}

	if err != nil {
		return total, err
	}

	slices.SortFunc(m.parts, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	_, err = m.store.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &m.store.bucket, Key: m.key, UploadId: m.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: m.parts},
	})

	return total, err
}

func (m *multipart) send(ctx context.Context, group *errgroup.Group, part []byte, r io.Reader, total *int64) error {
	weight := partWeight(1)
	if err := m.slots.Acquire(ctx, weight); err != nil {
		return err
	}

	for number := int32(1); len(part) > 0; number++ {
		if number > maxParts {
			m.slots.Release(weight)

			return fmt.Errorf("the stream is longer than %d GiB, the largest object that this upload can make", *total>>30)
		}

		*total += int64(len(part))
		content, held := part, weight

		group.Go(func() error {
			defer m.slots.Release(held)
			defer m.reuse(content)

			return m.putPart(ctx, number, content)
		})

		// Before reading: what is being read counts too.
		weight = partWeight(number + 1)
		if err := m.slots.Acquire(ctx, weight); err != nil {
			return err
		}

		var err error
		if part, err = readPart(r, m.buffer(partSize(number+1))); err != nil {
			m.slots.Release(weight)

			return err
		}
	}

	m.slots.Release(weight)

	return nil
}

func partWeight(number int32) int64 { return min(partSize(number), uploadBudget) }

// buffer is one of size, used before if there is one.
func (m *multipart) buffer(size int64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()

	for i, b := range m.free {
		if int64(cap(b)) == size {
			m.free = slices.Delete(m.free, i, i+1)

			return b[:size]
		}
	}

	m.free = nil // parts have grown

	return make([]byte, size)
}

func (m *multipart) reuse(buffer []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.free = append(m.free, buffer)
}

func (m *multipart) putPart(ctx context.Context, number int32, content []byte) error {
	sum := CRC32C(crc32.Checksum(content, castagnoli))

	output, err := m.store.s3.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &m.store.bucket, Key: m.key, UploadId: m.id, PartNumber: aws.Int32(number),
		Body: bytes.NewReader(content), ContentLength: aws.Int64(int64(len(content))), ChecksumCRC32C: aws.String(sum),
	}, m.store.s3.Upload()...)
	if err != nil {
		return fmt.Errorf("uploading part %d: %w", number, err)
	}

	m.mu.Lock()
	defer m.mu.Unlock()

	// The checksum goes into the completion only if the store keeps checksums, which it shows by answering with it.
	m.parts = append(m.parts, types.CompletedPart{PartNumber: aws.Int32(number), ETag: output.ETag, ChecksumCRC32C: output.ChecksumCRC32C})

	return nil
}

// readPart fills the buffer as far as the stream goes; a short part is the last one. Not io.ReadFull: it says io.ErrUnexpectedEOF
// at the end of a stream, which is also what a source says that broke off, and half a stream must never become an object.
func readPart(r io.Reader, buffer []byte) ([]byte, error) {
	for n := 0; ; {
		if n == len(buffer) {
			return buffer, nil
		}

		read, err := r.Read(buffer[n:])
		n += read

		switch {
		case errors.Is(err, io.EOF):
			return buffer[:n], nil
		case err != nil:
			return buffer[:n], err
		}
	}
}

// readFirst is readPart with a buffer that grows up to size with the data, so that small streams stay small. It grows by large steps,
// for outgrown buffers stay resident for a while.
func readFirst(r io.Reader, size int64) ([]byte, error) {
	part := make([]byte, 0, firstRead)

	for {
		read, err := readPart(r, part[len(part):cap(part)])
		part = part[:len(part)+len(read)]

		if err != nil || len(part) < cap(part) || int64(cap(part)) >= size {
			return part, err
		}

		part = append(make([]byte, 0, min(size, 16*int64(cap(part)))), part...)
	}
}
