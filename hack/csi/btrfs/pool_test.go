package btrfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const gib = 1 << 30

func openPool(t *testing.T) (*Pool, Options) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		t.Skip("btrfs-progs is not installed")
	}
	dir := t.TempDir()
	o := Options{
		Image: filepath.Join(dir, "pool.img"), Root: filepath.Join(dir, "a pool"), Size: 4 * gib,
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Unmount(o.Root); err != nil {
			t.Error(err)
		}
	})
	return p, o
}

func write(t *testing.T, p *Pool, id, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.VolumePath(id), name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, p *Pool, id, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.VolumePath(id), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestSnapshotKeepsTheInstant(t *testing.T) {
	p, _ := openPool(t)
	ctx := t.Context()
	v := must(p.CreateVolume(ctx, "pvc-1", gib, ""))(t)
	write(t, p, v.ID, "f", "before")
	s := must(p.CreateSnapshot(ctx, "snap-1", v.ID))(t)
	clone := must(p.CreateVolume(ctx, "pvc-clone", gib, v.ID))(t)
	write(t, p, v.ID, "f", "after")
	restored := must(p.CreateVolume(ctx, "pvc-2", 2*gib, s.ID))(t)

	// What was made from the volume outlives it.
	if err := errors.Join(p.DeleteVolume(ctx, v.ID), p.DeleteSnapshot(ctx, s.ID)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{restored.ID, clone.ID} {
		if got := read(t, p, id, "f"); got != "before" {
			t.Errorf("%s holds %q, want %q", id, got, "before")
		}
		write(t, p, id, "g", "restored volumes are writable")
	}
}

func TestCallsRepeat(t *testing.T) {
	p, o := openPool(t)
	ctx := t.Context()
	v := must(p.CreateVolume(ctx, "pvc-1", gib, ""))(t)
	write(t, p, v.ID, "f", "kept")
	s := must(p.CreateSnapshot(ctx, "snap-1", v.ID))(t)

	p = must(Open(ctx, o))(t) // as a restarted driver does, under a mounted pool
	if again := must(p.CreateVolume(ctx, "pvc-1", gib, ""))(t); again != v {
		t.Errorf("second create = %+v, want %+v", again, v)
	}
	if again := must(p.CreateSnapshot(ctx, "snap-1", v.ID))(t); again != s {
		t.Errorf("second snapshot = %+v, want %+v", again, s)
	}
	if got := read(t, p, v.ID, "f"); got != "kept" {
		t.Errorf("volume holds %q after second create", got)
	}
	for range 2 {
		if err := errors.Join(p.DeleteSnapshot(ctx, s.ID), p.DeleteVolume(ctx, v.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if all := must(p.Volumes())(t); len(all) != 0 {
		t.Errorf("volumes left: %v", all)
	}
}

func TestRefusals(t *testing.T) {
	p, _ := openPool(t)
	ctx := t.Context()
	v := must(p.CreateVolume(ctx, "pvc-1", 2*gib, ""))(t)
	w := must(p.CreateVolume(ctx, "pvc-2", gib, ""))(t)
	must(p.CreateSnapshot(ctx, "snap-1", v.ID))(t)
	volume := func(name string, capacity int64, source string) error {
		_, err := p.CreateVolume(ctx, name, capacity, source)
		return err
	}
	snapshot := func(name, volume string) error {
		_, err := p.CreateSnapshot(ctx, name, volume)
		return err
	}
	for name, c := range map[string]struct{ err, want error }{
		"other capacity":      {volume("pvc-1", gib, ""), ErrConflict},
		"other source":        {volume("pvc-1", 2*gib, w.ID), ErrConflict},
		"smaller than source": {volume("pvc-3", gib, v.ID), ErrCapacity},
		"larger than pool":    {volume("pvc-3", 5*gib, ""), ErrCapacity},
		"unknown source":      {volume("pvc-3", gib, idOf(snapshots, "none")), ErrNotFound},
		"path as source":      {volume("pvc-3", gib, "../records"), ErrNotFound},
		"other volume":        {snapshot("snap-1", w.ID), ErrConflict},
		"unknown volume":      {snapshot("snap-2", idOf(volumes, "none")), ErrNotFound},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: error %v, want %v", name, c.err, c.want)
		}
	}
	if err := p.DeleteVolume(ctx, "../../etc"); err != nil {
		t.Errorf("deleting a path: %v, want nothing done", err)
	}
}

func TestInterruptedCallsAreCarriedOn(t *testing.T) {
	p, o := openPool(t)
	ctx := t.Context()
	// A create that died before its record, and a delete that died before the record went.
	halfMade := must(p.CreateVolume(ctx, "half made", gib, ""))(t)
	write(t, p, halfMade.ID, "f", "never handed out")
	halfGone := must(p.CreateVolume(ctx, "half gone", gib, ""))(t)
	if err := errors.Join(os.Remove(p.recordFile(volumes, halfMade.ID)), p.deleteSubvolume(ctx, volumes, halfGone.ID)); err != nil {
		t.Fatal(err)
	}

	p = must(Open(ctx, o))(t)
	if _, err := os.Stat(p.VolumePath(halfMade.ID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("subvolume without record is still there: %v", err)
	}
	for _, r := range []Record{halfMade, halfGone} {
		again := must(p.CreateVolume(ctx, r.Name, gib, ""))(t)
		if entries := must(os.ReadDir(p.VolumePath(again.ID)))(t); len(entries) != 0 {
			t.Errorf("volume %q begins with %v", r.Name, entries)
		}
	}
}

func TestCapacityIsEnforced(t *testing.T) {
	p, _ := openPool(t)
	if !p.QuotaEnabled() {
		t.Skip("kernel without simple quotas")
	}
	ctx := t.Context()
	v := must(p.CreateVolume(ctx, "small", 8<<20, ""))(t)
	err := os.WriteFile(filepath.Join(p.VolumePath(v.ID), "big"), make([]byte, 32<<20), 0o600)
	if !errors.Is(err, unix.EDQUOT) {
		t.Errorf("writing 32 MiB to a volume of 8 MiB: %v, want %v", err, unix.EDQUOT)
	}
	unix.Sync()
	if used := must(p.Used(ctx, v.ID))(t); used <= 0 || used > 8<<20 {
		t.Errorf("used = %d, want at most the capacity", used)
	}
}

func TestPoolIsNoLargerThanTheDisk(t *testing.T) {
	image := filepath.Join(t.TempDir(), "pool.img")
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		t.Skip("btrfs-progs is not installed")
	}
	if err := makeImage(t.Context(), image, 1<<50); err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(image, &st); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	if free := int64(st.Bavail) * st.Bsize; info.Size() <= 0 || info.Size() >= free {
		t.Errorf("pool of %d bytes on a disk with %d free", info.Size(), free)
	}
}

func TestParseMount(t *testing.T) {
	for line, want := range map[string]Mount{
		`36 35 98:0 /volumes/vol-1 /mnt/a\040b rw,noatime shared:1 - btrfs /dev/loop0 rw`: {Root: "/volumes/vol-1", Point: "/mnt/a b", Type: "btrfs"},
		`36 35 98:0 / /mnt ro - ext4 /dev/sda rw`:                                         {Root: "/", Point: "/mnt", ReadOnly: true, Type: "ext4"},
		`36 35 98:0 /x\134y /mnt rw master:1 propagate_from:2 - xfs /dev/sda ro`:          {Root: `/x\y`, Point: "/mnt", Type: "xfs"},
	} {
		if got, ok := parseMount(line); !ok || got != want {
			t.Errorf("parseMount(%q) = %+v, %v, want %+v", line, got, ok, want)
		}
	}
	for _, line := range []string{"", "36 35 98:0 / /mnt rw", fmt.Sprint("- ", "x")} {
		if got, ok := parseMount(line); ok {
			t.Errorf("parseMount(%q) = %+v, want none", line, got)
		}
	}
}
