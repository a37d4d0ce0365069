package restic

import (
	"fmt"
	"path"
	"strings"
)

// Exit codes with which the scripts say why restic was not even started.
const (
	// NoRestic: the image holds no restic.
	NoRestic = 78
	// TooOld: restic cannot restore a part of a snapshot (before 0.16).
	TooOld = 79
)

// preamble reads the environment; the scripts need nothing but a POSIX shell. $1 is the file with the environment.
const preamble = `command -v restic >/dev/null 2>&1 || exit 78
. "$1" || exit 1
shift
`

// The scripts. Their positional parameters are values that no shell looks into.
const (
	run = preamble + `exec restic "$@"
`
	part = preamble + `case "$(restic version)" in "restic 0."[0-9].*|"restic 0.1"[0-5].*) exit 79;; esac
exec restic "$@"
`
	// forget: locks of a client that died more than half an hour ago are removed first; upstream never does, and they would keep
	// everybody from deleting for ever.
	forget = preamble + `restic unlock $INSECURE || exit 1
exec restic "$@"
`
)

func command(script, dir string, args ...string) []string {
	return append([]string{"sh", "-c", script, "restic", path.Join(dir, EnvFile)}, args...)
}

// List is the command that lists all snapshots as JSON, see Snapshots.
func (r *Repository) List(dir string) []string {
	return command(run, dir, append([]string{"snapshots", "--json", "--no-lock"}, r.Flags...)...)
}

// Stats is the command that measures a snapshot, see ParseStats.
func (r *Repository) Stats(dir, id, mode string) []string {
	return command(run, dir, append([]string{"stats", "--json", "--no-lock", "--mode", mode, id}, r.Flags...)...)
}

// Check is the command that opens the repository and no more.
func (r *Repository) Check(dir string) []string {
	return command(run, dir, append([]string{"cat", "config", "--no-lock"}, r.Flags...)...)
}

// Forget is the command that deletes snapshots, and with prune frees what none needs any more, see Freed.
func (r *Repository) Forget(dir string, ids []string, prune bool) []string {
	args := append([]string{"forget"}, r.Flags...)
	if prune {
		args = append(args, "--prune")
	}

	return command(strings.ReplaceAll(forget, "$INSECURE", strings.Join(r.Flags, " ")), dir, append(args, ids...)...)
}

// Restore asks to restore a snapshot.
type Restore struct {
	// ID, or Tag: the latest with it.
	ID, Tag string
	// Sub is an absolute path in the snapshot; its content goes to Path directly. Needs restic 0.16.
	Sub string
	// Path is the absolute path below which files come back.
	Path string
	// Volumes are the absolute paths at which volumes are mounted. Only what lands on one is restored: the rest would be lost with
	// the pod.
	Volumes []string
	// Root is where the application's file system begins in the pod.
	Root string
}

// Restore is the command for it. It takes no lock, so that no lock left behind stands in the way of getting data back.
func (r *Repository) Restore(dir string, q Restore) ([]string, error) {
	target := path.Clean("/" + q.Path)

	includes, err := includes(target, q.Volumes)
	if err != nil {
		return nil, err
	}

	snapshot, script := q.ID, run
	if q.Tag != "" {
		snapshot = "latest"
	}

	if sub := path.Clean("/" + q.Sub); sub != "/" {
		snapshot, script = snapshot+":"+sub, part
	}

	args := append([]string{"restore", "--no-lock", "--target", path.Join(q.Root, target)}, r.Flags...)
	if q.Tag != "" {
		args = append(args, "--tag", q.Tag)
	}

	for _, include := range includes {
		args = append(args, "--include", include)
	}

	return command(script, dir, append(args, snapshot)...), nil
}

// includes are the patterns for what lands on the volumes; none means everything does. What is above a volume's root, and that root
// itself, are left as they are: they belong to the pod.
func includes(target string, volumes []string) ([]string, error) {
	var patterns []string

	for _, volume := range volumes {
		volume = path.Clean(volume)

		switch {
		case within(target, volume):
			return nil, nil
		case within(volume, target):
			patterns = append(patterns, escape("/"+strings.TrimPrefix(strings.TrimPrefix(volume, target), "/"))+"/*")
		}
	}

	if len(patterns) == 0 {
		return nil, fmt.Errorf("restoring below %q: nothing can land on the volumes at %s", target, strings.Join(volumes, ", "))
	}

	return patterns, nil
}

// within tells whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

var patternMeta = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func escape(name string) string { return patternMeta.Replace(name) }
