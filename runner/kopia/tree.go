package kopia

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	kopiafs "github.com/kopia/kopia/fs"
	"golang.org/x/sys/unix"
)

// tree is the directory being backed up, as kopia's uploader walks it. Ours, because kopia's own takes some file names for
// placeholders, and cannot tell files that change while they are read from others, nor failing sources from failing stores.
type tree struct {
	root  string
	audit *audit
}

// sourceError is a failure to read the source: it costs one file. Every other error of an upload ends it.
type sourceError struct{ err error }

func (s *sourceError) Error() string { return s.err.Error() }
func (s *sourceError) Unwrap() error { return s.err }

func asSource(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}

	return &sourceError{err}
}

// lostAndFound is ext4's directory for fsck, readable by root only.
const lostAndFound = "lost+found"

// start opens the root. If that is a file, the backup is of its directory with nothing else in it.
func (t *tree) start(source *Source) (kopiafs.Directory, error) {
	info, err := os.Stat(t.root) // the root itself may be reached through a link
	if err != nil {
		return nil, err
	}

	if info.IsDir() {
		if t.root, err = filepath.EvalSymlinks(t.root); err != nil {
			return nil, err
		}

		return t.directory()
	}

	name := filepath.Base(t.root)
	t.root = filepath.Dir(t.root)
	source.Path = path.Dir(source.Path)

	dir, err := t.directory()

	return only{dir, name}, err
}

func (t *tree) directory() (directory, error) {
	e, err := t.open(".")
	if err != nil {
		return directory{}, err
	}

	dir, ok := e.(directory)
	if !ok {
		return dir, syscall.ENOTDIR
	}

	handle, err := os.Open(t.root) // an empty backup of an unreadable directory helps nobody
	if err != nil {
		return dir, err
	}

	return dir, handle.Close()
}

// only is a directory of which a backup wants one entry.
type only struct {
	directory

	name string
}

func (o only) Iterate(ctx context.Context) (kopiafs.DirectoryIterator, error) {
	child, err := o.Child(ctx, o.name)
	if err != nil {
		return nil, err
	}

	return kopiafs.StaticIterator([]kopiafs.Entry{child}, nil), nil
}

// entry is what lstat said about a path.
type entry struct {
	tree *tree
	rel  string // slash-separated, "." is the root
	info fs.FileInfo
	stat *syscall.Stat_t
}

func (e *entry) full() string       { return filepath.Join(e.tree.root, e.rel) }
func (e *entry) Name() string       { return path.Base(e.key()) }
func (e *entry) key() string        { return escape(e.rel) }
func (e *entry) Size() int64        { return e.info.Size() }
func (e *entry) Mode() fs.FileMode  { return e.info.Mode() }
func (e *entry) ModTime() time.Time { return e.info.ModTime() }
func (e *entry) IsDir() bool        { return e.info.IsDir() }
func (e *entry) Sys() any           { return nil }
func (e *entry) Close()             {}
func (e *entry) Device() kopiafs.DeviceInfo {
	return kopiafs.DeviceInfo{Dev: e.stat.Dev, Rdev: e.stat.Rdev} // the types differ between architectures
}
func (e *entry) Owner() kopiafs.OwnerInfo {
	return kopiafs.OwnerInfo{UserID: e.stat.Uid, GroupID: e.stat.Gid}
}
func (e *entry) LocalFilesystemPath() string { return e.full() }

type directory struct{ *entry }

func (d directory) Size() int64                      { return 0 }
func (d directory) SupportsMultipleIterations() bool { return true }

type file struct{ *entry }

type symlink struct{ *entry }

type broken struct {
	*entry

	err error
}

func (b broken) ErrorInfo() error { return b.err }

// open makes an entry of what lies at rel.
func (t *tree) open(rel string) (kopiafs.Entry, error) {
	info, err := os.Lstat(filepath.Join(t.root, rel))
	if err != nil {
		return nil, err
	}

	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("the file system says nothing about owners")
	}

	e := &entry{tree: t, rel: rel, info: info, stat: stat}

	switch info.Mode().Type() {
	case fs.ModeDir:
		t.audit.attributes(e)

		return directory{e}, nil
	case fs.ModeSymlink:
		t.audit.attributes(e)

		return symlink{e}, nil
	case 0:
		t.audit.attributes(e)

		return file{e}, nil
	default:
		t.audit.special(rel, info.Mode())

		return broken{e, kopiafs.ErrUnknown}, nil
	}
}

func (d directory) Child(_ context.Context, name string) (kopiafs.Entry, error) {
	e, err := d.tree.open(path.Join(d.rel, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, kopiafs.ErrEntryNotFound
	}

	return e, asSource(err)
}

func (d directory) Iterate(context.Context) (kopiafs.DirectoryIterator, error) {
	handle, err := os.Open(d.full())
	if err != nil {
		return nil, asSource(err)
	}

	return &iterator{dir: d, handle: handle}, nil
}

type iterator struct {
	dir    directory
	handle *os.File
	names  []string
}

func (i *iterator) Close() { _ = i.handle.Close() }

func (i *iterator) Next(context.Context) (kopiafs.Entry, error) {
	for {
		if len(i.names) == 0 {
			names, err := i.handle.Readdirnames(256)
			if errors.Is(err, io.EOF) {
				return nil, nil
			}

			if err != nil {
				return nil, asSource(err)
			}

			i.names = names
		}

		rel := path.Join(i.dir.rel, i.names[0])
		i.names = i.names[1:]

		if rel == lostAndFound { // the file system's own, at the root of a volume; it comes and goes with the volume
			continue
		}

		e, err := i.dir.tree.open(rel)
		if errors.Is(err, fs.ErrNotExist) {
			i.dir.tree.audit.changed(rel, "it was deleted")

			continue
		}

		if err != nil {
			// One name that cannot be looked at must not cost the directory.
			i.dir.tree.audit.unreadable(rel, err)

			continue
		}

		return e, nil
	}
}

func (s symlink) Readlink(context.Context) (string, error) {
	target, err := os.Readlink(s.full())

	return target, asSource(err)
}

func (s symlink) Resolve(context.Context) (kopiafs.Entry, error) {
	return nil, kopiafs.ErrEntryNotFound
}

func (f file) Open(context.Context) (kopiafs.Reader, error) {
	// O_NOFOLLOW and O_NONBLOCK: the file may have become a link or a pipe since it was looked at.
	handle, err := os.OpenFile(f.full(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, asSource(err)
	}

	if info, err := handle.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = handle.Close()

		return nil, asSource(errors.Join(err, errors.New("it is no regular file any more")))
	}

	_ = unix.Fadvise(int(handle.Fd()), 0, 0, unix.FADV_SEQUENTIAL)

	return &reader{file: f, File: handle}, nil
}

// reader tells the audit when the file is not the one any more that the walk saw.
type reader struct {
	*os.File

	file file
	once sync.Once
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.File.Read(p)

	return n, asSource(err)
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	n, err := r.File.Seek(offset, whence)

	return n, asSource(err)
}

func (r *reader) Entry() (kopiafs.Entry, error) { return r.file, nil }

func (r *reader) Close() error {
	r.once.Do(func() {
		after, err := r.Stat()
		if err == nil && (after.Size() != r.file.Size() || !after.ModTime().Equal(r.file.ModTime())) {
			r.file.tree.audit.changed(r.file.rel, "it was written to")
		}
	})

	return r.File.Close()
}
