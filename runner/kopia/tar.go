package kopia

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	kopiafs "github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/compression"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// SnapshotTar backs up a tar stream as if it were a directory: b.Dir is the name in the archive of what is to be the snapshot's root.
// Equal data is found again in earlier snapshots, but all of it is read. Memory grows with the number of files.
func (r *Repository) SnapshotTar(ctx context.Context, b Backup, in io.Reader) (Snapshot, error) {
	t := &tarTree{prefix: path.Clean(b.Dir)}
	archive := tar.NewReader(t.other.reader(in))

	return r.snapshotTree(ctx, b, t, "kubectl kanister, by tar", func(ctx context.Context) error { return t.read(ctx, archive) })
}

// snapshotTree makes a snapshot of the tree that fill grows.
func (r *Repository) snapshotTree(ctx context.Context, b Backup, t *tarTree, description string, fill func(context.Context) error) (Snapshot, error) {
	meter := newMeter(b.Progress, b.Interval)
	t.meter, t.root, t.audit = meter, &tarNode{}, &audit{}

	pulse := func() int64 { return meter.pulse() + t.other.pulse() }

	made, err := watch(ctx, r, pulse, func(ctx context.Context) (*snapshot.Manifest, error) {
		return r.writeTree(ctx, b, t, description, fill)
	})

	if err == nil {
		err = r.saved(ctx)
	}

	meter.finish()

	if err != nil {
		return Snapshot{}, r.fail("backing up to", end(ctx, err))
	}

	s := describe(made)
	s.BytesNew, s.Special = meter.uploaded.Load(), t.audit.specials

	return s, nil
}

// writeTree is the session in which the snapshot of a tree is made.
func (r *Repository) writeTree(ctx context.Context, b Backup, t *tarTree, description string, fill func(context.Context) error) (*snapshot.Manifest, error) {
	var made *snapshot.Manifest

	started := kopiafs.UTCTimestampFromTime(r.rep.Time())
	options := repo.WriteSessionOptions{Purpose: "backup", OnUpload: t.meter.UploadedBytes}

	err := repo.WriteSession(ctx, r.rep, options, func(ctx context.Context, w repo.RepositoryWriter) error {
		t.w = w
		if err := fill(ctx); err != nil {
			return err
		}

		root, err := t.finish(ctx, t.root, ".")
		if err != nil {
			return err
		}

		if t.single {
			b.Source.Path = path.Dir(b.Source.Path)
		}

		made = &snapshot.Manifest{
			Source: r.source(b.Source), StartTime: started, EndTime: kopiafs.UTCTimestampFromTime(r.rep.Time()), RootEntry: root,
			Tags: tags(b.Tags), Description: description, Pins: []string{"kubectl-kanister"},
		}
		made.ID, err = snapshot.SaveSnapshot(ctx, w, made)

		return errors.Join(err, saveAttributes(ctx, w, made, &t.audit.extra))
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, end(ctx, err)
	}

	return made, nil
}

// tarTree collects what a tar stream holds: its entries come in any order, kopia writes directories from the leaves up.
type tarTree struct {
	prefix string
	w      repo.RepositoryWriter
	meter  *meter
	root   *tarNode
	single bool // the archive's root is a file
	audit  *audit
	other  otherEnd
}

type tarNode struct {
	entry    *snapshot.DirEntry // nil for a directory that the archive only implies
	children map[string]*tarNode
}

func (t *tarTree) read(ctx context.Context, in *tar.Reader) error {
	found := false

	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			if !found {
				return fmt.Errorf("the archive holds no %q", t.prefix)
			}

			return nil
		}

		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}

		if ctx.Err() != nil {
			return context.Cause(ctx)
		}

		rel, ok := t.rel(header.Name)
		if !ok {
			continue
		}

		found = true

		if err := t.add(ctx, rel, header, in); err != nil {
			return err
		}
	}
}

// rel is the path below the root; a single file is the only one in it.
func (t *tarTree) rel(name string) (string, bool) {
	name = path.Clean("/" + name)[1:]

	switch {
	case name == t.prefix, name == "":
		return ".", true
	case t.prefix == "/" || t.prefix == ".":
		return name, true
	default:
		return strings.CutPrefix(name, t.prefix+"/")
	}
}

func (t *tarTree) add(ctx context.Context, rel string, header *tar.Header, in io.Reader) error {
	info := header.FileInfo()
	if rel == "." && !info.IsDir() {
		rel, t.single = path.Base(t.prefix), true
	}

	key := escape(rel)
	if key != rel && t.audit.extra.room(rel, nil) {
		if t.audit.extra.Names == nil {
			t.audit.extra.Names = map[string][]byte{}
		}

		t.audit.extra.Names[key] = []byte(path.Base(rel))
	}

	e := &snapshot.DirEntry{
		Name: path.Base(key), Permissions: snapshot.Permissions(info.Mode() & kopiafs.ModBits),
		ModTime: kopiafs.UTCTimestampFromTime(header.ModTime), UserID: uint32(header.Uid), GroupID: uint32(header.Gid), // uids are 32 bits
	}

	var err error

	switch header.Typeflag {
	case tar.TypeDir:
		e.Type = snapshot.EntryTypeDirectory
	case tar.TypeReg, tar.TypeGNUSparse:
		e.Type = snapshot.EntryTypeFile
		e.ObjectID, e.FileSize, err = t.write(ctx, rel, compressor, in)
	case tar.TypeSymlink:
		e.Type = snapshot.EntryTypeSymlink
		e.ObjectID, e.FileSize, err = t.write(ctx, rel, "", strings.NewReader(header.Linkname))
	case tar.TypeLink:
		if err = t.link(e, key, header.Linkname); err != nil {
			return err
		}
	default:
		t.audit.special(rel, info.Mode())

		return nil
	}

	if err != nil {
		return err
	}

	if e.Type == snapshot.EntryTypeFile {
		t.meter.files.Add(1)
	}

	t.node(key).entry = e

	return nil
}

// link makes a further name of a file that the archive holds already.
func (t *tarTree) link(e *snapshot.DirEntry, key, to string) error {
	first, ok := t.rel(to)
	if !ok {
		return fmt.Errorf("%q is a hard link to %q, which lies outside of what is backed up", key, to)
	}

	first = escape(first)

	node := t.node(first)
	if node.entry == nil || node.entry.Type != snapshot.EntryTypeFile {
		return fmt.Errorf("%q is a hard link to %q, which the archive does not hold", key, to)
	}

	e.Type, e.ObjectID, e.FileSize = node.entry.Type, node.entry.ObjectID, node.entry.FileSize

	extra := &t.audit.extra
	if at := slices.IndexFunc(extra.Links, func(names []string) bool { return names[0] == first }); at >= 0 {
		extra.Links[at] = append(extra.Links[at], key)
	} else {
		extra.Links = append(extra.Links, []string{first, key})
	}

	return nil
}

func (t *tarTree) node(key string) *tarNode {
	at := t.root
	if key == "." {
		return at
	}

	for segment := range strings.SplitSeq(key, "/") {
		if at.children == nil {
			at.children = map[string]*tarNode{}
		}

		if at.children[segment] == nil {
			at.children[segment] = &tarNode{}
		}

		at = at.children[segment]
	}

	return at
}

func (t *tarTree) write(ctx context.Context, rel string, algorithm compression.Name, in io.Reader) (object.ID, int64, error) {
	w := t.w.NewObjectWriter(ctx, object.WriterOptions{Description: "STREAM:" + rel, Compressor: algorithm, AsyncWrites: 2})
	defer w.Close() // Result tells

	n, err := io.Copy(io.MultiWriter(w, counting{t.meter}), in)
	if err != nil {
		return object.EmptyID, n, fmt.Errorf("reading %q: %w", rel, err)
	}

	id, err := w.Result()

	return id, n, err
}

type counting struct{ meter *meter }

func (c counting) Write(p []byte) (int, error) {
	c.meter.done.Add(int64(len(p)))

	return len(p), nil
}

// finish writes a directory and everything below it.
func (t *tarTree) finish(ctx context.Context, n *tarNode, key string) (*snapshot.DirEntry, error) {
	e := n.entry
	if e == nil {
		e = &snapshot.DirEntry{Name: path.Base(key), Permissions: 0o755, ModTime: kopiafs.UTCTimestampFromTime(t.w.Time())}
	}

	if e.Type == snapshot.EntryTypeFile || e.Type == snapshot.EntryTypeSymlink {
		return e, nil
	}

	e.Type = snapshot.EntryTypeDirectory

	var builder snapshotfs.DirManifestBuilder

	for name, child := range n.children {
		entry, err := t.finish(ctx, child, path.Join(key, name))
		if err != nil {
			return nil, err
		}

		builder.AddEntry(entry)
	}

	manifest := builder.Build(e.ModTime, "")

	id, err := snapshotfs.WriteDirManifest(ctx, t.w, key, manifest, "")
	if err != nil {
		return nil, err
	}

	e.ObjectID, e.DirSummary = id, manifest.Summary

	return e, nil
}
