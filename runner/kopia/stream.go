package kopia

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"

	kopiafs "github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// SnapshotStream backs up a stream of any length as a file: name is its path below the snapshot's root; empty, and it is the root. A
// stream that ends with an error makes no snapshot.
func (r *Repository) SnapshotStream(ctx context.Context, b Backup, name string, in io.Reader) (Snapshot, error) {
	t := &tarTree{}
	in = t.other.reader(in)

	return r.snapshotTree(ctx, b, t, "kando", func(ctx context.Context) error {
		key := escape(path.Clean("/" + cmp.Or(name, path.Base(b.Source.Path)))[1:])

		id, size, err := t.write(ctx, name, compressor, in)
		if err != nil {
			return err
		}

		t.meter.files.Add(1)

		at := t.root
		if name != "" {
			at = t.node(key)
		}

		at.entry = &snapshot.DirEntry{
			Name: path.Base(key), Type: snapshot.EntryTypeFile, Permissions: 0o777, ObjectID: id, FileSize: size, // upstream's mode
			ModTime: kopiafs.UTCTimestampFromTime(r.rep.Time()),
		}

		return nil
	})
}

// Copy writes one file of a snapshot to out: the one at sub, a path below the root, or the root itself, whatever sub is, if that is a
// file. ErrNoFile comes before the first byte.
func (r *Repository) Copy(ctx context.Context, id, sub string, out io.Writer) error {
	var other otherEnd

	_, err := watch(ctx, r, other.pulse, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.copy(ctx, id, sub, other.writer(out))
	})

	return r.fail("reading from", err)
}

func (r *Repository) copy(ctx context.Context, id, sub string, out io.Writer) error {
	m, err := r.manifest(ctx, id)
	if err != nil {
		return err
	}

	root, err := snapshotfs.SnapshotRoot(r.rep, m)
	if err != nil {
		return err
	}

	if _, isDir := root.(kopiafs.Directory); isDir {
		root, _, err = r.descend(ctx, root, m.RootEntry.ModTime.ToTime(), escape(strings.Trim(path.Clean("/"+sub), "/")))
		if errors.Is(err, ErrNotFound) {
			return fmt.Errorf("%w: %w", ErrNoFile, err)
		}

		if err != nil {
			return err
		}
	}

	file, ok := root.(kopiafs.File)
	if !ok {
		return fmt.Errorf("%w: %q is a directory", ErrNoFile, cmp.Or(sub, "/"))
	}

	in, err := file.Open(ctx)
	if err != nil {
		return err
	}
	defer in.Close() // read only

	_, err = io.Copy(out, in)

	return err
}

// otherEnd is who gives a stream, or takes one. While he is waited for, a database that has nothing to say for an hour, the server is
// not to blame that nothing moves.
type otherEnd struct {
	count   atomic.Int64
	waiting atomic.Bool
}

// pulse changes with everything that went through, and all the time while the other end is waited for.
func (o *otherEnd) pulse() int64 {
	if o.waiting.Load() {
		return o.count.Add(1)
	}

	return o.count.Load()
}

func (o *otherEnd) wait(do func([]byte) (int, error), p []byte) (int, error) {
	o.waiting.Store(true)
	defer o.waiting.Store(false)

	n, err := do(p)
	o.count.Add(int64(n))

	return n, err
}

func (o *otherEnd) reader(in io.Reader) io.Reader { return reading{o, in} }

func (o *otherEnd) writer(out io.Writer) io.Writer { return writing{o, out} }

type reading struct {
	other *otherEnd
	in    io.Reader
}

func (r reading) Read(p []byte) (int, error) { return r.other.wait(r.in.Read, p) }

type writing struct {
	other *otherEnd
	out   io.Writer
}

func (w writing) Write(p []byte) (int, error) { return w.other.wait(w.out.Write, p) }
