package kando

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
)

// ran is one call of kando.
type ran struct {
	code     int
	out, err string
}

func run(t *testing.T, in io.Reader, args ...string) ran {
	t.Helper()

	var out, errOut bytes.Buffer

	code := Main(t.Context(), args, Streams{In: in, Out: &out, ErrOut: &errOut}, "v1.2.3")

	return ran{code, out.String(), errOut.String()}
}

func TestOutput(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
		code int
		err  string
	}{
		{[]string{"output", "version", "PostgreSQL <15> & \"more\"\n"}, "###Phase-output###: {\"key\":\"version\",\"value\":\"PostgreSQL \\u003c15\\u003e \\u0026 \\\"more\\\"\\n\"}\n", 0, ""},
		{[]string{"output", "empty", ""}, "###Phase-output###: {\"key\":\"empty\",\"value\":\"\"}\n", 0, ""},
		{[]string{"output", "bad-key", "x"}, "", ExitError, "letters, digits and _"},
		{[]string{"output", "only"}, "", ExitError, "needs 2 arguments"},
		{[]string{"output", "-v", "info", "k", "v"}, "###Phase-output###: {\"key\":\"k\",\"value\":\"v\"}\n", 0, ""},
		{[]string{"output", "--", "k", "--value"}, "###Phase-output###: {\"key\":\"k\",\"value\":\"--value\"}\n", 0, ""},
	} {
		got := run(t, nil, test.args...)
		if got.out != test.want || got.code != test.code || !strings.Contains(got.err, test.err) {
			t.Errorf("%q: %+v", test.args, got)
		}
	}
}

func TestUnknownWords(t *testing.T) {
	for _, args := range [][]string{{"chronicle", "shove"}, {"stream", "pull"}, {"process", "kill"}, {"location", "copy"}, {"location", "push", "--what", "-"}} {
		got := run(t, nil, args...)
		if got.code != ExitError || got.out != "" || !strings.Contains(got.err, "kando: unknown") || !strings.Contains(got.err, "Usage:") {
			t.Errorf("%q: %+v", args, got)
		}
	}

	if got := run(t, nil, "--version"); got.code != 0 || !strings.Contains(got.out, "v1.2.3") {
		t.Errorf("--version: %+v", got)
	}

	for _, args := range [][]string{{}, {"location"}, {"--help"}} {
		if got := run(t, nil, args...); got.code != 0 || !strings.Contains(got.out, "Usage:") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// bucket is a real S3 server with one bucket, and the profile as `toJson .Profile` writes it.
func bucket(t *testing.T, prefix string) (dir, profile string) {
	t.Helper()

	server := locationtest.Versitygw(t)
	server.Bucket(t, "bucket-1")

	raw, err := json.Marshal(server.Profile("bucket-1", prefix))
	if err != nil {
		t.Fatal(err)
	}

	return filepath.Join(server.Dir, "bucket-1"), string(raw)
}

func TestLocation(t *testing.T) {
	dir, profile := bucket(t, "some/prefix")
	read := func(key string) string {
		t.Helper()

		raw, err := os.ReadFile(filepath.Join(dir, key)) // the test's own
		if err != nil {
			return "ERROR " + err.Error()
		}

		return string(raw)
	}
	ok := func(got ran) ran {
		t.Helper()

		if got.code != 0 || got.err != "" {
			t.Fatalf("%+v", got)
		}

		return got
	}

	t.Run("push from a pipe", func(t *testing.T) {
		content := strings.Repeat("0123456789abcdef", 1<<20) // 16 MiB: several parts
		got := ok(run(t, io.LimitReader(strings.NewReader(content), 1<<30), "location", "push", "--profile", profile, "--path", "/dumps/app.sql", "-"))

		if got.out != "" {
			t.Errorf("push said %q", got.out)
		}

		if read("some/prefix/dumps/app.sql") != content {
			t.Error("another content arrived")
		}
	})

	t.Run("push a file, overwriting", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}

		ok(run(t, nil, "location", "push", file, "-p", profile, "-s", "dumps/app.sql", "-o", "name"))

		if got := read("some/prefix/dumps/app.sql"); got != "short" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("pull", func(t *testing.T) {
		if got := ok(run(t, nil, "location", "pull", "-p", profile, "-s", "dumps/app.sql", "-k", "{}", "-")); got.out != "short" {
			t.Errorf("got %q", got.out)
		}

		target := filepath.Join(t.TempDir(), "target")
		if err := os.WriteFile(target, []byte("a longer content from before"), 0o600); err != nil {
			t.Fatal(err)
		}

		ok(run(t, nil, "location", "pull", "-p", profile, "-s", "dumps/app.sql", target))

		if raw, err := os.ReadFile(target); err != nil || string(raw) != "short" { // the test's own
			t.Errorf("%q, %v", raw, err)
		}
	})

	t.Run("pull of nothing leaves no file", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "target")

		got := run(t, nil, "location", "pull", "-p", profile, "-s", "dumps/nothing", target)
		if got.code != ExitError || !strings.Contains(got.err, "dumps/nothing") {
			t.Errorf("%+v", got)
		}

		if _, err := os.Stat(target); !os.IsNotExist(err) {
			t.Errorf("the target is there: %v", err)
		}
	})

	t.Run("delete", func(t *testing.T) {
		for _, key := range []string{"a/1", "a/10", "a/1x/y", "b/1/x", "b/1/y/z", "b/10"} {
			ok(run(t, strings.NewReader(key), "location", "push", "-p", profile, "-s", key, "-"))
		}

		ok(run(t, nil, "location", "delete", "-p", profile, "-s", "a/1"))
		ok(run(t, nil, "location", "delete", "-p", profile, "-s", "b/1/"))

		never := run(t, nil, "location", "delete", "-p", profile, "-s", "never/was")
		if never.code != 0 || never.out != "" || !strings.Contains(never.err, "nothing deleted: s3://bucket-1/some/prefix/never/was does not exist") {
			t.Errorf("delete of nothing: %+v", never)
		}

		var left []string

		err := filepath.WalkDir(filepath.Join(dir, "some/prefix"), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				left = append(left, strings.TrimPrefix(path, filepath.Join(dir, "some/prefix")+"/"))
			}

			return err
		})
		if want := []string{"a/10", "a/1x/y", "b/10", "dumps/app.sql"}; err != nil || !slices.Equal(left, want) {
			t.Errorf("left %v (%v), want %v", left, err, want)
		}

		for _, empty := range []string{"", "/", "."} {
			if got := run(t, nil, "location", "delete", "-p", profile, "-s", empty); got.code != ExitError || !strings.Contains(got.err, "--path names no object") {
				t.Errorf("delete of %q: %+v", empty, got)
			}
		}
	})
}

func TestLocationRefuses(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()

	const profile = `{"Location":{"type":"s3Compliant","bucket":"b","region":"r","endpoint":"http://127.0.0.1:1"},"Credential":{"Type":"keyPair","KeyPair":{"ID":"AKIA","Secret":"top-secret-key"}}}`

	for name, test := range map[string]struct {
		in   io.Reader
		args []string
		want string
	}{
		"no profile":       {nil, []string{"location", "pull", "-s", "x", "-"}, `required flag(s) "profile" not set`},
		"null profile":     {nil, []string{"location", "pull", "-p", "null", "-s", "x", "-"}, "it is null"},
		"no JSON":          {nil, []string{"location", "pull", "-p", "{{", "-s", "x", "-"}, "no JSON of a profile"},
		"no path":          {nil, []string{"location", "push", "-p", profile, "-"}, "--path names no object"},
		"stdin is no pipe": {null, []string{"location", "push", "-p", profile, "-s", "x", "-"}, "standard input must be piped"},
		"directory":        {nil, []string{"location", "push", "-p", profile, "-s", "x", t.TempDir()}, "it is a directory"},
		"no such file":     {nil, []string{"location", "push", "-p", profile, "-s", "x", "/no/such/file"}, "/no/such/file"},
		"no source":        {nil, []string{"location", "push", "-p", profile, "-s", "x"}, "needs 1 arguments"},
		"unknown type":     {nil, []string{"location", "pull", "-p", `{"Location":{"type":"ftp"}}`, "-s", "x", "-"}, "ftp"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, test.in, test.args...)
			if got.code != ExitError || got.out != "" || !strings.Contains(got.err, test.want) {
				t.Errorf("%+v, want %q", got, test.want)
			}

			if strings.Contains(got.err, "top-secret-key") {
				t.Errorf("it shows the secret key: %s", got.err)
			}
		})
	}
}
