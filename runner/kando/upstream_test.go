package kando

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/output"
)

// TestUpstream lets upstream's own kando and ours work on the same things: each understands the profiles, objects, snapshots, outputs and
// processes of the other. Upstream's is none of our dependencies: name a binary, built or taken out of a tools image, in KANDO_UPSTREAM.
func TestUpstream(t *testing.T) {
	binary := os.Getenv("KANDO_UPSTREAM")
	if binary == "" {
		t.Skip("KANDO_UPSTREAM names no kando of upstream's")
	}

	theirs := func(t *testing.T, in io.Reader, args ...string) ran {
		t.Helper()

		var out, errOut bytes.Buffer

		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errOut

		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}

		return ran{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
	}
	ours := func(t *testing.T, in io.Reader, args ...string) ran { t.Helper(); return run(t, in, args...) }
	good := func(t *testing.T, r ran) ran {
		t.Helper()

		if r.code != 0 {
			t.Fatalf("%d %q", r.code, r.err)
		}

		return r
	}
	content := strings.Repeat("0123456789abcdef", 1<<19) + "end"

	type kando = func(*testing.T, io.Reader, ...string) ran

	for name, pair := range map[string]struct{ writer, reader kando }{"theirs to ours": {theirs, ours}, "ours to theirs": {ours, theirs}} {
		t.Run(name, func(t *testing.T) {
			dir, profile := bucket(t, "some/prefix")
			ca := trusted(t, profile)
			t.Setenv("SSL_CERT_FILE", ca)
			t.Setenv("AWS_CA_BUNDLE", ca)

			// A file: what is built from public sources without upstream's fork of stow pushes no pipe to S3.
			file := writeFile(t, filepath.Join(t.TempDir(), "file"), content)

			good(t, pair.writer(t, nil, "location", "push", "--profile", profile, "--path", "/dumps/app.sql", file))

			if got := good(t, pair.reader(t, nil, "location", "pull", "--profile", profile, "--path", "dumps/app.sql", "-")); got.out != content {
				t.Errorf("%d bytes", len(got.out))
			}

			good(t, pair.reader(t, nil, "location", "delete", "--profile", profile, "--path", "dumps/app.sql"))

			if left, _ := filepath.Glob(filepath.Join(dir, "some/prefix/dumps/*")); len(left) > 0 {
				t.Errorf("left %q", left)
			}

			parser := &output.Parser{Log: func(line string) { t.Errorf("said %q", line) }}
			if _, err := io.WriteString(parser, good(t, pair.writer(t, nil, "output", "a_key", "a \"value\" <&>\n")).out); err != nil {
				t.Error(err)
			}

			if err := parser.Close(); err != nil || parser.Outputs()["a_key"] != "a \"value\" <&>\n" {
				t.Errorf("%v %q", err, parser.Outputs())
			}
		})
		t.Run(name+", kopia", func(t *testing.T) {
			s, _ := server(t)
			profile := serverProfile(t, s.Access)
			parser := &output.Parser{Log: func(line string) { t.Logf("said %q", line) }}

			if _, err := io.WriteString(parser, good(t, pair.writer(t, strings.NewReader(content), "location", "push", "--profile", profile, "--path", "dumps/app.sql", "-o", "snap", "-")).out); err != nil {
				t.Fatal(err)
			}

			if err := parser.Close(); err != nil {
				t.Fatal(err)
			}

			snapshot := fmt.Sprint(parser.Outputs()["snap"])
			pull := []string{"location", "pull", "--profile", profile, "--path", "dumps/app.sql", "-k", snapshot, "-"}

			if got := good(t, pair.reader(t, nil, pull...)); got.out != content {
				t.Errorf("%d bytes", len(got.out))
			}

			good(t, pair.reader(t, nil, "location", "delete", "--profile", profile, "--path", "dumps/app.sql", "-k", snapshot))

			if got := pair.writer(t, nil, pull...); got.code == 0 {
				t.Error("it is still there")
			}
		})
	}

	t.Run("their client, our process server", func(t *testing.T) {
		address, _, _ := serveProcesses(t)

		got := theirs(t, nil, "process", "client", "-a", address, "-q", "execute", "-x", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
		if got.code != 7 || got.out != "out\n" || !strings.HasPrefix(got.err, "err\n") {
			t.Errorf("%+v", got)
		}

		if got := good(t, theirs(t, nil, "process", "client", "-a", address, "-j", "list")); !strings.Contains(strings.ReplaceAll(got.out, " ", ""), `"state":"PROCESS_STATE_FAILED","exitCode":"7"`) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("our client, their process server", func(t *testing.T) {
		address := filepath.Join(t.TempDir(), "s")
		ctx, cancel := context.WithCancel(t.Context())
		serving := exec.CommandContext(ctx, binary, "process", "server", "-a", address)

		if err := serving.Start(); err != nil {
			t.Fatal(err)
		}

		defer func() {
			cancel()

			_ = serving.Wait() // killed
		}()

		waitForSocket(t, address)

		if got := ours(t, nil, "process", "client", "-a", address, "-q", "execute", "-x", "sh", "-c", "echo out; echo err >&2; exit 7"); got != (ran{7, "out\n", "err\n"}) {
			t.Errorf("%+v", got)
		}
	})
}

// trusted is a file with the certificates of a profile, which upstream's has no word for.
func trusted(t *testing.T, profile string) string {
	t.Helper()

	p, err := readProfile("the test's", []byte(profile))
	if err != nil {
		t.Fatal(err)
	}

	return writeFile(t, filepath.Join(t.TempDir(), "ca.crt"), p.CABundle)
}
