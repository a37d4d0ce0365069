package debian

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
)

// build makes a tree of files from "name" (directory when it ends in /), "name=content" and "name->target" lines.
func build(t *testing.T, lines ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, l := range lines {
		name, content, _ := strings.Cut(l, "=")
		path := filepath.Join(root, name)
		var err error
		if from, to, ok := strings.Cut(l, "->"); ok {
			err = os.Symlink(to, filepath.Join(root, from))
		} else if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func paths(files []archive.File) []string {
	var all []string
	for _, f := range files {
		all = append(all, f.Path)
	}
	slices.Sort(all)
	return all
}

func scanned(t *testing.T, root string) tree {
	t.Helper()
	s, err := scan(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScanLeavesOutWhatIsVolatile(t *testing.T) {
	root := build(t, "etc/passwd=x", "proc/cpuinfo=x", "var/log/dpkg.log=x", "var/lib/x=y", "run/postgresql/", "tmp/leftover=x")
	got := paths(scanned(t, root).files())
	want := []string{"etc", "etc/passwd", "proc", "run", "tmp", "var", "var/lib", "var/lib/x", "var/log"}
	if !slices.Equal(got, want) {
		t.Errorf("files = %v, want %v", got, want)
	}
}

func TestSince(t *testing.T) {
	base := build(t, "etc/same=1", "etc/changed=1", "etc/gone=1", "usr/gone/a=1", "usr/gone/b/c=1", "link->etc", "mode=1")
	full := build(t, "etc/same=1", "etc/changed=2", "new/file=1", "usr/", "link->usr", "mode=1")
	if err := os.Chmod(filepath.Join(full, "mode"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := paths(scanned(t, full).since(scanned(t, base)))
	want := []string{"etc/.wh.gone", "etc/changed", "link", "mode", "new", "new/file", "usr/.wh.gone"}
	if !slices.Equal(got, want) {
		t.Errorf("layer = %v, want %v", got, want)
	}
	if same := scanned(t, build(t, "a=1", "b->a")).since(scanned(t, build(t, "a=1", "b->a"))); len(same) != 0 {
		t.Errorf("layer of equal trees = %v", paths(same))
	}
}

func TestHardLinksStayOneFile(t *testing.T) {
	root := build(t, "bin/perl=x")
	if err := os.Link(filepath.Join(root, "bin/perl"), filepath.Join(root, "bin/perl5")); err != nil {
		t.Fatal(err)
	}
	s := scanned(t, root)
	if got := s["bin/perl5"]; got.Link != "bin/perl" || got.Source != "" {
		t.Errorf("second name = %+v, want a link to the first", got.File)
	}
}

func TestParseSources(t *testing.T) {
	out := `Debian main bookworm-security http://a/security/ bookworm-security
Other main bookworm http://o/ bookworm
Debian main bookworm http://a/debian/ oldstable
Debian contrib bookworm http://a/debian/ bookworm
Debian main trixie http://a/debian/ trixie
Debian main bookworm http://a/debian/ oldstable
`
	got := fmt.Sprint(parseSources(out))
	if want := "[{http://a/debian/ bookworm} {http://a/security/ bookworm-security}]"; got != want {
		t.Errorf("sources = %s, want %s", got, want)
	}
}
