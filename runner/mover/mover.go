package mover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: mover FILE | mover - | mover idle
Moves data between a directory and a kopia repository. The request is JSON, from FILE or stdin; events go to stdout, one JSON
object per line. "idle" keeps an ephemeral container alive until a mover that runs in it ("mover -") has ended.
`

// restoreCache bounds the cache of file contents on disk during a restore.
const restoreCache = 1 << 30

// Main is the command. args are what follows the word "mover".
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	if len(args) != 1 {
		_, _ = io.WriteString(errOut, usage)

		return exitUsage
	}

	if args[0] == "idle" {
		return idle(ctx, errOut)
	}

	signalIdle(syscall.SIGUSR1)
	defer endIdle()

	emit := func(e Event) { _, _ = out.Write(e.encode()) }

	request, err := read(args[0], in)
	if err != nil {
		last(Event{Error: &Error{Message: err.Error(), Reason: string(location.BadProfile)}}, emit)

		return exitUsage
	}

	e := Do(ctx, request, emit)
	last(e, emit)

	if e.Error != nil {
		return exitFailed
	}

	return exitDone
}

func last(e Event, emit func(Event)) {
	emit(e)

	if f, err := os.OpenFile(TerminationLog, os.O_WRONLY|os.O_TRUNC, 0); err == nil {
		_, _ = f.Write(e.fit(maxTermination))
		_ = f.Close()
	}
}

func read(name string, in io.Reader) (Request, error) {
	var request Request

	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return request, fmt.Errorf("reading the request: %w", err)
		}
		defer f.Close() // read only

		in = f
	}

	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()

	if err := decoder.Decode(&request); err != nil {
		return request, fmt.Errorf("reading the request: %w", err)
	}

	return request, nil
}

// Do does what a request asks for and returns the last event; emit gets the progress before that.
func Do(ctx context.Context, request Request, emit func(Event)) Event {
	var (
		e   Event
		err error
	)

	switch request.Op {
	case OpBackup:
		e.Backup, err = backup(ctx, request, emit)
	case OpRestore:
		e.Restore, err = restore(ctx, request, emit)
	default:
		err = fmt.Errorf("reading the request: unknown operation %q", request.Op)
	}

	if err != nil {
		reason, hint := location.Explain(err)

		e.Error, e.Backup = &Error{Message: err.Error(), Reason: string(reason), Hint: hint}, nil

		return e
	}

	return e
}

// Options of the repository that a request names.
func (r Request) Options() kopia.Options {
	o := kopia.Options{Profile: r.Profile.Params(), Prefix: r.Prefix, Password: r.Password, Server: r.Server, Scratch: scratch()}
	if r.Mount != "" {
		o.Location = append(o.Location, location.At(r.Mount))
	}

	return o
}

// scratch is a writable directory: with a read-only root file system only what is mounted is.
func scratch() string {
	for _, dir := range []string{os.TempDir(), os.Getenv("HOME"), "/dev/shm"} {
		if dir == "" {
			continue
		}

		if probe, err := os.MkdirTemp(dir, "probe-"); err == nil {
			_ = os.Remove(probe)

			return dir
		}
	}

	return os.TempDir() // its error says what is wrong
}

func backup(ctx context.Context, r Request, emit func(Event)) (*Backup, error) {
	if r.Source.Namespace == "" || !filepath.IsAbs(r.Source.Path) {
		return nil, errors.New("reading the request: source names no namespace or no absolute path")
	}

	dir := filepath.Join(r.Dir, r.Source.Path)
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("backing up %q: %w", r.Source.Path, unwrapPath(err))
	}

	repository, err := kopia.OpenOrCreate(ctx, r.Options())
	if err != nil {
		return nil, err
	}

	start := now()

	made, err := repository.Snapshot(ctx, kopia.Backup{
		Dir: dir, Source: r.Source, Tags: r.Tags, Interval: Interval,
		Progress: func(p kopia.Progress) { emit(Event{Progress: &p}) },
	})
	b := &Backup{Snapshot: made, Place: repository.Place(), Seconds: now().Sub(start).Seconds()}

	return b, errors.Join(err, repository.Close(ctx))
}

// now measures; nothing is decided by it.
func now() time.Time { return time.Now() } //nolint:forbidigo // see above

func restore(ctx context.Context, r Request, emit func(Event)) (*Restore, error) {
	options := r.Options()
	options.CacheBytes = restoreCache

	repository, err := kopia.Open(ctx, options)
	if err != nil {
		return nil, err
	}

	result, err := restoreFrom(ctx, repository, r, emit)
	err = errors.Join(err, repository.Close(ctx))

	if err != nil && result != nil && !result.Begun {
		result = nil // nothing was touched
	}

	return result, err
}

func restoreFrom(ctx context.Context, repository *kopia.Repository, r Request, emit func(Event)) (*Restore, error) {
	found, err := repository.Find(ctx, r.ID, r.Tag)
	if err != nil {
		return nil, err
	}

	sub, target, err := r.paths(found.Source.Path)
	if err != nil {
		return nil, err
	}

	start := now()
	restored, err := repository.Restore(ctx, kopia.Restore{
		ID: found.ID, Sub: sub, Target: filepath.Join(r.Dir, target), DeleteExtra: r.DeleteExtra, Interval: Interval,
		Progress: func(p kopia.Progress) { emit(Event{Progress: &p}) },
	})

	return &Restore{Restored: restored, ID: found.ID, Path: target, Seconds: now().Sub(start).Seconds()}, err
}

// paths resolves what of the snapshot goes where. source is the path that the snapshot was made of.
func (r Request) paths(source string) (sub, target string, err error) {
	target = path.Join("/", r.RestorePath, source)

	if r.Flat {
		sub, target = strings.TrimPrefix(path.Join("/", r.BackupPath), "/"), path.Join("/", r.RestorePath)
	} else if r.BackupPath != "" {
		wanted := path.Join("/", r.BackupPath)

		switch {
		case within(wanted, source):
			sub, target = strings.TrimPrefix(strings.TrimPrefix(wanted, source), "/"), path.Join("/", r.RestorePath)
		case within(source, wanted):
			target = path.Join("/", r.RestorePath, strings.TrimPrefix(source, wanted))
		default:
			return "", "", &location.Error{
				Op: "reading the request", Reason: location.NotFound, Hint: "correct backupPath",
				Err: fmt.Errorf("the backup is of %q; it holds no %q", source, wanted),
			}
		}
	}

	if len(r.Volumes) == 0 && r.Flat {
		return sub, target, nil
	}

	for _, volume := range r.Volumes {
		if within(target, volume) || within(volume, target) {
			return sub, target, nil
		}
	}

	return "", "", &location.Error{
		Op: "reading the request", Reason: location.BadProfile, Hint: "correct restorePath, or mount the volume where the data was, with the argument volumes",
		Err: fmt.Errorf("the backup of %q would be restored to %q, which lies on none of the volumes (mounted at %s)", source, target, strings.Join(r.Volumes, ", ")),
	}
}

// within tells whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// unwrapPath drops the path in this container from a message about a path in the application's.
func unwrapPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}

	return err
}
