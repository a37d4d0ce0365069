package locationtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// Conformance checks that a store keeps the contract of location.Store. The store must be empty.
func Conformance(t *testing.T, store location.Store) {
	t.Helper()

	for name, test := range map[string]func(*testing.T, location.Store){
		"put, get, stat":     putGetStat,
		"odd keys":           oddKeys,
		"replaces":           replaces,
		"missing":            missing,
		"put new":            putNew,
		"put new races":      putNewRaces,
		"lists by prefix":    listsByPrefix,
		"list stops":         listStops,
		"delete":             deletes,
		"failing reader":     failingReader,
		"cancelled":          cancelled,
		"large":              large,
		"check":              check,
		"more than one page": pages,
	} {
		t.Run(name, func(t *testing.T) { test(t, store) })
	}
}

func put(t *testing.T, store location.Store, key, content string) {
	t.Helper()

	n, err := store.Put(t.Context(), key, strings.NewReader(content))
	if err != nil || n != int64(len(content)) {
		t.Fatalf("Put(%q) = %d, %v; want %d", key, n, err, len(content))
	}
}

func get(t *testing.T, store location.Store, key string) string {
	t.Helper()

	r, err := store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}

	content, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}

	return string(content)
}

func list(t *testing.T, store location.Store, prefix string) []string {
	t.Helper()

	keys := []string{}

	if err := store.List(t.Context(), prefix, func(o location.Object) error {
		keys = append(keys, o.Key)

		return nil
	}); err != nil {
		t.Fatal(err)
	}

	slices.Sort(keys)

	return keys
}

func putGetStat(t *testing.T, store location.Store) {
	for _, content := range []string{"", "x", strings.Repeat("0123456789", 100000)} {
		put(t, store, "basic/object", content)

		if got := get(t, store, "basic/object"); got != content {
			t.Errorf("got %d bytes, want %d", len(got), len(content))
		}

		o, err := store.Stat(t.Context(), "/basic//object")
		if err != nil || o.Size != int64(len(content)) || o.Key != "basic/object" || o.Modified.IsZero() {
			t.Errorf("Stat = %+v, %v", o, err)
		}
	}
}

func oddKeys(t *testing.T, store location.Store) {
	for _, key := range []string{"odd/with space", "odd/plus+plus", "odd/per%20cent", "odd/ümläut", "odd/a&b=c?d#e", "odd/'quote\"", "odd/.hidden", "odd/x/../y", "odd/日本"} {
		put(t, store, key, key)

		if got := get(t, store, key); got != key {
			t.Errorf("%q holds %q", key, got)
		}

		if !slices.Contains(list(t, store, "odd/"), location.Clean(key)) {
			t.Errorf("%q is not listed: %q", location.Clean(key), list(t, store, "odd/"))
		}
	}
}

func replaces(t *testing.T, store location.Store) {
	put(t, store, "replaced", "a long first content")
	put(t, store, "replaced", "second")

	if got := get(t, store, "replaced"); got != "second" {
		t.Errorf("got %q", got)
	}
}

func missing(t *testing.T, store location.Store) {
	if _, err := store.Get(t.Context(), "missing/object"); !errors.Is(err, location.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}

	if _, err := store.Stat(t.Context(), "missing/object"); !errors.Is(err, location.ErrNotFound) {
		t.Errorf("Stat: %v", err)
	}

	if err := store.Delete(t.Context(), "missing/object"); err != nil {
		t.Errorf("Delete: %v", err)
	}

	if keys := list(t, store, "missing/"); len(keys) != 0 {
		t.Errorf("List: %q", keys)
	}
}

func putNew(t *testing.T, store location.Store) {
	if err := store.PutNew(t.Context(), "new/a", []byte("first")); err != nil {
		t.Fatal(err)
	}

	if err := store.PutNew(t.Context(), "new/a", []byte("second")); !errors.Is(err, location.ErrExists) {
		t.Errorf("second PutNew: %v", err)
	}

	if got := get(t, store, "new/a"); got != "first" {
		t.Errorf("got %q", got)
	}
}

func putNewRaces(t *testing.T, store location.Store) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []string
	)

	for i := range 8 {
		wg.Go(func() {
			content := fmt.Sprint(i)

			err := store.PutNew(context.WithoutCancel(t.Context()), "new/race", []byte(content))
			if err != nil && !errors.Is(err, location.ErrExists) {
				t.Errorf("PutNew: %v", err)
			}

			if err == nil {
				mu.Lock()
				defer mu.Unlock()

				wins = append(wins, content)
			}
		})
	}

	wg.Wait()

	if len(wins) != 1 || get(t, store, "new/race") != wins[0] {
		t.Errorf("won: %q, stored: %q", wins, get(t, store, "new/race"))
	}
}

func listsByPrefix(t *testing.T, store location.Store) {
	for _, key := range []string{"l/1", "l/10", "l/1/a", "l/2"} {
		if key == "l/1/a" { // a volume cannot hold both l/1 and l/1/a
			key = "l/1x/a"
		}

		put(t, store, key, key)
	}

	for prefix, want := range map[string][]string{
		"l/":   {"l/1", "l/10", "l/1x/a", "l/2"},
		"l/1":  {"l/1", "l/10", "l/1x/a"},
		"l/1x": {"l/1x/a"},
		"l/3":  {},
	} {
		if got := list(t, store, prefix); !slices.Equal(got, want) {
			t.Errorf("List(%q) = %q, want %q", prefix, got, want)
		}
	}

	if all := list(t, store, ""); !slices.Contains(all, "l/1x/a") {
		t.Errorf("List of everything misses an object: %q", all)
	}
}

func listStops(t *testing.T, store location.Store) {
	put(t, store, "stop/1", "")
	put(t, store, "stop/2", "")

	enough, calls := errors.New("enough"), 0

	err := store.List(t.Context(), "stop/", func(location.Object) error {
		calls++

		return enough
	})
	if !errors.Is(err, enough) || err.Error() != enough.Error() || calls != 1 { // the contract: returned as it is
		t.Errorf("List = %v after %d calls", err, calls)
	}
}

func deletes(t *testing.T, store location.Store) {
	put(t, store, "d/a/b", "x")
	put(t, store, "d/a/c", "x")

	if err := store.Delete(t.Context(), "d/a/b"); err != nil {
		t.Fatal(err)
	}

	if err := store.Delete(t.Context(), "d/a"); err != nil { // a directory at most, not an object
		t.Error(err)
	}

	if got := list(t, store, "d/"); !slices.Equal(got, []string{"d/a/c"}) {
		t.Errorf("left: %q", got)
	}
}

func failingReader(t *testing.T, store location.Store) {
	broken := errors.New("the dump died")

	for _, before := range []int64{10, 20 << 20} {
		put(t, store, "fail/object", "old")

		_, err := store.Put(t.Context(), "fail/object", io.MultiReader(io.LimitReader(rand.Reader, before), &failing{broken}))
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: Put = %v", before, err)
		}

		if got := get(t, store, "fail/object"); got != "old" {
			t.Errorf("after %d bytes: the object now holds %d bytes", before, len(got))
		}

		if got := list(t, store, "fail/"); !slices.Equal(got, []string{"fail/object"}) {
			t.Errorf("after %d bytes: listed %q", before, got)
		}
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func cancelled(t *testing.T, store location.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()

	go func() {
		_, _ = io.CopyN(writer, rand.Reader, 40<<20)

		cancel()

		_, _ = io.CopyN(writer, rand.Reader, 1<<20)
		_ = writer.Close()
	}()

	_, err := store.Put(ctx, "cancelled", reader)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v", err)
	}

	_ = reader.Close()

	if _, err := store.Stat(t.Context(), "cancelled"); !errors.Is(err, location.ErrNotFound) {
		t.Errorf("Stat = %v", err)
	}
}

// large is larger than several parts and of no round size.
func large(t *testing.T, store location.Store) {
	const size = 100<<20 + 12345

	up, down := sha256.New(), sha256.New()

	n, err := store.Put(t.Context(), "large", io.TeeReader(io.LimitReader(rand.Reader, size), up))
	if err != nil || n != size {
		t.Fatalf("Put = %d, %v", n, err)
	}

	r, err := store.Get(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}

	n, err = io.Copy(down, r)
	if err = errors.Join(err, r.Close()); err != nil || n != size {
		t.Fatalf("got %d bytes, %v", n, err)
	}

	if !bytes.Equal(up.Sum(nil), down.Sum(nil)) {
		t.Error("what came back is not what was put")
	}
}

func check(t *testing.T, store location.Store) {
	before := list(t, store, "")

	steps, err := location.Check(t.Context(), store)
	if err != nil || len(steps) != 4 {
		t.Fatalf("Check = %+v, %v", steps, err)
	}

	if after := list(t, store, ""); !slices.Equal(before, after) {
		t.Errorf("Check left something behind: %q, before %q", after, before)
	}
}

func pages(t *testing.T, store location.Store) {
	if testing.Short() {
		t.Skip("2100 objects")
	}

	const count = 2100

	var wg sync.WaitGroup

	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < count; i += 8 {
				if err := store.PutNew(t.Context(), fmt.Sprintf("pages/%04d", i), nil); err != nil {
					t.Error(err)

					return
				}
			}
		})
	}

	wg.Wait()

	if got := list(t, store, "pages/"); len(got) != count || !slices.IsSorted(got) {
		t.Errorf("listed %d objects, want %d", len(got), count)
	}
}
