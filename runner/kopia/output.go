package kopia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/restore"
	"golang.org/x/sys/unix"
)

// sparseFrom is the size from which holes in files are kept.
const sparseFrom = 64 << 10

// output writes a snapshot into a directory. Ours, because kopia's own writes through links, leaves what is in the way, and says
// nothing about owners that it could not set.
type output struct {
	target string
	sub    string // the path inside the snapshot that target stands for
	extra  *attributes
	sparse map[string]bool
	later  map[string]string // name of a hard link → the name that holds the content
	parent map[string]bool   // directories that hold such names
	req    Restore

	mu      sync.Mutex
	sums    Restored
	pending []linked             // names of hard links that the snapshot holds
	times   map[string]time.Time // of directories, as long as they are open; of those in parent until the end
	// dirTimes gives the times of a directory's subdirectories.
	dirTimes func(context.Context, fs.Directory) (map[string]time.Time, error)
}

type linked struct {
	rel  string
	file fs.File
}

var _ restore.Output = (*output)(nil)

func newOutput(target, sub string, extra *attributes, req Restore) *output {
	o := &output{target: target, sub: sub, extra: extra, req: req, sparse: map[string]bool{}, later: map[string]string{}, parent: map[string]bool{}, times: map[string]time.Time{}}

	for _, rel := range extra.Sparse {
		o.sparse[rel] = true
	}

	for _, names := range extra.Links {
		names = slices.DeleteFunc(slices.Clone(names), func(rel string) bool { return !o.within(rel) })
		for _, name := range names[min(1, len(names)):] {
			o.later[name] = names[0]
			o.parent[path.Dir(name)] = true
		}
	}

	return o
}

func (o *output) within(rel string) bool {
	return o.sub == "" || rel == o.sub || strings.HasPrefix(rel, o.sub+"/")
}

// path of an entry that kopia names relative to what is restored.
func (o *output) path(rel string) string {
	return filepath.Join(o.target, o.extra.unescape(o.sub, rel))
}

// inSnapshot is the path that attributes know it by.
func (o *output) inSnapshot(rel string) string {
	if p := path.Join(o.sub, rel); p != "" {
		return p
	}

	return "."
}

func (o *output) Parallelizable() bool { return true }

func (o *output) Close(context.Context) error { return nil }

func (o *output) WriteDirEntry(context.Context, string, *snapshot.DirEntry, fs.Directory) error {
	return errors.New("placeholders were not asked for")
}

func (o *output) FileExists(context.Context, string, fs.File) bool       { return false }
func (o *output) SymlinkExists(context.Context, string, fs.Symlink) bool { return false }

func (o *output) BeginDirectory(ctx context.Context, rel string, d fs.Directory) error {
	name := o.path(rel)

	if rel != "" { // the target itself may be reached through a link
		if err := o.clear(name, os.ModeDir); err != nil {
			return err
		}
	}

	// Writable until FinishDirectory, whatever it was.
	if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}

	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o700 != 0o700 {
		_ = os.Chmod(name, info.Mode().Perm()|0o700) // whether it was needed shows in a moment
	}

	times, err := o.dirTimes(ctx, d)
	if err != nil {
		return err
	}

	o.mu.Lock()
	o.sums.Dirs++

	for child, when := range times {
		o.times[path.Join(rel, child)] = when
	}
	o.mu.Unlock()

	if !o.req.DeleteExtra {
		return nil
	}

	return o.deleteExtra(ctx, rel, d)
}

func (o *output) deleteExtra(ctx context.Context, rel string, d fs.Directory) error {
	wanted := map[string]bool{}

	if err := fs.IterateEntries(ctx, d, func(_ context.Context, e fs.Entry) error {
		wanted[filepath.Base(o.path(path.Join(rel, e.Name())))] = true

		return nil
	}); err != nil {
		return err
	}

	present, err := os.ReadDir(o.path(rel))
	if err != nil {
		return err
	}

	for _, e := range present {
		if wanted[e.Name()] || rel == "" && (e.Name() == lostAndFound || slices.Contains(o.req.Keep, e.Name())) {
			continue
		}

		if err := os.RemoveAll(filepath.Join(o.path(rel), e.Name())); err != nil {
			return err
		}

		o.mu.Lock()
		o.sums.Deleted++
		o.mu.Unlock()
	}

	return nil
}

// clear removes what is in the way of an entry of this type. Directories stay for directories; everything else is replaced, so
// that nothing is ever written through a link or into another name of the same file.
func (o *output) clear(name string, kind os.FileMode) error {
	info, err := os.Lstat(name)
	if errors.Is(err, os.ErrNotExist) || err == nil && kind.IsDir() && info.IsDir() {
		return nil
	}

	if err != nil {
		return err
	}

	if info.IsDir() && !o.req.DeleteExtra {
		return fmt.Errorf("restoring %q: a directory is in the way of a file", name)
	}

	return os.RemoveAll(name)
}

func (o *output) FinishDirectory(_ context.Context, rel string, d fs.Directory) error {
	if _, synthetic := d.(lone); synthetic {
		return nil
	}

	o.mu.Lock()
	when, known := o.times[rel]

	if !o.parent[o.inSnapshot(rel)] {
		delete(o.times, rel)
	}
	o.mu.Unlock()

	if !known {
		when = d.ModTime()
	}

	return o.setAttributes(rel, d, when)
}

func (o *output) WriteFile(ctx context.Context, rel string, f fs.File, progress restore.FileWriteProgress) error {
	o.mu.Lock()
	o.sums.Files++
	o.sums.Bytes += f.Size()
	o.mu.Unlock()

	if _, isLink := o.later[o.inSnapshot(rel)]; isLink {
		o.mu.Lock()
		defer o.mu.Unlock()

		o.pending = append(o.pending, linked{rel, f}) // relink makes it

		return nil
	}

	return o.writeFile(ctx, rel, f, progress)
}

func (o *output) writeFile(ctx context.Context, rel string, f fs.File, progress restore.FileWriteProgress) error {
	name := o.path(rel)
	if err := o.clear(name, 0); err != nil {
		return err
	}

	source, err := f.Open(ctx)
	if err != nil {
		return fmt.Errorf("reading %q from the repository: %w", rel, err)
	}
	defer source.Close() // read only

	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}

	err = errors.Join(o.copy(ctx, out, source, o.sparse[o.inSnapshot(rel)], progress), out.Close())
	if err != nil {
		return fmt.Errorf("restoring %q: %w", name, err)
	}

	return o.setAttributes(rel, f, f.ModTime())
}

var copyBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

func (o *output) copy(ctx context.Context, out *os.File, in io.Reader, sparse bool, progress restore.FileWriteProgress) error {
	buffer := copyBuffers.Get().(*[256 << 10]byte)
	defer copyBuffers.Put(buffer)

	var size int64

	for {
		n, err := io.ReadFull(in, buffer[:])
		if n > 0 {
			if writeErr := write(out, buffer[:n], sparse); writeErr != nil {
				return writeErr
			}

			size += int64(n)

			progress(int64(n))
		}

		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if sparse { // it may end with a hole
				return out.Truncate(size)
			}

			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

var zeroBlock [4096]byte

// write writes p, and seeks over blocks of zeros if holes are wanted.
func write(out *os.File, p []byte, sparse bool) error {
	for len(p) > 0 {
		n, hole := len(p), false
		if sparse {
			n, hole = run(p)
		}

		var err error
		if hole {
			_, err = out.Seek(int64(n), io.SeekCurrent)
		} else {
			_, err = out.Write(p[:n])
		}

		if err != nil {
			return err
		}

		p = p[n:]
	}

	return nil
}

// run is the length of p's first blocks that are all zeros, or all not.
func run(p []byte) (n int, zero bool) {
	isZero := func(at int) bool {
		block := p[at:min(at+len(zeroBlock), len(p))]

		return bytes.Equal(block, zeroBlock[:len(block)])
	}

	zero = isZero(0)
	for n < len(p) && isZero(n) == zero {
		n = min(n+len(zeroBlock), len(p))
	}

	return n, zero
}

func (o *output) CreateSymlink(ctx context.Context, rel string, s fs.Symlink) error {
	to, err := s.Readlink(ctx)
	if err != nil {
		return fmt.Errorf("reading %q from the repository: %w", rel, err)
	}

	name := o.path(rel)
	if err := o.clear(name, os.ModeSymlink); err != nil {
		return err
	}

	if err := os.Symlink(to, name); err != nil {
		return err
	}

	o.mu.Lock()
	o.sums.Links++
	o.mu.Unlock()

	return o.setAttributes(rel, s, s.ModTime())
}

// relink makes the further names of files that have several. Where that cannot be, they become files of their own.
func (o *output) relink(ctx context.Context) error {
	for _, l := range o.pending {
		first := o.path(o.outside(o.later[o.inSnapshot(l.rel)]))

		name := o.path(l.rel)
		if err := o.clear(name, 0); err != nil {
			return err
		}

		if os.Link(first, name) == nil {
			continue
		}

		if err := o.writeFile(ctx, l.rel, l.file, func(int64) {}); err != nil {
			return err
		}
	}

	for rel, when := range o.times { // links changed them
		if err := setTime(o.path(rel), when); err != nil {
			o.problem(&o.sums.Mode, rel, "time", err)
		}
	}

	return nil
}

func setTime(name string, when time.Time) error {
	spec := unix.NsecToTimespec(when.UnixNano())

	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW)
}

// outside is the inverse of inSnapshot.
func (o *output) outside(rel string) string {
	if rel == o.sub { // a single file
		return path.Base(rel)
	}

	return strings.TrimPrefix(strings.TrimPrefix(rel, o.sub), "/")
}

// setAttributes sets owner, then mode (a change of owner clears bits), extended attributes, and last the time.
func (o *output) setAttributes(rel string, e fs.Entry, when time.Time) error {
	name := o.path(rel)
	link := e.Mode()&os.ModeSymlink != 0

	var now unix.Stat_t
	if err := unix.Lstat(name, &now); err != nil {
		return err
	}

	changed := false

	if owner := e.Owner(); now.Uid != owner.UserID || now.Gid != owner.GroupID {
		changed = true

		if err := os.Lchown(name, int(owner.UserID), int(owner.GroupID)); err != nil {
			o.problem(&o.sums.Owner, rel, fmt.Sprintf("owner %d:%d", owner.UserID, owner.GroupID), err)
		}
	}

	if !link {
		// A volume's root that is somebody else's belongs to whoever made the volume, with the mode that fsGroup wants.
		if err := chmod(name, now.Mode, e.Mode()&fs.ModBits, changed); err != nil && !(rel == "" && errors.Is(err, unix.EPERM)) {
			o.problem(&o.sums.Mode, rel, "mode", err)
		}
	}

	for attribute, value := range o.extra.Xattrs[o.inSnapshot(rel)] {
		if err := unix.Lsetxattr(name, attribute, value, 0); err != nil {
			o.problem(&o.sums.Xattr, rel, attribute, err)
		}
	}

	// Somebody else's directory that was there before, such as a volume's root, keeps its own time.
	if err := setTime(name, when); err != nil && !(e.IsDir() && errors.Is(err, unix.EPERM)) {
		o.problem(&o.sums.Mode, rel, "time", err)
	}

	return nil
}

// chmod sets the mode unless it is set, and sees whether the kernel kept all of it: it drops the set-group-ID bit without a word
// where the process is not of that group.
func chmod(name string, now uint32, want os.FileMode, changed bool) error {
	bits := uint32(want.Perm())

	for bit, mode := range map[uint32]os.FileMode{unix.S_ISUID: os.ModeSetuid, unix.S_ISGID: os.ModeSetgid, unix.S_ISVTX: os.ModeSticky} {
		if want&mode != 0 {
			bits |= bit
		}
	}

	if now&0o7777 == bits && !changed {
		return nil
	}

	if err := os.Chmod(name, want); err != nil {
		return err
	}

	if bits&^0o777 == 0 {
		return nil
	}

	var after unix.Stat_t
	if err := unix.Lstat(name, &after); err != nil {
		return err
	}

	if after.Mode&0o7777 != bits {
		return fmt.Errorf("it is %04o instead of %04o", after.Mode&0o7777, bits)
	}

	return nil
}

func (o *output) problem(p *Problems, rel, what string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	if rel == "" {
		rel = "."
	}

	p.add(rel, what+": "+cause(err))
}

func (o *output) result() Restored {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.sums
}
