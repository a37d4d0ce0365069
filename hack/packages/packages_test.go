package packages

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// commands puts scripts in front of PATH.
func commands(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestInstallsOnlyWhatIsMissing(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	commands(t, map[string]string{
		// "rc" is a package that was removed and left its configuration.
		"dpkg-query": `case "$4" in have) printf 'ii ';; removed) printf 'rc ';; *) exit 1;; esac`,
		"apt-get":    `echo "$@" >> ` + asked,
	})
	var log bytes.Buffer
	if err := Install(t.Context(), &log, "have"); err != nil || log.Len() > 0 {
		t.Fatalf("installing nothing: %v, said %q", err, log.String())
	}
	if err := Install(t.Context(), &log, "have", "removed", "never"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], " update") || !strings.HasSuffix(lines[1], " removed never") {
		t.Errorf("apt-get was called with %q", lines)
	}
}

func TestFailureShowsWhatAptSaid(t *testing.T) {
	commands(t, map[string]string{"dpkg-query": "exit 1", "apt-get": "echo 'E: no route'; exit 100"})
	err := Install(t.Context(), new(bytes.Buffer), "x")
	if err == nil || !strings.Contains(err.Error(), "E: no route") {
		t.Errorf("error = %v, want what apt-get said", err)
	}
}
