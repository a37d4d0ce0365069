package kopia

import (
	"container/list"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/kopia/kopia/repo/blob"
)

// packs is a storage for reading: small pieces of a pack (kopia stores many small files in one object of about 20 MiB) are read from
// a copy on disk once some were asked for, so that twenty thousand small files take a few dozen requests. kopia's own cache of
// contents does this too, but signs, stores and verifies every large chunk on the way, which costs more CPU time than the rest of a
// restore. Copies hold what is in the store: encrypted.
type packs struct {
	blob.Storage

	dir   string
	limit int64 // bytes on disk

	mu    sync.Mutex
	known map[blob.ID]*pack
	order *list.List // of *pack, the latest used first
	size  int64
	next  int
}

type pack struct {
	id     blob.ID
	asked  int
	place  *list.Element
	once   *sync.Once
	err    error
	file   *os.File
	length int64
	users  int
	gone   bool // no longer in the cache: the last user closes it
}

const (
	// smallPiece is one that costs more in round trips than in bytes.
	smallPiece = 512 << 10
	// patience is how many small pieces of a pack are fetched one by one.
	patience = 3
)

func newPacks(storage blob.Storage, dir string, limit int64) *packs {
	return &packs{Storage: storage, dir: dir, limit: limit, known: map[blob.ID]*pack{}, order: list.New()}
}

// GetBlob implements blob.Storage.
func (p *packs) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	if length <= 0 || length > smallPiece || id == "" || id[0] != 'p' && id[0] != 'q' {
		return p.Storage.GetBlob(ctx, id, offset, length, output)
	}

	c := p.use(id)
	if c == nil {
		return p.Storage.GetBlob(ctx, id, offset, length, output)
	}
	defer p.release(c)

	c.once.Do(func() { c.err = p.fetch(ctx, c) })

	if c.err != nil { // a full disk is no reason to fail
		return p.Storage.GetBlob(ctx, id, offset, length, output)
	}

	output.Reset()

	_, err := io.Copy(output, io.NewSectionReader(c.file, offset, length))
	if err != nil {
		return err
	}

	return blob.EnsureLengthExactly(output.Length(), length)
}

// use gives the copy of a pack, to be released; nil if too few pieces were asked for.
func (p *packs) use(id blob.ID) *pack {
	p.mu.Lock()
	defer p.mu.Unlock()

	c := p.known[id]
	if c == nil {
		c = &pack{id: id, once: &sync.Once{}}
		p.known[id] = c
	}

	if c.asked++; c.asked <= patience {
		return nil
	}

	if c.place == nil {
		c.place = p.order.PushFront(c)
	} else {
		p.order.MoveToFront(c.place)
	}

	c.users++

	return c
}

func (p *packs) release(c *pack) {
	p.mu.Lock()
	defer p.mu.Unlock()

	c.users--
	if c.gone && c.users == 0 && c.file != nil {
		_ = c.file.Close()
	}
}

func (p *packs) fetch(ctx context.Context, c *pack) error {
	var whole buffer
	if err := p.Storage.GetBlob(ctx, c.id, 0, -1, &whole); err != nil {
		return err
	}

	p.mu.Lock()
	p.next++
	name := filepath.Join(p.dir, "pack-"+strconv.Itoa(p.next))
	p.mu.Unlock()

	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}

	_ = os.Remove(name) // it lives as long as it is open

	if _, err := file.Write(whole.Bytes()); err != nil {
		return errors.Join(err, file.Close())
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	c.file, c.length = file, int64(whole.Len())
	p.size += c.length
	p.shrink(c)

	return nil
}

// shrink drops the copies that were not used for longest, but not keep.
func (p *packs) shrink(keep *pack) {
	for last := p.order.Back(); last != nil && p.size > p.limit; {
		c := last.Value.(*pack)
		last = last.Prev()

		if c == keep || c.file == nil {
			continue
		}

		p.order.Remove(c.place)
		delete(p.known, c.id)

		p.size -= c.length
		c.gone = true

		if c.users == 0 {
			_ = c.file.Close()
		}
	}
}

// Close implements blob.Storage.
func (p *packs) Close(ctx context.Context) error {
	p.mu.Lock()

	var err error

	for _, c := range p.known {
		if c.file != nil {
			err = errors.Join(err, c.file.Close())
		}
	}

	p.known = map[blob.ID]*pack{}
	p.mu.Unlock()

	return errors.Join(err, p.Storage.Close(ctx))
}
