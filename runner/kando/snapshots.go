package kando

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/output"
)

// defaultDir is upstream's source path of what is pushed to a path without a directory.
const defaultDir = "/kanister-backups"

// snapshots are those of a kopia repository server (COMPAT §5.1).
type snapshots struct{ repository *kopia.Repository }

// info is how a snapshot travels from a push to a pull: in the output of the one, as --kopia-snapshot of the other.
type info struct {
	ID           string `json:"id"`
	LogicalSize  int64  `json:"logicalSize"`
	PhysicalSize int64  `json:"physicalSize"`
}

func openSnapshots(ctx context.Context, server *kopia.Server) (place, error) {
	repository, err := kopia.Open(ctx, kopia.Options{Server: server})
	if err != nil {
		return nil, err
	}

	return snapshots{repository}, nil
}

func (at snapshots) close(ctx context.Context) error { return at.repository.Close(ctx) }

func (at snapshots) push(ctx context.Context, o *locationOptions, source string) error {
	made, err := at.snapshot(ctx, o, source)
	if err != nil {
		return fmt.Errorf("pushing %s: %w", source, err)
	}

	text, err := json.Marshal(info{ID: made.ID, LogicalSize: made.Bytes})
	if err != nil {
		return fmt.Errorf("describing the snapshot: %w", err)
	}

	line, err := output.Line(o.output, string(text))
	if err != nil {
		return fmt.Errorf("describing the snapshot: %w", err)
	}

	_, err = io.WriteString(o.Out, line)

	return err
}

func (at snapshots) snapshot(ctx context.Context, o *locationOptions, source string) (kopia.Snapshot, error) {
	var none kopia.Snapshot

	if stat, err := os.Stat(source); source != "-" && err == nil && stat.IsDir() {
		dir, err := filepath.Abs(source)
		if err != nil {
			return none, err
		}

		made, err := at.repository.Snapshot(ctx, kopia.Backup{Dir: dir, Source: kopia.Source{Path: dir}})
		if err == nil && made.Unreadable.Count > 0 {
			err = fmt.Errorf("%d files could not be read, such as %q; snapshot %s is without them", made.Unreadable.Count, made.Unreadable.First[0], made.ID)
		}

		return made, err
	}

	content, done, err := o.source(source)
	if err != nil {
		return none, err
	}
	defer done()

	// As upstream: the snapshot of a stream is a directory with a file, that of a file is the file.
	if source != "-" {
		file, err := filepath.Abs(source)
		if err != nil {
			return none, err
		}

		return at.repository.SnapshotStream(ctx, kopia.Backup{Source: kopia.Source{Path: file}}, "", content)
	}

	if path.Clean("/"+o.path) == "/" {
		return none, usageError{errors.New("--path names no file: it is empty")}
	}

	dir := path.Dir(o.path)
	if dir == "." || dir == "/" {
		dir = defaultDir
	}

	return at.repository.SnapshotStream(ctx, kopia.Backup{Source: kopia.Source{Path: dir}}, path.Base(o.path), content)
}

// which is the ID of the snapshot that the flags name.
func (at snapshots) which(o *locationOptions) (string, error) {
	if o.snapshot == "" {
		return "", usageError{errors.New("--kopia-snapshot is needed in a kopia repository: the output that the push handed over")}
	}

	var named info
	if err := json.Unmarshal([]byte(o.snapshot), &named); err != nil {
		return "", fmt.Errorf("reading --kopia-snapshot: it is no JSON of a snapshot: %w", err)
	}

	if named.ID == "" {
		return "", fmt.Errorf("reading --kopia-snapshot: it has no id")
	}

	return named.ID, nil
}

func (at snapshots) pull(ctx context.Context, o *locationOptions, target string) error {
	id, err := at.which(o)
	if err != nil {
		return err
	}

	name := ""
	if o.path != "" {
		name = path.Base(o.path)
	}

	err = o.fill(target, func(out io.Writer) error { return at.repository.Copy(ctx, id, name, out) })

	// A directory was pushed. Upstream restores placeholders of its entries, and of the file of a stream.
	if target != "-" && errors.Is(err, kopia.ErrNoFile) {
		_, err = at.repository.Restore(ctx, kopia.Restore{ID: id, Target: target})
	}

	if err != nil {
		return fmt.Errorf("pulling snapshot %s to %s: %w", id, target, err)
	}

	return nil
}

func (at snapshots) delete(ctx context.Context, o *locationOptions) error {
	id, err := at.which(o)
	if err != nil {
		return err
	}

	err = at.repository.Delete(ctx, id)
	if errors.Is(err, kopia.ErrNotFound) {
		return o.nothingDeleted("snapshot " + id)
	}

	if err != nil {
		return fmt.Errorf("deleting snapshot %s: %w", id, err)
	}

	return nil
}
