package recipe

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
)

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunnerImage(t *testing.T) {
	k := kitchen{dir: t.TempDir(), log: io.Discard}
	build := func(binary string) string {
		files, err := runnerFiles(binary)
		if err != nil {
			t.Fatal(err)
		}
		path, err := k.fromFiles("runner", RunnerTag(), runnerConfig, files)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := build(file(t, "runner", "one"))
	if again := build(file(t, "runner", "one")); again != path {
		t.Errorf("same binary gave %s after %s", again, path)
	}
	if other := build(file(t, "runner", "two")); other == path {
		t.Error("another binary gave the same image")
	}

	image, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	// PodSecurity "restricted" with runAsNonRoot admits a number only.
	if config.Config.User != "65532:65532" || !slices.Contains(config.Config.Env, "TZ=UTC") || !slices.Equal(config.Config.Entrypoint, []string{"/runner"}) {
		t.Errorf("config = %+v", config.Config)
	}
}

func TestOldTarsGoYoungOnesStay(t *testing.T) {
	k := kitchen{dir: t.TempDir()}
	now := time.Now()
	for name, age := range map[string]time.Duration{"x-new.tar": 0, "x-young.tar": time.Minute, "x-old.tar": 2 * time.Hour, "y-old.tar": 2 * time.Hour} {
		path := filepath.Join(k.dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, now, now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.removeOld("x", filepath.Join(k.dir, "x-new.tar"), now); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(k.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if want := []string{"x-new.tar", "x-young.tar", "y-old.tar"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

func TestStaticRoot(t *testing.T) {
	files, err := runnerFiles("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]archive.File{}
	for _, f := range files {
		byPath[f.Path] = f
	}
	if m := byPath["/tmp"].Mode; m&os.ModeSticky == 0 || m.Perm() != 0o777 {
		t.Errorf("/tmp has mode %s", m)
	}
	if got := byPath["/usr/local/bin/kando"].Link; got != "/runner" {
		t.Errorf("kando links to %q", got)
	}
	if got := string(byPath["/etc/passwd"].Data); !strings.Contains(got, "nonroot:x:65532:65532:") {
		t.Errorf("passwd = %q", got)
	}
}

func TestAuthorities(t *testing.T) {
	dir := t.TempDir()
	if got, err := authorities(dir); err != nil || len(got) != 0 {
		t.Errorf("without the package: %q, %v", got, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "mozilla"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b.crt", "a.crt", "README"} {
		if err := os.WriteFile(filepath.Join(dir, "mozilla", name), []byte("\n"+name+"\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := authorities(dir); err != nil || string(got) != "a.crt\nb.crt\n" {
		t.Errorf("certificates = %q, %v", got, err)
	}
}

func TestTagsAndNames(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range All() {
		if i.Name == "" || i.About == "" || seen[i.Name] {
			t.Errorf("image %+v has no name or help, or a name twice", i.Name)
		}
		seen[i.Name] = true
	}
	tag, err := VersityTag()
	if err != nil || !strings.HasPrefix(tag, "kubectl-kanister/versitygw:1.") {
		t.Errorf("tag = %q, %v", tag, err)
	}
}

// TestEntrypoint runs the decisions of the script that come before any PostgreSQL program.
func TestEntrypoint(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "base"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env, args []string
		want      string
	}{
		"password missing":     {env: []string{"PGDATA=" + t.TempDir()}, want: "POSTGRES_PASSWORD is not set"},
		"data without version": {env: []string{"PGDATA=" + full, "POSTGRES_PASSWORD=x"}, want: "refusing to make a cluster over what may be data"},
		"both forms": {
			env:  []string{"PGDATA=" + t.TempDir(), "POSTGRES_PASSWORD=x", "POSTGRES_PASSWORD_FILE=/dev/null"},
			want: "both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set",
		},
		"other command": {args: []string{"echo", "just run"}, want: "just run"},
	} {
		// A stand-in for id lets root run what root must not.
		bin := t.TempDir()
		if err := os.WriteFile(filepath.Join(bin, "id"), []byte("#!/bin/sh\necho 999\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", append([]string{"files/postgres-entrypoint.sh"}, c.args...)...)
		cmd.Env = append(c.env, "PATH="+bin+":"+os.Getenv("PATH"))
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), c.want) {
			t.Errorf("%s: said %q, want %q in it", name, out, c.want)
		}
	}
}
