package kopia_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
)

// noise makes a file of random bytes.
func noise(t *testing.T, name string, size int64) {
	t.Helper()

	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}

	_, err = io.CopyN(f, rand.Reader, size)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestCancel ends a backup in the middle: promptly, with the cause, and with a sound repository that the next backup uses.
func TestCancel(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		source := t.TempDir()
		for _, name := range []string{"a", "b", "c"} {
			noise(t, filepath.Join(source, name), 64<<20)
		}

		r := create(t, options)
		why := errors.New("the run was cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())

		var cancelled time.Time

		_, err := r.Snapshot(ctx, kopia.Backup{
			Dir: source, Source: kopia.Source{Namespace: "demo", Path: "/data"}, Interval: 5 * time.Millisecond,
			Progress: func(p kopia.Progress) {
				if p.BytesDone > 10<<20 && cancelled.IsZero() {
					cancelled = time.Now()

					cancel(why)
				}
			},
		})
		if !errors.Is(err, why) {
			t.Fatalf("Snapshot = %v", err)
		}

		if took := time.Since(cancelled); took > 10*time.Second {
			t.Errorf("it took %v to end", took)
		}

		if all, err := r.List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("a cancelled backup left %d snapshots, %v", len(all), err)
		}

		made := backup(t, r, source)
		if v, err := r.Verify(t.Context(), "", true); err != nil || v.Snapshots != 1 || made.Files != 3 {
			t.Errorf("after it: %+v, %v", v, err)
		}
	})
}

// TestStoreFails: a store that dies in the middle fails the backup, although kopia counts its errors among unreadable files.
func TestStoreFails(t *testing.T) {
	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	source := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		noise(t, filepath.Join(source, name), 64<<20)
	}

	r, err := kopia.OpenOrCreate(t.Context(), kopia.Options{
		Profile: server.Profile("backups", ""), Prefix: "app", Password: password, Scratch: t.TempDir(), Location: []location.Option{location.Attempts(2)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context()) // its store is gone

	killed := false
	made, err := r.Snapshot(t.Context(), kopia.Backup{
		Dir: source, Source: kopia.Source{Namespace: "demo", Path: "/data"}, Interval: 5 * time.Millisecond,
		Progress: func(p kopia.Progress) {
			if p.BytesDone > 10<<20 && !killed {
				killed = true

				if err := syscall.Kill(server.Pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		},
	})
	if err == nil {
		t.Fatalf("the backup succeeded without a store: %+v", made)
	}

	if reason := location.ReasonOf(err); reason != location.Unreachable {
		t.Errorf("reason %q: %v", reason, err)
	}
}

// TestDamage: what the store has lost or spoilt is found.
func TestDamage(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"lost": os.Remove,
		"cut":  func(file string) error { return os.Truncate(file, 1000) },
		"spoilt": func(file string) error {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				return err
			}

			_, err = f.WriteAt(make([]byte, 4096), 1<<20)

			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, source := t.TempDir(), t.TempDir()
			noise(t, filepath.Join(source, "file"), 8<<20)

			options := kopia.Options{Profile: locationtest.Filestore(""), Prefix: "app", Password: password, Scratch: t.TempDir(), Location: []location.Option{location.At(dir)}}
			r := create(t, options)
			made := backup(t, r, source)

			var packs []string

			if err := filepath.WalkDir(filepath.Join(dir, "app"), func(p string, _ os.DirEntry, err error) error {
				if info, statErr := os.Stat(p); err == nil && statErr == nil && info.Mode().IsRegular() && info.Size() > 4<<20 {
					packs = append(packs, p)
				}

				return err
			}); err != nil || len(packs) == 0 {
				t.Fatalf("no packs: %v", err)
			}

			if err := spoil(packs[0]); err != nil {
				t.Fatal(err)
			}

			if _, err := r.Verify(t.Context(), made.ID, true); err == nil {
				t.Error("Verify found nothing")
			}

			if _, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Target: t.TempDir()}); err == nil {
				t.Error("Restore found nothing")
			}
		})
	}
}

// TestChanged: files that change while they are read are counted and named, and are in the backup.
func TestChanged(t *testing.T) {
	source := t.TempDir()
	noise(t, filepath.Join(source, "log"), 64<<20)
	noise(t, filepath.Join(source, "quiet"), 1<<20)

	r := create(t, kopia.Options{Profile: locationtest.Filestore(""), Prefix: "app", Password: password, Scratch: t.TempDir(), Location: []location.Option{location.At(t.TempDir())}})

	written := false
	made, err := r.Snapshot(t.Context(), kopia.Backup{
		Dir: source, Source: kopia.Source{Namespace: "demo", Path: "/data"}, Interval: time.Millisecond,
		Progress: func(p kopia.Progress) {
			if p.BytesDone > 2<<20 && !written {
				written = true

				f, err := os.OpenFile(filepath.Join(source, "log"), os.O_APPEND|os.O_WRONLY, 0)
				if err == nil {
					_, err = f.WriteString("one more line\n")
					err = errors.Join(err, f.Close())
				}

				if err != nil {
					t.Error(err)
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}

	if made.Changed.Count != 1 || len(made.Changed.First) != 1 || !strings.HasPrefix(made.Changed.First[0], "log: ") || made.Files != 2 {
		t.Errorf("%+v", made)
	}
}

// TestUnreadable runs as a user without rights, as most workers do: what it cannot read is counted and named, the rest is backed up.
func TestUnreadable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}

	source := fixture(t)

	for _, err := range []error{
		os.Mkdir(filepath.Join(source, "closed"), 0),
		os.WriteFile(filepath.Join(source, "secret"), []byte("x"), 0),
		os.Chmod(filepath.Dir(source), 0o755), os.Chmod(filepath.Dir(filepath.Dir(source)), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	store, scratch := t.TempDir(), t.TempDir()
	for _, dir := range []string{store, scratch} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}

	// Where the test binary lies only we may look.
	program, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(scratch, "test"), program, 0o755)
	}

	if err != nil {
		t.Fatal(err)
	}

	// The runner was there before, and has made the directory.
	shared, err := location.Open(t.Context(), locationtest.Filestore(""), location.At(store))
	if err == nil {
		_, err = shared.Put(t.Context(), "team/entry", strings.NewReader("x"))
	}

	if err != nil {
		t.Fatal(err)
	}

	// The test itself again, as somebody else: one backs up, another deletes that and backs up as well.
	for _, uid := range []uint32{4242, 4343} {
		cmd := exec.Command(filepath.Join(scratch, "test"), "-test.run", "^TestBackupAsSomebodyElse$", "-test.v")
		cmd.Env = append(os.Environ(), "KANISTER_TEST_SOURCE="+source, "KANISTER_TEST_STORE="+store, "TMPDIR="+scratch)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Dir = "/"

		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
}

// TestBackupAsSomebodyElse is run by TestUnreadable.
func TestBackupAsSomebodyElse(t *testing.T) {
	source, store := os.Getenv("KANISTER_TEST_SOURCE"), os.Getenv("KANISTER_TEST_STORE")
	if source == "" {
		t.Skip("run by TestUnreadable")
	}

	r := create(t, kopia.Options{Profile: locationtest.Filestore("team"), Prefix: "app", Password: password, Scratch: t.TempDir(), Location: []location.Option{location.At(store)}})

	all, err := r.List(t.Context())
	for _, s := range all {
		err = errors.Join(err, r.Delete(t.Context(), s.ID))
	}

	if _, reclaimErr := r.Reclaim(t.Context(), kopia.Reckless); err != nil || reclaimErr != nil {
		t.Error(err, reclaimErr)
	}

	made := backup(t, r, source)
	names := strings.Join(made.Unreadable.First, "\n")

	if made.Unreadable.Count < 10 || len(made.Unreadable.First) != 10 || !strings.Contains(names, ": permission denied") || strings.Contains(names, source) || made.Files == 0 {
		t.Errorf("%+v", made)
	}

	// The restore cannot give files back to others; it says so.
	restored, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Target: t.TempDir()})
	if err != nil || restored.Owner.Count == 0 || !strings.Contains(restored.Owner.First[0], "owner ") {
		t.Errorf("%+v, %v", restored, err)
	}
}
