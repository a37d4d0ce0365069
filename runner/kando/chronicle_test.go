package kando

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, name, content string) string {
	t.Helper()

	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}

	return name
}

// TestChronicle runs a few rounds, ends, and goes on where it was.
func TestChronicle(t *testing.T) {
	dir, profile := bucket(t, "pre")
	files := t.TempDir()
	env := filepath.Join(files, "env")

	if err := os.Mkdir(env, 0o700); err != nil {
		t.Fatal(err)
	}

	writeFile(t, filepath.Join(env, "WHAT"), "a value")

	if err := os.Symlink(filepath.Join(env, "WHAT"), filepath.Join(env, "LINKED")); err != nil { // as in a mounted Secret
		t.Fatal(err)
	}

	count := filepath.Join(files, "count")
	key := writeFile(t, filepath.Join(files, "key"), "dumps/log\n")
	profileFile := filepath.Join(files, "profile")
	command := `echo x >> ` + count + `; echo "$WHAT, $LINKED, $HOME."; wc -l < ` + count

	push := func(rounds int, command string) (int, string) {
		t.Helper()

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()

		var errOut bytes.Buffer

		done := make(chan int, 1)
		go func() {
			done <- Main(ctx, []string{"chronicle", "push", "-p", profileFile, "-s", key, "-e", env, "-f", "20ms", command}, Streams{Out: &errOut, ErrOut: &errOut}, "")
		}()

		deadline := time.Now().Add(30 * time.Second)

		for {
			select {
			case code := <-done:
				return code, errOut.String()
			case <-time.After(10 * time.Millisecond):
			}

			text, _ := os.ReadFile(count)
			if bytes.Count(text, []byte("\n")) >= rounds {
				cancel()

				return <-done, errOut.String()
			}

			if rounds == 0 && time.Since(deadline.Add(-30*time.Second)) > 300*time.Millisecond {
				cancel()

				return <-done, errOut.String()
			}

			if time.Now().After(deadline) {
				t.Fatal("no rounds")
			}
		}
	}
	pull := func() ran {
		t.Helper()

		return run(t, nil, "chronicle", "pull", "--profile", profile, "--path", "dumps/log", "-")
	}
	keys := func() []string {
		t.Helper()

		found, err := filepath.Glob(filepath.Join(dir, "pre/dumps/*"))
		if err != nil {
			t.Fatal(err)
		}

		return found
	}

	if got := pull(); got.code != ExitError || !strings.Contains(got.err, "manifest") {
		t.Errorf("nothing there: %+v", got)
	}

	// Without a profile it waits.
	if code, said := push(0, command); code != 0 || said != "" || len(keys()) > 0 {
		t.Errorf("without a profile: %d %q %q", code, said, keys())
	}

	writeFile(t, profileFile, profile)

	if code, said := push(4, command); code != 0 || said != "" {
		t.Fatalf("%d %q", code, said)
	}

	first := pull()
	if !strings.HasPrefix(first.out, "a value, a value, .\n") {
		t.Errorf("%+v", first)
	}

	if found := keys(); len(found) != 2 {
		t.Errorf("left %q", found)
	}

	// Another process does not count from the beginning, which would write over what the manifest names.
	if code, said := push(8, command); code != 0 || said != "" {
		t.Fatalf("%d %q", code, said)
	}

	second := pull()
	if second.code != 0 || second.out == first.out || len(keys()) != 2 {
		t.Errorf("%+v, %q", second, keys())
	}

	// A command that fails ends it, and what it wrote is not stored.
	if code, said := push(1000, "echo half; exit 3"); code != ExitError || !strings.Contains(said, "exit status 3") {
		t.Errorf("%d %q", code, said)
	}

	if third := pull(); third != second || len(keys()) != 2 {
		t.Errorf("%+v, %q", third, keys())
	}

	// Something else lies at the key.
	if got := run(t, strings.NewReader("no manifest"), "location", "push", "--profile", profile, "--path", "dumps/log", "-"); got.code != 0 {
		t.Fatal(got.err)
	}

	if code, said := push(1000, command); code != ExitError || !strings.Contains(said, "something else") {
		t.Errorf("%d %q", code, said)
	}

	for _, args := range [][]string{{"-s", key, "x"}, {"-p", profileFile, "x"}, {"-p", profileFile, "-s", key}, {"-p", profileFile, "-s", key, "-f", "0s", "x"}} {
		if got := run(t, nil, append([]string{"chronicle", "push"}, args...)...); got.code != ExitError || !strings.Contains(got.err, "Usage:") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}
