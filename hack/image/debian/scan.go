package debian

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
)

// volatile are directories whose content belongs to a running system or to one machine's build, not to an image.
var volatile = []string{
	"dev", "proc", "sys", "run", "tmp", "var/tmp", "var/cache/apt", "var/cache/debconf", "var/cache/ldconfig", "var/lib/apt/lists", "var/log",
}

// tree is what a directory holds, by path relative to it.
type tree map[string]node

type node struct {
	archive.File
	sum [sha256.Size]byte
}

// scan reads the whole of root but for volatile content, hashing every file.
func scan(root string) (tree, error) {
	t := tree{}
	links := map[uint64]string{} // inode → first name
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		n := node{File: archive.File{Path: rel, Mode: info.Mode(), UID: int(st.Uid), GID: int(st.Gid)}}
		switch {
		case d.IsDir():
		case info.Mode()&fs.ModeSymlink != 0:
			if n.Link, err = os.Readlink(path); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			if first, ok := links[st.Ino]; ok && st.Nlink > 1 {
				n.Link = first
				break
			}
			links[st.Ino] = rel
			n.Source = path
			if n.sum, err = hashFile(path); err != nil {
				return err
			}
		default: // devices and sockets: the container runtime makes its own
			return nil
		}
		t[rel] = n
		if d.IsDir() && slices.Contains(volatile, rel) {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", root, err)
	}
	return t, nil
}

func hashFile(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// files is the tree as the content of a layer.
func (t tree) files() []archive.File {
	var all []archive.File
	for _, n := range t {
		all = append(all, n.File)
	}
	return all
}

// since is the layer that turns base into t: what is new or changed, and whiteouts for what is gone.
func (t tree) since(base tree) []archive.File {
	var all []archive.File
	for path, n := range t {
		old, ok := base[path]
		if !ok || n.changed(old) {
			all = append(all, n.File)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(base)) {
		if _, ok := t[path]; ok {
			continue
		}
		dir, file := filepath.Split(path)
		if _, ok := t[strings.TrimSuffix(dir, "/")]; ok || dir == "" { // else the directory's own whiteout hides it
			all = append(all, archive.File{Path: dir + ".wh." + file, Mode: 0o600})
		}
	}
	return all
}

func (n node) changed(old node) bool {
	return n.sum != old.sum || n.Mode != old.Mode || n.UID != old.UID || n.GID != old.GID || n.Link != old.Link
}
