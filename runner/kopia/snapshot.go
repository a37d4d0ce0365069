package kopia

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kopia/kopia/snapshot/snapshotmaintenance"
	"github.com/kopia/kopia/snapshot/upload"
)

// Source names what a snapshot is of, independent of the pod that reads it: later snapshots of the same source read only what
// changed, and restores put files back below Path.
type Source struct {
	// Namespace of the volume or pod.
	Namespace string `json:"namespace"`
	// Path is absolute: where the data lay in the application's container, or the root chosen for a volume.
	Path string `json:"path"`
}

// source is what kopia calls a source. A server lets each user have sources of his own only.
func (r *Repository) source(s Source) snapshot.SourceInfo {
	if r.configured {
		own := r.rep.ClientOptions()

		return snapshot.SourceInfo{UserName: own.Username, Host: own.Hostname, Path: s.Path}
	}

	if server := r.options.Server; server != nil {
		return snapshot.SourceInfo{UserName: server.User, Host: server.Host, Path: s.Path}
	}

	return snapshot.SourceInfo{UserName: User, Host: s.Namespace, Path: s.Path}
}

// Progress of a backup or restore. Counts only grow; totals may be 0 while unknown.
type Progress struct {
	BytesDone  int64 `json:"bytesDone"`
	BytesTotal int64 `json:"bytesTotal,omitempty"`
	BytesNew   int64 `json:"bytesNew,omitempty"` // uploaded: after dedupe and compression, encrypted
	FilesDone  int64 `json:"filesDone"`
	FilesTotal int64 `json:"filesTotal,omitempty"`
}

// Backup asks for a snapshot of Dir.
type Backup struct {
	Dir    string
	Source Source
	Tags   map[string]string
	// Progress is called at most every interval, and never after Snapshot returned. May be nil.
	Progress func(Progress)
	// Interval between two calls of Progress; 0 means a second.
	Interval time.Duration
}

// Snapshot describes a snapshot.
type Snapshot struct {
	ID      string            `json:"id"`
	Source  Source            `json:"source"`
	Tags    map[string]string `json:"tags,omitempty"`
	Started time.Time         `json:"started"`
	Ended   time.Time         `json:"ended"`
	Bytes   int64             `json:"bytes"` // of all files
	Files   int64             `json:"files"`
	Dirs    int64             `json:"dirs"`
	Links   int64             `json:"links,omitempty"` // symbolic ones
	// Of a backup that was just made:
	BytesNew   int64    `json:"bytesNew,omitempty"`
	Unreadable Problems `json:"unreadable,omitzero"` // not in the snapshot
	Changed    Problems `json:"changed,omitzero"`    // in the snapshot, perhaps neither as before nor as after
	Special    Problems `json:"special,omitzero"`    // pipes and devices: not in the snapshot
	Lost       int64    `json:"lost,omitempty"`      // extended attributes and links beyond what is kept
	Warnings   []string `json:"warnings,omitempty"`
}

// tagPrefix is how kopia's command line marks tags among labels.
const tagPrefix = "tag:"

// parallelFrom is the file size above which one file is read by several workers; a multiple of the chunk size.
const parallelFrom = 1 << 30

// Snapshot backs a directory up. It ends soon after ctx does; the repository is then sound and what was uploaded helps the next
// try. Files that cannot be read are left out and counted; a store that fails ends it.
func (r *Repository) Snapshot(ctx context.Context, b Backup) (Snapshot, error) {
	t := &tree{root: filepath.Clean(b.Dir), audit: &audit{}}

	root, err := t.start(&b.Source)
	if err != nil {
		return Snapshot{}, fmt.Errorf("backing up %q: %w", b.Dir, err)
	}

	meter := newMeter(b.Progress, b.Interval)

	made, err := watch(ctx, r, meter.pulse, func(ctx context.Context) (*snapshot.Manifest, error) {
		return r.write(ctx, root, b, t, meter)
	})

	if err == nil {
		err = r.saved(ctx)
	}

	meter.finish()

	if err != nil {
		return Snapshot{}, r.fail("backing up to", end(ctx, err))
	}

	s := describe(made)
	s.BytesNew = meter.uploaded.Load()
	s.Unreadable, s.Changed, s.Special, s.Lost = t.audit.unread, t.audit.altered, t.audit.specials, t.audit.extra.Lost

	if err := r.tidy(ctx); err != nil {
		s.Warnings = append(s.Warnings, "tidying up the repository's index: "+err.Error())
	}

	return s, nil
}

// saved makes sure that a snapshot stays.
func (r *Repository) saved(ctx context.Context) error {
	if err := r.sync(); err != nil {
		return err
	}

	return r.unchanged(ctx)
}

// write is the session in which a snapshot is made.
func (r *Repository) write(ctx context.Context, root fs.Directory, b Backup, t *tree, meter *meter) (*snapshot.Manifest, error) {
	var made *snapshot.Manifest

	options := repo.WriteSessionOptions{Purpose: "backup", OnUpload: meter.UploadedBytes}
	err := repo.WriteSession(ctx, r.rep, options, func(ctx context.Context, w repo.RepositoryWriter) (err error) {
		made, err = r.upload(ctx, w, root, b, t, meter)
		if err != nil {
			return err
		}

		id, err := snapshot.SaveSnapshot(ctx, w, made)
		if err != nil {
			return err
		}

		made.ID = id

		return errors.Join(saveAttributes(ctx, w, made, &t.audit.extra), dropCheckpoints(ctx, w, made))
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, end(ctx, err)
	}

	return made, nil
}

// end prefers why a context ended to the noise that follows.
func end(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	return err
}

func (r *Repository) upload(ctx context.Context, w repo.RepositoryWriter, root fs.Directory, b Backup, t *tree, meter *meter) (*snapshot.Manifest, error) {
	previous, err := snapshot.FindPreviousManifests(ctx, w, r.source(b.Source), nil)
	if err != nil {
		return nil, err
	}

	u := upload.NewUploader(w)
	u.DisableIgnoreRules = true // no .kopiaignore, no CACHEDIR.TAG: a backup is whole
	u.EnableActions = false
	u.ParallelUploads = min(max(runtime.GOMAXPROCS(0), 2)*2, 16)
	u.CheckpointLabels = tags(b.Tags)

	observer := &observer{meter: meter, audit: t.audit, cancel: u.Cancel}
	u.Progress = observer

	stop := context.AfterFunc(ctx, u.Cancel)
	defer stop()

	stopEstimate := meter.estimate(ctx, b.Dir)
	defer stopEstimate()

	m, err := u.Upload(ctx, root, policy.BuildTree(nil, filePolicy()), r.source(b.Source), previous...)
	if err = errors.Join(observer.storeError(), err); err != nil {
		return nil, err
	}

	if m.IncompleteReason != "" {
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("the backup is incomplete: %s", m.IncompleteReason))
	}

	m.Tags = tags(b.Tags)
	m.Description = "kubectl kanister"
	// A pin: retention rules of whoever uses kopia's command line on this repository do not apply to our snapshots.
	m.Pins = []string{"kubectl-kanister"}

	return m, nil
}

func tags(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[tagPrefix+k] = v
	}

	return out
}

// dropCheckpoints removes the interim snapshots that kopia makes every 45 minutes of this source, now that the whole one is saved.
func dropCheckpoints(ctx context.Context, w repo.RepositoryWriter, made *snapshot.Manifest) error {
	all, err := snapshot.ListSnapshots(ctx, w, made.Source)
	if err != nil {
		return err
	}

	for _, m := range all {
		if m.IncompleteReason != "" && m.StartTime.Equal(made.StartTime) {
			err = errors.Join(err, w.DeleteManifest(ctx, m.ID))
		}
	}

	return err
}

// tidy compacts the repository's index when a day has passed: otherwise every backup makes the next one slower to open.
func (r *Repository) tidy(ctx context.Context) error {
	if r.direct == nil {
		return nil // the server sees to it
	}

	return repo.DirectWriteSession(ctx, r.direct, repo.WriteSessionOptions{Purpose: "maintenance"}, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		err := snapshotmaintenance.Run(ctx, w, maintenance.ModeAuto, false, maintenance.SafetyFull)

		var other maintenance.NotOwnedError
		if errors.As(err, &other) { // whoever took it over does it
			return nil
		}

		return err
	})
}

func describe(m *snapshot.Manifest) Snapshot {
	s := Snapshot{
		ID: string(m.ID), Source: Source{Namespace: m.Source.Host, Path: m.Source.Path},
		Started: m.StartTime.ToTime(), Ended: m.EndTime.ToTime(),
	}

	for k, v := range m.Tags {
		if name, ok := strings.CutPrefix(k, tagPrefix); ok {
			if s.Tags == nil {
				s.Tags = map[string]string{}
			}

			s.Tags[name] = v
		}
	}

	if m.RootEntry != nil && m.RootEntry.DirSummary != nil {
		sum := m.RootEntry.DirSummary
		s.Bytes, s.Files, s.Dirs, s.Links = sum.TotalFileSize, sum.TotalFileCount, sum.TotalDirCount, sum.TotalSymlinkCount
	}

	return s
}

// filePolicy is how files are stored.
func filePolicy() *policy.Policy {
	p := *policy.DefaultPolicy
	p.CompressionPolicy = policy.CompressionPolicy{CompressorName: compressor, MinSize: 512}
	p.ErrorHandlingPolicy = policy.ErrorHandlingPolicy{
		// Counted by the observer, which also ends the upload if it was the store that failed.
		IgnoreFileErrors: policy.NewOptionalBool(true), IgnoreDirectoryErrors: policy.NewOptionalBool(true), IgnoreUnknownTypes: policy.NewOptionalBool(true),
	}

	above := policy.OptionalInt64(parallelFrom)
	p.UploadPolicy.ParallelUploadAboveSize = &above

	return &p
}

// globalPolicy is what kopia's command line finds in our repositories: nothing expires.
func globalPolicy() *policy.Policy {
	p := *filePolicy()
	all := policy.OptionalInt(math.MaxInt32)
	p.RetentionPolicy = policy.RetentionPolicy{KeepLatest: &all}

	return &p
}

// observer hears of everything that the uploader does.
type observer struct {
	upload.NullUploadProgress

	meter  *meter
	audit  *audit
	cancel func()

	mu    sync.Mutex
	store error
}

func (o *observer) HashedBytes(n int64)             { o.meter.done.Add(n) }
func (o *observer) CachedFile(_ string, size int64) { o.meter.done.Add(size) }
func (o *observer) FinishedFile(string, error)      { o.meter.files.Add(1) }

// Enabled turns kopia's own estimate off: it takes a whole file system for the directory, and walks our tree a second time.
func (o *observer) Enabled() bool { return false }

// Error hears of files that failed. A source that cannot be read costs that file; anything else is the store's failure, which
// kopia would count as one more unreadable file.
func (o *observer) Error(rel string, err error, _ bool) {
	var source *sourceError
	if errors.As(err, &source) {
		o.audit.unreadable(rel, err)

		return
	}

	o.mu.Lock()
	if o.store == nil {
		o.store = err
	}
	o.mu.Unlock()

	o.cancel()
}

func (o *observer) storeError() error {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.store
}

// meter adds up and reports.
type meter struct {
	done, total, uploaded, files, totalFiles atomic.Int64
	// begun: a restore may have changed its target.
	begun atomic.Bool

	report func(Progress)
	stop   chan struct{}
	ended  chan struct{}
}

func newMeter(report func(Progress), interval time.Duration) *meter {
	m := &meter{report: report, stop: make(chan struct{}), ended: make(chan struct{})}
	if report == nil {
		close(m.ended)

		return m
	}

	if interval == 0 {
		interval = time.Second
	}

	go func() {
		defer close(m.ended)

		ticker := time.NewTicker(interval)
		defer ticker.Stop()

		for {
			select {
			case <-m.stop:
				report(m.now())

				return
			case <-ticker.C:
				report(m.now())
			}
		}
	}()

	return m
}

// UploadedBytes counts what went to the store.
func (m *meter) UploadedBytes(n int64) { m.uploaded.Add(n) }

func (m *meter) now() Progress {
	return Progress{
		BytesDone: m.done.Load(), BytesTotal: m.total.Load(), BytesNew: m.uploaded.Load(), FilesDone: m.files.Load(), FilesTotal: m.totalFiles.Load(),
	}
}

// pulse changes with everything that happens.
func (m *meter) pulse() int64 { return m.done.Load() + m.uploaded.Load() + m.files.Load() }

// estimate counts what there is to do, beside the doing, and shows it once it knows. The returned function ends and waits for it.
func (m *meter) estimate(ctx context.Context, dir string) func() {
	if m.report == nil {
		return func() {}
	}

	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})

	go func() {
		defer close(done)

		var files, bytes int64

		err := filepath.WalkDir(dir, func(_ string, d iofs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}

			if err != nil {
				return nil //nolint:nilerr // what cannot be read is not backed up either
			}

			if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
				files++
				bytes += info.Size()
			}

			return nil
		})
		if err == nil {
			m.totalFiles.Store(files)
			m.total.Store(bytes)
		}
	}()

	return func() {
		cancel()
		<-done
	}
}

// finish reports for the last time and waits for that.
func (m *meter) finish() {
	close(m.stop)
	<-m.ended
}
