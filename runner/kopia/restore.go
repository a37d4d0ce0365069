package kopia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/restore"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// Restore asks to write a snapshot into a directory.
type Restore struct {
	// ID of the snapshot: see Find.
	ID string
	// Sub is a path inside the snapshot, relative to its root; empty is all of it. A file is restored into Target.
	Sub string
	// Target is the directory that will hold what the root (or Sub) holds. It is made if it does not exist.
	Target string
	// DeleteExtra removes from Target whatever the snapshot does not hold, so that it is exactly as it was, except names in Keep.
	DeleteExtra bool
	// Keep are names directly in Target that DeleteExtra leaves alone (lost+found).
	Keep []string
	// Progress as in Backup.
	Progress func(Progress)
	Interval time.Duration
}

// Restored says what a restore did.
type Restored struct {
	Bytes   int64 `json:"bytes"`
	Files   int64 `json:"files"`
	Dirs    int64 `json:"dirs"`
	Links   int64 `json:"links,omitempty"`
	Deleted int64 `json:"deleted,omitempty"` // entries of Target that the snapshot does not hold
	// Begun: Target was about to be changed, or has been. Without it, it is what it was.
	Begun bool `json:"begun,omitempty"`
	// Owner, Mode and Xattr count what could not be set back, usually for lack of rights.
	Owner Problems `json:"owner,omitzero"`
	Mode  Problems `json:"mode,omitzero"`
	Xattr Problems `json:"xattr,omitzero"`
}

// Restore writes a snapshot into a directory: content, owners, modes, times, extended attributes, hard and symbolic links, holes.
// Files are replaced, never written through links or into other names of the same file. The first file that cannot be written
// ends it with an error: what is there then is a mixture.
func (r *Repository) Restore(ctx context.Context, req Restore) (Restored, error) {
	meter := newMeter(req.Progress, req.Interval)
	defer meter.finish()

	restored, err := watch(ctx, r, meter.pulse, func(ctx context.Context) (Restored, error) { return r.restore(ctx, req, meter) })
	if err != nil && restored.Files == 0 { // what a call that was left behind had done
		restored.Files, restored.Bytes = meter.files.Load(), meter.done.Load()
	}

	restored.Begun = meter.begun.Load()

	return restored, r.fail("restoring from", err)
}

func (r *Repository) restore(ctx context.Context, req Restore, meter *meter) (Restored, error) {
	m, err := r.manifest(ctx, req.ID)
	if err != nil {
		return Restored{}, r.fail("restoring from", err)
	}

	extra, err := loadAttributes(ctx, r.rep, m)
	if err != nil {
		return Restored{}, r.fail("restoring from", err)
	}

	when := m.RootEntry.ModTime.ToTime() // before SnapshotRoot changes it

	root, err := snapshotfs.SnapshotRoot(r.rep, m)
	if err != nil {
		return Restored{}, r.fail("restoring from", err)
	}

	sub := escape(strings.Trim(path.Clean("/"+req.Sub), "/"))
	if root, when, err = r.descend(ctx, root, when, sub); err != nil {
		return Restored{}, r.fail("restoring from", err)
	}

	out := newOutput(filepath.Clean(req.Target), sub, extra, req)
	out.dirTimes = r.dirTimes
	out.times[""] = when
	if err := os.MkdirAll(out.target, 0o755); err != nil {
		return Restored{}, err
	}

	meter.begun.Store(true)
	err = r.restoreEntry(ctx, root, out, meter)
	err = errors.Join(err, ctx.Err())

	if err == nil {
		err = errors.Join(out.relink(ctx), syncFilesystem(out.target))
	}

	if err != nil {
		return out.result(), r.fail("restoring from", end(ctx, err))
	}

	return out.result(), nil
}

func (r *Repository) restoreEntry(ctx context.Context, root fs.Entry, out *output, meter *meter) error {
	cancel := make(chan struct{})

	stop := context.AfterFunc(ctx, func() { close(cancel) })
	defer stop()

	if _, ok := root.(fs.Directory); !ok {
		root = lone{root}
	}

	_, err := restore.Entry(ctx, r.rep, out, root, restore.Options{
		Parallel: min(max(2*runtime.GOMAXPROCS(0), 8), 32), RestoreDirEntryAtDepth: math.MaxInt32, Cancel: cancel,
		ProgressCallback: func(_ context.Context, s restore.Stats) {
			meter.done.Store(s.RestoredTotalFileSize)
			meter.total.Store(s.EnqueuedTotalFileSize)
			meter.files.Store(int64(s.RestoredFileCount))
			meter.totalFiles.Store(int64(s.EnqueuedFileCount))
		},
	})

	return err
}

// descend finds the entry at sub, and its time.
func (r *Repository) descend(ctx context.Context, e fs.Entry, when time.Time, sub string) (fs.Entry, time.Time, error) {
	if sub == "" {
		return e, when, nil
	}

	for name := range strings.SplitSeq(sub, "/") {
		dir, ok := e.(fs.Directory)
		if !ok {
			return nil, when, fmt.Errorf("%w: %q is not a directory in the snapshot", ErrNotFound, e.Name())
		}

		child, err := dir.Child(ctx, name)
		if errors.Is(err, fs.ErrEntryNotFound) {
			return nil, when, fmt.Errorf("%w: the snapshot holds no %q", ErrNotFound, sub)
		}

		times, timesErr := r.dirTimes(ctx, dir)
		if err = errors.Join(err, timesErr); err != nil {
			return nil, when, err
		}

		e, when = child, times[name]
	}

	return e, when, nil
}

// dirTimes reads the times of a directory's subdirectories. kopia stores them, but shows the latest time of any file below instead.
func (r *Repository) dirTimes(ctx context.Context, d fs.Directory) (map[string]time.Time, error) {
	h, ok := d.(object.HasObjectID)
	if !ok {
		return nil, nil
	}

	in, err := r.rep.OpenObject(ctx, h.ObjectID())
	if err != nil {
		return nil, err
	}
	defer in.Close() // read only

	var m snapshot.DirManifest
	if err := json.NewDecoder(in).Decode(&m); err != nil {
		return nil, fmt.Errorf("reading directory %q: %w", d.Name(), err)
	}

	times := map[string]time.Time{}

	for _, e := range m.Entries {
		if e.Type == snapshot.EntryTypeDirectory {
			times[e.Name] = e.ModTime.ToTime()
		}
	}

	return times, nil
}

func (r *Repository) manifest(ctx context.Context, id string) (*snapshot.Manifest, error) {
	found, err := r.Find(ctx, id, "")
	if err != nil {
		return nil, err
	}

	return r.load(ctx, found.ID)
}

// lone is a directory with one file in it, so that a single file is restored into a directory.
type lone struct{ fs.Entry }

func (l lone) IsDir() bool                      { return true }
func (l lone) Mode() os.FileMode                { return os.ModeDir | 0o755 }
func (l lone) Size() int64                      { return 0 }
func (l lone) SupportsMultipleIterations() bool { return true }
func (l lone) Child(_ context.Context, name string) (fs.Entry, error) {
	if name != l.Name() {
		return nil, fs.ErrEntryNotFound
	}

	return l.Entry, nil
}

func (l lone) Iterate(context.Context) (fs.DirectoryIterator, error) {
	return fs.StaticIterator([]fs.Entry{l.Entry}, nil), nil
}
