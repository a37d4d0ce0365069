package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func writeTemp(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func layer(t *testing.T, files []File) (*Layer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layer.tar")
	l, err := WriteLayer(path, files)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

// listing is a layer as lines of "type mode owner name -> link: content".
func listing(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var lines []string
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(Epoch) {
			t.Errorf("%s has time %s", h.Name, h.ModTime)
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%c %o %d:%d %s %s %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name, h.Linkname, data)))
	}
}

func TestLayerContent(t *testing.T) {
	_, path := layer(t, []File{
		{Path: "/bin/su", Mode: fs.ModeSetuid | 0o755, Data: []byte("x")},
		Dir("/tmp", 0o777|fs.ModeSticky),
		Symlink("/usr/local/bin/kando", "/runner"),
		{Path: "etc/ünïcode name", Mode: 0o640, UID: 999, GID: 70000, Source: writeTemp(t, "hello")},
		{Path: "/bin/again", Mode: 0o755, Link: "/bin/su"},
		Dir("/bin", 0o755),
	})
	want := []string{
		"5 755 0:0 bin/",
		"1 755 0:0 bin/again bin/su",
		"0 4755 0:0 bin/su  x",
		"0 640 999:70000 etc/ünïcode name  hello",
		"5 1777 0:0 tmp/",
		"2 777 0:0 usr/local/bin/kando /runner",
	}
	if got := listing(t, path); !slices.Equal(got, want) {
		t.Errorf("layer:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLayerDependsOnContentOnly(t *testing.T) {
	files := []File{Dir("/a", 0o755), {Path: "/a/b", Mode: 0o600, Source: writeTemp(t, "same")}}
	first, _ := layer(t, files)
	if err := os.Chtimes(files[1].Source, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	second, path := layer(t, []File{{Path: "a/b", Mode: 0o600, Source: writeTemp(t, "same")}, files[0]})
	if first.hash != second.hash {
		t.Errorf("same files, other layers: %s and %s", first.hash, second.hash)
	}
	reopened, err := OpenLayer(path)
	if err != nil || reopened.hash != second.hash || reopened.size != second.size {
		t.Errorf("reopened layer = %+v, %v, want %+v", reopened, err, second)
	}
	third, _ := layer(t, []File{files[0], {Path: "/a/b", Mode: 0o600, Data: []byte("other")}})
	if first.hash == third.hash {
		t.Error("other content, same layer")
	}
}

func TestLayerRefusesDevices(t *testing.T) {
	_, err := WriteLayer(filepath.Join(t.TempDir(), "l"), []File{{Path: "/dev/null", Mode: fs.ModeDevice}})
	if err == nil || !strings.Contains(err.Error(), "dev/null") {
		t.Errorf("error = %v, want one that names the file", err)
	}
}

func TestImageIsValidAndReproducible(t *testing.T) {
	l, _ := layer(t, []File{{Path: "/runner", Mode: 0o755, Data: []byte("x")}})
	dir := t.TempDir()
	var tars [2][]byte
	for i := range tars {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := WriteImage(path, "kubectl-kanister/x:dev", v1.Config{User: "65532:65532"}, l); err != nil {
			t.Fatal(err)
		}
		var err error
		if tars[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(tars[0], tars[1]) {
		t.Error("the same image gave two different tars")
	}
	image, err := tarball.ImageFromPath(filepath.Join(dir, "0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(filepath.Join(dir, "0")) })
	if err != nil || len(manifest) != 1 || !slices.Equal(manifest[0].RepoTags, []string{"kubectl-kanister/x:dev"}) {
		t.Errorf("manifest = %+v, %v", manifest, err)
	}
}

func TestTree(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"bin/run", "lib/a.js", "lib/a.js.map"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755), os.WriteFile(filepath.Join(root, name), []byte(name), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../lib", filepath.Join(root, "bin/lib")); err != nil {
		t.Fatal(err)
	}
	files, err := Tree(root, "/opt/x", func(rel string) bool { return strings.HasSuffix(rel, ".map") })
	if err != nil {
		t.Fatal(err)
	}
	_, path := layer(t, files)
	want := []string{
		"5 755 0:0 opt/x/", "5 755 0:0 opt/x/bin/", "2 777 0:0 opt/x/bin/lib ../lib", "0 755 0:0 opt/x/bin/run  bin/run",
		"5 755 0:0 opt/x/lib/", "0 755 0:0 opt/x/lib/a.js  lib/a.js",
	}
	if got := listing(t, path); !slices.Equal(got, want) {
		t.Errorf("layer:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
