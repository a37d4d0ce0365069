package kopia_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"golang.org/x/sys/unix"
)

const password = "correct horse battery staple"

// allStores are stores and GCS's. Azure's, which goes the same way, is tested on the cluster.
func allStores(t *testing.T, test func(t *testing.T, options kopia.Options)) {
	t.Helper()
	stores(t, test)

	t.Run("GCS", func(t *testing.T) {
		server := locationtest.FakeGCSPlain(t)
		server.Bucket(t, "backups")
		test(t, kopia.Options{Profile: server.Profile("backups", "team/a", "{}"), Prefix: "backups/app", Password: password, Scratch: t.TempDir(), CacheBytes: 64 << 20})
	})
}

// stores are the places that every test of this package runs against.
func stores(t *testing.T, test func(t *testing.T, options kopia.Options)) {
	t.Helper()

	t.Run("filestore", func(t *testing.T) {
		test(t, kopia.Options{
			Profile: locationtest.Filestore("team/a"), Prefix: "app", Password: password, Scratch: t.TempDir(), Location: []location.Option{location.At(t.TempDir())},
		})
	})
	t.Run("S3", func(t *testing.T) {
		server := locationtest.Versitygw(t)
		server.Bucket(t, "backups")
		test(t, kopia.Options{Profile: server.Profile("backups", "team/a"), Prefix: "backups/app", Password: password, Scratch: t.TempDir(), CacheBytes: 64 << 20})
	})
}

func create(t testing.TB, options kopia.Options) *kopia.Repository {
	t.Helper()

	r, err := kopia.OpenOrCreate(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { closeRepository(t, r) })

	return r
}

func closeRepository(t testing.TB, r *kopia.Repository) {
	t.Helper()

	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func backup(t testing.TB, r *kopia.Repository, dir string) kopia.Snapshot {
	t.Helper()

	s, err := r.Snapshot(t.Context(), kopia.Backup{
		Dir: dir, Source: kopia.Source{Namespace: "demo", Path: "/data"}, Tags: map[string]string{kopia.BackupTag: "tag-" + filepath.Base(dir)},
	})
	if err != nil {
		t.Fatal(err)
	}

	return s
}

// TestRoundTrip backs up a tree of everything odd and compares what comes back, byte by byte and attribute by attribute.
func TestRoundTrip(t *testing.T) {
	allStores(t, func(t *testing.T, options kopia.Options) {
		source := fixture(t)
		r := create(t, options)
		made := backup(t, r, source)

		if made.Unreadable.Count != 0 || made.Changed.Count != 0 || made.BytesNew == 0 {
			t.Errorf("unexpected counts: %+v", made)
		}

		if os.Geteuid() == 0 && made.Special.Count != 1 {
			t.Errorf("special files: %+v, want the one named pipe", made.Special)
		}

		target := t.TempDir()

		restored, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Target: target})
		if err != nil {
			t.Fatal(err)
		}

		if restored.Owner.Count+restored.Mode.Count+restored.Xattr.Count != 0 || restored.Files != made.Files || restored.Bytes != made.Bytes {
			t.Errorf("restored %+v, backed up %+v", restored, made)
		}

		if diff := cmp.Diff(listing(t, source, true), listing(t, target, true)); diff != "" {
			t.Errorf("source and restored tree differ (-source +restored):\n%s", diff)
		}

		if v, err := r.Verify(t.Context(), "", true); err != nil || v.Snapshots != 1 || v.BytesRead == 0 {
			t.Errorf("Verify = %+v, %v", v, err)
		}
	})
}

// TestExactRestore restores in place over a tree that has changed in every way.
func TestExactRestore(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		tree := fixture(t)
		before := listing(t, tree, true)
		r := create(t, options)
		made := backup(t, r, tree)

		outside := filepath.Join(t.TempDir(), "outside")
		for _, err := range []error{
			os.WriteFile(outside, []byte("untouched"), 0o600),
			os.WriteFile(filepath.Join(tree, "new file"), nil, 0o600),
			os.MkdirAll(filepath.Join(tree, "new dir", "deep"), 0o700),
			os.WriteFile(filepath.Join(tree, "plain"), []byte("changed"), 0o777),
			os.Remove(filepath.Join(tree, "empty")),
			os.Symlink(outside, filepath.Join(tree, "empty")), // a link where a file was: it must not be written through
			os.Remove(filepath.Join(tree, "link")),
			os.Mkdir(filepath.Join(tree, "link"), 0o700), // a directory where a link was
			os.RemoveAll(filepath.Join(tree, "dir")),
			os.WriteFile(filepath.Join(tree, "dir"), nil, 0o600), // a file where a directory was
			os.Mkdir(filepath.Join(tree, "lost+found"), 0o700),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}

		restored, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Target: tree, DeleteExtra: true})
		if err != nil {
			t.Fatal(err)
		}

		if _, err := os.Stat(filepath.Join(tree, "lost+found")); err != nil {
			t.Error("the volume's lost+found is gone")
		}

		_ = os.Remove(filepath.Join(tree, "lost+found"))
		root, _ := os.Stat(tree)
		_ = os.Chtimes(tree, root.ModTime(), root.ModTime())
		after := listing(t, tree, true)
		after["."] = before["."] // its time changed with the removal of lost+found

		delete(before, "pipe") // deleted as extra: backups do not hold pipes

		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("(-before +restored):\n%s", diff)
		}

		if text, _ := os.ReadFile(outside); string(text) != "untouched" || restored.Deleted < 2 {
			t.Errorf("outside: %q, deleted: %d", text, restored.Deleted)
		}
	})
}

func TestSubPath(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		source := fixture(t)
		r := create(t, options)
		made := backup(t, r, source)

		target := t.TempDir()
		if _, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Sub: "/dir/sub/", Target: target}); err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(listing(t, filepath.Join(source, "dir", "sub"), true), listing(t, target, true)); diff != "" {
			t.Errorf("(-source +restored):\n%s", diff)
		}

		one := t.TempDir()
		if _, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Sub: "plain", Target: one}); err != nil {
			t.Fatal(err)
		}

		if text, err := os.ReadFile(filepath.Join(one, "plain")); err != nil || string(text) != "content" {
			t.Errorf("%q, %v", text, err)
		}

		if _, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Sub: "absent", Target: one}); !errors.Is(err, kopia.ErrNotFound) {
			t.Errorf("absent sub-path: %v", err)
		}
	})
}

// TestSecondBackup reads only what changed, and finds unchanged chunks of a changed file again.
func TestSecondBackup(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		source := t.TempDir()
		random := make([]byte, 40<<20)
		_, _ = rand.Read(random)

		if err := os.WriteFile(filepath.Join(source, "database"), random, 0o600); err != nil {
			t.Fatal(err)
		}

		r := create(t, options)
		first := backup(t, r, source)
		second := backup(t, r, source)

		random[20<<20] ^= 1
		if err := os.WriteFile(filepath.Join(source, "database"), random, 0o600); err != nil {
			t.Fatal(err)
		}

		third := backup(t, r, source)

		if first.BytesNew < 40<<20 || second.BytesNew > 1<<20 || third.BytesNew < 4<<20 || third.BytesNew > 6<<20 {
			t.Errorf("uploaded %d, then unchanged %d, then with one changed page %d bytes", first.BytesNew, second.BytesNew, third.BytesNew)
		}

		if first.Files != 1 || second.Files != 1 || second.Bytes != 40<<20 {
			t.Errorf("second: %+v", second)
		}
	})
}

func TestFindDeleteReclaim(t *testing.T) {
	allStores(t, func(t *testing.T, options kopia.Options) {
		source := t.TempDir()
		random := make([]byte, 8<<20)
		_, _ = rand.Read(random)

		if err := os.WriteFile(filepath.Join(source, "f"), random, 0o600); err != nil {
			t.Fatal(err)
		}

		r := create(t, options)
		a, b := backup(t, r, source), backup(t, r, source)

		for _, c := range []struct{ id, tag, want string }{{a.ID, "", a.ID}, {a.ID[:8], "", a.ID}, {"", "tag-" + filepath.Base(source), b.ID}} {
			if got, err := r.Find(t.Context(), c.id, c.tag); err != nil || got.ID != c.want || got.Source.Path != "/data" || got.Source.Namespace != "demo" {
				t.Errorf("Find(%q, %q) = %+v, %v", c.id, c.tag, got, err)
			}
		}

		for _, c := range []struct{ id, tag string }{{"0123456789abcdef", ""}, {"", "absent"}, {"", ""}, {a.ID[:4], ""}} {
			if _, err := r.Find(t.Context(), c.id, c.tag); !errors.Is(err, kopia.ErrNotFound) {
				t.Errorf("Find(%q, %q): %v", c.id, c.tag, err)
			}
		}

		for _, mode := range kopia.StatsModes {
			if s, err := r.Stats(t.Context(), a.ID, mode); err != nil || s.Bytes < 8<<20 || s.Bytes > 9<<20 || s.Count < 1 {
				t.Errorf("Stats(%s) = %+v, %v", mode, s, err)
			}
		}

		if err := r.Delete(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}

		if err := r.Delete(t.Context(), a.ID); !errors.Is(err, kopia.ErrNotFound) {
			t.Errorf("second Delete: %v", err)
		}

		if freed, err := r.Reclaim(t.Context(), kopia.Reckless); err != nil || freed > 1<<20 {
			t.Errorf("reclaimed %d of data that is in use: %v", freed, err)
		}

		if _, err := r.Restore(t.Context(), kopia.Restore{ID: b.ID, Target: t.TempDir()}); err != nil {
			t.Error(err)
		}

		if err := r.Delete(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}

		time.Sleep(1100 * time.Millisecond) // object stores tell the time in seconds, and what is younger than the reclaim stays

		freed, err := r.Reclaim(t.Context(), kopia.Reckless)
		if err != nil || freed < 8<<20 {
			t.Errorf("reclaimed %d: %v", freed, err)
		}
	})
}

// TestReplaced: a backup into a repository whose format was overwritten meanwhile, as stores without conditional writes allow it, is none.
func TestReplaced(t *testing.T) {
	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	options := kopia.Options{Profile: server.Profile("backups", ""), Prefix: "one", Password: password, Scratch: t.TempDir()}
	other := options
	other.Prefix = "two"
	r := create(t, options)
	create(t, other)

	theirs, err := os.ReadFile(filepath.Join(server.Dir, "backups", "two", "kopia.repository"))
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(server.Dir, "backups", "one", "kopia.repository"), theirs, 0o600); err != nil {
		t.Fatal(err)
	}

	if _, err := r.Snapshot(t.Context(), kopia.Backup{Dir: t.TempDir(), Source: kopia.Source{Namespace: "demo", Path: "/data"}}); err == nil || !strings.Contains(err.Error(), "another first backup") {
		t.Errorf("the backup of files: %v", err)
	}

	if _, err := r.SnapshotStream(t.Context(), kopia.Backup{Source: kopia.Source{Namespace: "demo", Path: "/dump"}}, "", strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "another first backup") {
		t.Errorf("the backup of a stream: %v", err)
	}
}

// TestNeighboursBelow: reclaiming space of one repository leaves those that lie below its prefix alone, whatever they are called: that of
// a pod "postgres-0", or upstream's restic, begin as kopia's blobs do.
func TestNeighboursBelow(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		source := t.TempDir()
		if err := os.WriteFile(filepath.Join(source, "f"), []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}

		outer := create(t, options)
		backup(t, outer, source)

		before, err := outer.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		var below []kopia.Options

		for _, name := range []string{"postgres-0", "shop"} {
			inner := options
			inner.Prefix += "/" + name
			backup(t, create(t, inner), source)

			below = append(below, inner)
		}

		if after, err := outer.Size(t.Context()); err != nil || after != before {
			t.Errorf("the repository grew from %d to %d by those below it: %v", before, after, err)
		}

		time.Sleep(1100 * time.Millisecond) // object stores tell the time in seconds, and what is younger than the reclaim stays

		if _, err := outer.Reclaim(t.Context(), kopia.Reckless); err != nil {
			t.Error(err)
		}

		for _, inner := range below {
			r, err := kopia.Open(t.Context(), inner)
			if err != nil {
				t.Errorf("%s: %v", inner.Prefix, err)

				continue
			}

			if _, err := r.Verify(t.Context(), "", true); err != nil {
				t.Errorf("%s: %v", inner.Prefix, err)
			}

			closeRepository(t, r)
		}
	})
}

func TestOpenSaysWhy(t *testing.T) {
	allStores(t, func(t *testing.T, options kopia.Options) {
		if _, err := kopia.Open(t.Context(), options); !errors.Is(err, kopia.ErrNoRepository) {
			t.Errorf("no repository: %v", err)
		}

		r := create(t, options)
		made := backup(t, r, fixture(t))

		wrong := options
		wrong.Password = "wrong"

		for name, open := range map[string]func() (*kopia.Repository, error){
			"Open":         func() (*kopia.Repository, error) { return kopia.Open(t.Context(), wrong) },
			"OpenOrCreate": func() (*kopia.Repository, error) { return kopia.OpenOrCreate(t.Context(), wrong) },
		} {
			if _, err := open(); location.ReasonOf(err) != location.WrongPassword || !strings.Contains(err.Error(), "team/a/app") {
				t.Errorf("%s with a wrong password: %v (%s)", name, err, location.ReasonOf(err))
			}
		}

		// … and the repository is as it was.
		if _, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Target: t.TempDir()}); err != nil {
			t.Error(err)
		}

		store, err := location.Open(t.Context(), options.Profile, options.Location...)
		if err != nil {
			t.Fatal(err)
		}

		for _, key := range []string{"old/config", "old/keys/0123"} {
			if _, err := store.Put(t.Context(), key, strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
		}

		if options.Profile.Location.Type == blueprint.LocationFilestore {
			return // upstream's functions wrote to none
		}

		both := options
		both.Prefix = "old"

		if _, err := kopia.Open(t.Context(), both); !errors.Is(err, kopia.ErrNoRepository) {
			t.Errorf("beside restic: %v", err)
		}

		saved, err := create(t, both).Snapshot(t.Context(), kopia.Backup{Dir: fixture(t), Source: kopia.Source{Namespace: "demo", Path: "/"}})
		if err != nil {
			t.Fatal(err)
		}

		// It is found whether restic's is still there or not, and touches nothing of that.
		for _, gone := range []string{"", "old/config"} {
			if gone != "" {
				if err := store.Delete(t.Context(), gone); err != nil {
					t.Fatal(err)
				}
			}

			if _, err := create(t, both).Find(t.Context(), saved.ID, ""); err != nil {
				t.Errorf("without %q: %v", gone, err)
			}
		}

		if err := store.List(t.Context(), "old/", func(o location.Object) error {
			if !strings.HasPrefix(o.Key, "old/.kopia/") && o.Key != "old/keys/0123" {
				t.Errorf("%s lies among restic's", o.Key)
			}

			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// TestCreationRaces lets several processes' worth of first backups start at once.
func TestCreationRaces(t *testing.T) {
	allStores(t, func(t *testing.T, options kopia.Options) {
		source := fixture(t)

		var wg sync.WaitGroup

		for i := range 4 {
			wg.Go(func() {
				r, err := kopia.OpenOrCreate(t.Context(), options)
				if err != nil {
					t.Error(err)

					return
				}
				defer closeRepository(t, r)

				if _, err := r.Snapshot(t.Context(), kopia.Backup{Dir: source, Source: kopia.Source{Namespace: "demo", Path: fmt.Sprintf("/%d", i)}}); err != nil {
					t.Error(err)
				}
			})
		}

		wg.Wait()

		r := create(t, options)
		if all, err := r.List(t.Context()); err != nil || len(all) != 4 {
			t.Errorf("%d snapshots, %v", len(all), err)
		}

		if _, err := r.Verify(t.Context(), "", true); err != nil {
			t.Error(err)
		}
	})
}

// fixture makes a tree of everything odd that a volume may hold.
func fixture(t testing.TB) string {
	t.Helper()

	root := t.TempDir()
	must := func(err error) {
		t.Helper()

		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, content []byte, mode fs.FileMode) {
		must(os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		must(os.WriteFile(filepath.Join(root, name), content, 0o600))
		must(os.Chmod(filepath.Join(root, name), mode))
	}

	random := make([]byte, 9<<20+17)
	_, _ = rand.Read(random)

	write("plain", []byte("content"), 0o644)
	write("empty", nil, 0o600)
	write("random", random, 0o600)
	write("text", bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog\n"), 100000), 0o640)
	write("mode/none", []byte("x"), 0)
	write("mode/setuid", []byte("x"), 0o755|fs.ModeSetuid)
	write("mode/setgid", []byte("x"), 0o755|fs.ModeSetgid)
	write("mode/all", []byte("x"), 0o777)
	write("dir/sub/file", []byte("x"), 0o600)
	write("dir/sub/deeper/file", []byte("y"), 0o600)
	write("name with space", []byte("x"), 0o600)
	write("new\nline", []byte("x"), 0o600)
	write("quote'\"`$(x)\\", []byte("x"), 0o600)
	write("not utf8 \xff\xfe", []byte("x"), 0o600)
	write("ünïcödé 日本", []byte("x"), 0o600)
	write(strings.Repeat("n", 255), []byte("x"), 0o600)
	write("shallow.kopia-entry", []byte("an ordinary file to us"), 0o600)
	write(".kopiaignore", []byte("*\n"), 0o600)
	write("cache/CACHEDIR.TAG", []byte("Signature: 8a477f597d28d172789f06886806bc55"), 0o600)
	write("cache/file", []byte("x"), 0o600)
	must(os.Mkdir(filepath.Join(root, "empty dir"), 0o700))
	must(os.Symlink("plain", filepath.Join(root, "link")))
	must(os.Symlink("/nowhere/at all", filepath.Join(root, "dangling")))
	must(os.Symlink("dir", filepath.Join(root, "link to dir")))
	must(os.Link(filepath.Join(root, "plain"), filepath.Join(root, "dir", "hard")))
	must(os.Link(filepath.Join(root, "plain"), filepath.Join(root, "dir", "sub", "hard")))

	sparse, err := os.Create(filepath.Join(root, "sparse"))
	must(err)
	must(sparse.Truncate(16 << 20))
	_, err = sparse.WriteAt([]byte("in the middle"), 9<<20)
	must(err)
	must(sparse.Close())

	must(unix.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	must(os.WriteFile(filepath.Join(root, "attributed"), []byte("x"), 0o600))

	if err := unix.Lsetxattr(filepath.Join(root, "attributed"), "user.kanister", []byte("a\x00b"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}

	if os.Geteuid() == 0 {
		must(os.Lchown(filepath.Join(root, "dir"), 999, 998))
		must(os.Lchown(filepath.Join(root, "link"), 999, 998))
		must(os.Lchown(filepath.Join(root, "text"), 70, 70))
	}

	must(os.Chmod(filepath.Join(root, "dir"), 0o2750|fs.ModeSetgid|fs.ModeSticky))

	old := time.Date(2001, 2, 3, 4, 5, 6, 789012345, time.UTC)
	for _, name := range []string{"plain", "text", "empty dir", "dir/sub", "dir"} {
		must(os.Chtimes(filepath.Join(root, name), old, old))
	}

	return root
}

// listing describes a tree, one line per path. exact adds what only our own restore brings back: holes, hard links, xattrs.
func listing(t testing.TB, root string, exact bool) map[string]string {
	t.Helper()

	lines := map[string]string{}
	inodes := map[uint64]string{}

	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		rel, _ := filepath.Rel(root, p)

		info, err := d.Info()
		if err != nil {
			return err
		}

		if info.Mode()&fs.ModeNamedPipe != 0 {
			return nil
		}

		stat := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%v %d:%d %v", info.Mode(), stat.Uid, stat.Gid, info.ModTime().UTC().Format(time.RFC3339Nano))

		switch info.Mode().Type() {
		case fs.ModeSymlink:
			to, _ := os.Readlink(p)
			line += " -> " + to
		case 0:
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}

			line += fmt.Sprintf(" %d bytes %x", len(content), sum(content))

			if exact {
				if first, seen := inodes[stat.Ino]; seen {
					line += " same as " + first
				} else {
					inodes[stat.Ino] = rel
				}

				if stat.Size >= 1<<20 {
					line += fmt.Sprintf(" sparse %v", stat.Blocks*512 < stat.Size/2)
				}
			}
		}

		if exact {
			value := make([]byte, 100)
			if n, err := unix.Lgetxattr(p, "user.kanister", value); err == nil {
				line += fmt.Sprintf(" xattr %q", value[:n])
			}
		}

		lines[rel] = line

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return lines
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)

	return h[:8]
}
