package data

import (
	"fmt"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// report puts a result into words: an event with the figures, and a warning for everything that is not as it should be.
func (w *worker) report(e mover.Event) {
	reporter{w.run.Journal.Event, w.run.Journal.Warn, w.subject, w.request.Flat && len(w.request.Volumes) == 0}.result(e)

	switch {
	case e.Backup != nil:
		w.final(e.Backup.Bytes, e.Backup.BytesNew, e.Backup.Files, e.Backup.Seconds)
	case e.Restore != nil:
		w.final(e.Restore.Bytes, 0, e.Restore.Files, e.Restore.Seconds)
	}
}

// final is the progress that stays.
func (w *worker) final(bytes, fresh, files int64, seconds float64) {
	hundred := 100
	p := record.Progress{Message: w.subject, BytesDone: bytes, BytesTotal: bytes, BytesNew: fresh, FilesDone: files, FilesTotal: files, Percent: &hundred}

	if seconds > 0 {
		p.Rate = int64(float64(bytes) / seconds)
	}

	if w.progress != nil {
		w.progress(p)

		return
	}

	w.run.Journal.Progress(p)
}

type reporter struct {
	event, warn func(string)
	subject     string
	// counted: the caller reports deletions itself (RestoreVolume).
	counted bool
}

func (r reporter) result(e mover.Event) {
	if b := e.Backup; b != nil {
		r.event(fmt.Sprintf("%s: backed up %s in %s, %s new, %s", r.subject, human(b.Bytes), plural(b.Files), human(b.BytesNew), speed(b.Bytes, b.Seconds)))
		r.problems(b.Unreadable, "could not be read and is not in the backup", "could not be read and are not in the backup")
		r.problems(b.Changed, "changed while it was read", "changed while they were read")

		if b.Special.Count > 0 {
			r.event(fmt.Sprintf("%s: backups hold no named pipes and devices: %s", r.subject, named(b.Special)))
		}

		if b.Lost > 0 {
			r.warn(fmt.Sprintf("%s: the extended attributes or further names of %d files are not in the backup: there are too many", r.subject, b.Lost))
		}

		for _, warning := range b.Warnings {
			r.warn(r.subject + ": " + warning)
		}
	}

	if b := e.Restore; b != nil {
		r.event(fmt.Sprintf("%s: restored %s in %s to %s, %s", r.subject, human(b.Bytes), plural(b.Files), b.Path, speed(b.Bytes, b.Seconds)))

		if b.Deleted > 0 && !r.counted {
			r.event(fmt.Sprintf("%s: deleted what the backup does not hold: %d entries", r.subject, b.Deleted))
		}

		r.problems(b.Owner, "did not get its owner back", "did not get their owner back")
		r.problems(b.Mode, "did not get its mode or time back", "did not get their mode or time back")
		r.problems(b.Xattr, "did not get its extended attributes back", "did not get their extended attributes back")
	}
}

func (r reporter) problems(p kopia.Problems, one, many string) {
	switch p.Count {
	case 0:
	case 1:
		r.warn(fmt.Sprintf("%s: 1 file %s: %s", r.subject, one, named(p)))
	default:
		r.warn(fmt.Sprintf("%s: %d files %s: %s", r.subject, p.Count, many, named(p)))
	}
}

func plural(files int64) string {
	if files == 1 {
		return "1 file"
	}

	return fmt.Sprintf("%d files", files)
}

func named(p kopia.Problems) string {
	text := strings.Join(p.First, "; ")
	if more := p.Count - int64(len(p.First)); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}

	return text
}

func speed(bytes int64, seconds float64) string {
	if seconds <= 0 {
		return "at once"
	}

	return human(int64(float64(bytes)/seconds)) + "/s"
}
