package location

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// fileStore keeps objects as files below a directory, usually a mounted PersistentVolumeClaim. Keys are paths; what a key cannot
// be is a path of which a parent is an object, or a segment of more than 255 bytes. Writes are atomic (rename) and durable (fsync).
type fileStore struct {
	dir    string // for messages
	root   *os.Root
	prefix string
}

// tempPrefix marks files that are being written; they are no objects. A crash may leave one behind.
const tempPrefix = ".kanister-tmp-"

// Modes on a volume. Workloads with users of their own and the runner share it, and not every volume gives them a common group:
// local-path knows no fsGroup. What is secret is encrypted by kopia; who may mount the claim may read and delete the rest.
const (
	fileMode      = 0o666
	directoryMode = 0o777
)

func openFile(dir, prefix string) (Store, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Reason: NoBucket, Hint: "the claim of the profile must be mounted there", Err: fmt.Errorf("the directory %q does not exist", dir)}
	}

	if err != nil {
		return nil, err
	}

	return &fileStore{dir: dir, root: root, prefix: prefix}, nil
}

func (f *fileStore) URL(key string) string { return "file://" + path.Join(f.dir, f.prefix, Clean(key)) }

func (f *fileStore) Close() error { return f.root.Close() }

func (f *fileStore) path(key string) string {
	if p := Join(f.prefix, key); p != "" {
		return p
	}

	return "."
}

func (f *fileStore) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	name := f.path(key)

	temp, n, err := f.write(ctx, path.Dir(name), r)
	if err == nil {
		err = f.root.Rename(temp, name)
		if err != nil {
			_ = f.root.Remove(temp)
		}
	}

	if err == nil {
		err = f.syncDir(path.Dir(name))
	}

	return n, wrap("putting object", f.URL(key), describe(err))
}

// PutNew is atomic through a hard link; file systems without those get an exclusive create.
func (f *fileStore) PutNew(ctx context.Context, key string, content []byte) error {
	name := f.path(key)

	temp, _, err := f.write(ctx, path.Dir(name), strings.NewReader(string(content)))
	if err != nil {
		return wrap("putting object", f.URL(key), describe(err))
	}

	defer func() { _ = f.root.Remove(temp) }() // a leftover is no object

	err = f.root.Link(temp, name)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		err = f.create(name, content)
	}

	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w (%w)", ErrExists, err)
	}

	if err == nil {
		err = f.syncDir(path.Dir(name))
	}

	return wrap("putting object", f.URL(key), describe(err))
}

func (f *fileStore) create(name string, content []byte) error {
	file, err := f.open(name)
	if err != nil {
		return err
	}

	_, err = file.Write(content)

	return errors.Join(err, file.Sync(), file.Close())
}

// open makes a new file with its mode whatever the umask.
func (f *fileStore) open(name string) (*os.File, error) {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}

	if err := file.Chmod(fileMode); err != nil {
		return nil, errors.Join(err, file.Close(), f.root.Remove(name))
	}

	return file, nil
}

// mkdirAll makes the missing directories on the way to dir with their mode whatever the umask.
func (f *fileStore) mkdirAll(dir string) error {
	var sofar string

	for segment := range strings.SplitSeq(dir, "/") {
		sofar = path.Join(sofar, segment)

		err := f.root.Mkdir(sofar, directoryMode)
		if err == nil {
			err = f.root.Chmod(sofar, directoryMode)
		}

		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}

	return nil
}

func (f *fileStore) write(ctx context.Context, dir string, r io.Reader) (temp string, n int64, err error) {
	var file *os.File

	temp = path.Join(dir, tempPrefix+rand.Text())

	// Between the two a Delete may have removed the directory, because it was empty.
	for range 100 {
		if err = f.mkdirAll(dir); err == nil {
			file, err = f.open(temp)
		}

		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}

	if err != nil {
		return "", 0, err
	}

	n, err = io.Copy(file, &contextReader{ctx: ctx, r: r})
	if err == nil {
		err = file.Sync()
	}

	if err = errors.Join(err, file.Close()); err != nil {
		_ = f.root.Remove(temp)
	}

	return temp, n, err
}

func (f *fileStore) syncDir(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() // opened for reading

	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}

	return nil
}

func (f *fileStore) Get(_ context.Context, key string) (io.ReadCloser, error) {
	file, err := f.root.Open(f.path(key))
	if err == nil {
		if info, statErr := file.Stat(); statErr != nil || !info.Mode().IsRegular() {
			_ = file.Close()
			err = errors.Join(statErr, ErrNotFound)
		}
	}

	if err != nil {
		return nil, wrap("getting object", f.URL(key), describe(err))
	}

	return file, nil
}

func (f *fileStore) Stat(_ context.Context, key string) (Object, error) {
	info, err := f.root.Lstat(f.path(key))
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFound
	}

	if err != nil {
		return Object{}, wrap("looking up object", f.URL(key), describe(err))
	}

	return Object{Key: Clean(key), Size: info.Size(), Modified: info.ModTime()}, nil
}

func (f *fileStore) List(ctx context.Context, prefix string, visit func(Object) error) error {
	top := f.path(path.Dir(prefix + "x")) // the deepest directory that holds every match

	var stop error // what visit returned; it must not be wrapped

	err := fs.WalkDir(f.root.FS(), top, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) { // nothing there, or gone since
				return nil
			}

			return err
		}

		key := trimDir(p, f.prefix)
		if !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), tempPrefix) || !strings.HasPrefix(key, prefix) {
			return ctx.Err()
		}

		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}

		if err != nil {
			return err
		}

		stop = visit(Object{Key: key, Size: info.Size(), Modified: info.ModTime()})

		return stop
	})
	if stop != nil {
		return stop
	}

	return wrap("listing", f.URL(prefix), describe(err))
}

// Delete also removes the directories that it leaves empty, because object stores have none.
func (f *fileStore) Delete(_ context.Context, key string) error {
	name := f.path(key)

	info, err := f.root.Lstat(name)
	if err == nil && info.IsDir() { // a directory is no object
		return nil
	}

	if err == nil {
		err = f.root.Remove(name)
	}

	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}

	for dir := path.Dir(name); err == nil && dir != "." && dir != f.prefix; dir = path.Dir(dir) {
		if f.root.Remove(dir) != nil {
			break
		}
	}

	return wrap("deleting object", f.URL(key), describe(err))
}

// describe replaces what a file system says about keys that it cannot hold.
func describe(err error) error {
	switch {
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("a segment of the key is longer than the volume's file system allows: %w", err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("on a volume an object cannot lie below another object: %w", err)
	default:
		return err
	}
}

type contextReader struct {
	ctx context.Context // a reader's methods take none
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}

	return c.r.Read(p)
}
