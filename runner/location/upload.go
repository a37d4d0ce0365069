package location

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Stores take a large object in parts, at most 10 000 of 5 GiB (S3; Azure takes 50 000 of 4000 MiB), and the length of a stream is
// unknown, so parts grow as the stream does. Parts of the first 31 GiB are equal, which stores that insist on equal parts accept.
// Together they hold 5 TiB, S3's largest object. A part is held in memory, so that it can be sent again: a stream of up to 31 GiB
// takes uploadBudget, one of up to 218 GiB 128 MiB, a longer one 1120 MiB.
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

// parts are those of one object, which is there when they are completed, and not before.
type parts interface {
	// put stores a part; numbers begin with 1. It is called for several at once.
	put(ctx context.Context, number int32, content []byte) error
	complete(ctx context.Context) error
	abort(ctx context.Context) error
}

// uploadParts stores a stream whose first part is read already. After an error no object is there, or the one from before.
func uploadParts(ctx context.Context, p parts, first []byte, r io.Reader) (int64, error) {
	m := &multipart{parts: p, slots: semaphore.NewWeighted(uploadBudget)}

	n, err := m.run(ctx, first, r)
	if err != nil {
		// Unfinished parts cost money and are invisible: remove them even though ctx may be over.
		abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortPatience)
		defer cancel()

		return n, errors.Join(err, p.abort(abort))
	}

	return n, nil
}

type multipart struct {
	parts parts
	slots *semaphore.Weighted

	mu   sync.Mutex
	free [][]byte // buffers of parts that are stored: garbage of this size would double the memory
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

	return total, m.parts.complete(ctx)
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

			return m.parts.put(ctx, number, content)
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
