package binaries

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersionIsThatOfGoMod(t *testing.T) {
	p := Program{Name: "csi-snapshotter", Dir: "csi/build/snapshotter", Module: "github.com/kubernetes-csi/external-snapshotter/v8"}
	version, err := p.Version()
	if err != nil || !strings.HasPrefix(version, "v8.") {
		t.Errorf("version = %q, %v", version, err)
	}
	p.Module = "example.com/none"
	if _, err := p.Version(); err == nil || !strings.Contains(err.Error(), "example.com/none") {
		t.Errorf("error = %v, want one that names the module", err)
	}
}

func TestBuildReportsTheCompiler(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var log bytes.Buffer
	_, err := Program{Name: "x", Dir: ".", Package: "./no/such/package"}.Build(t.Context(), &log)
	if err == nil || !strings.Contains(err.Error(), "no/such/package") {
		t.Errorf("error = %v, want the compiler's words", err)
	}
}

func TestReplaceKeepsAnEqualFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, content := range []string{"one", "one", "two"} {
		if err := os.WriteFile(path+".new", []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Stat(path)
		old, _ := os.ReadFile(path)
		if err := replace(path+".new", path); err != nil {
			t.Fatal(err)
		}
		after, _ := os.Stat(path)
		if os.SameFile(before, after) != (string(old) == content) {
			t.Errorf("writing %q over %q: replaced = %v", content, old, !os.SameFile(before, after))
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("file holds %q, want %q", got, content)
		}
	}
}
