package kopia

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sys/unix"
)

// attributes are what kopia's own format has no room for. They are kept in a manifest of their own beside the snapshot; kopia's
// command line does not see them and restores without.
type attributes struct {
	// Xattrs by path and name. Security labels are left out: they belong to the machine.
	Xattrs map[string]map[string][]byte `json:"xattrs,omitempty"`
	// Links are the paths, in the order of the walk, of files that are one file.
	Links [][]string `json:"links,omitempty"`
	// Sparse are files with holes.
	Sparse []string `json:"sparse,omitempty"`
	// Names of files whose names are not UTF-8, by their path in the snapshot: see escape.
	Names map[string][]byte `json:"names,omitempty"`
	// Lost counts what did not fit.
	Lost int64 `json:"lost,omitempty"`

	size  int
	inode map[[2]uint64]int // device and inode → index in Links
}

const (
	attributesType = "kanister-attributes"
	// maxAttributes bounds the manifest, in bytes: kopia holds manifests in memory.
	maxAttributes = 8 << 20
)

// attributes collects what lstat and listxattr say.
func (a *audit) attributes(e *entry) {
	var (
		xattrs map[string][]byte
		err    error
	)

	if e.info.Mode()&os.ModeSymlink == 0 {
		xattrs, err = readXattrs(e.full())
	}

	a.mu.Lock()
	defer a.mu.Unlock()

	if err != nil {
		a.unread.add(e.rel, "its extended attributes: "+cause(err))
	}

	a.extra.add(e, xattrs)
}

func (a *attributes) add(e *entry, xattrs map[string][]byte) {
	if e.rel != e.key() && a.room(e.rel, nil) {
		if a.Names == nil {
			a.Names = map[string][]byte{}
		}

		a.Names[e.key()] = []byte(path.Base(e.rel))
	}

	if e.info.Mode()&os.ModeSymlink != 0 {
		return
	}

	if len(xattrs) > 0 && a.room(e.rel, xattrs) {
		if a.Xattrs == nil {
			a.Xattrs = map[string]map[string][]byte{}
		}

		a.Xattrs[e.key()] = xattrs
	}

	if e.info.IsDir() {
		return
	}

	if e.stat.Blocks*512 < e.info.Size() && e.info.Size() >= sparseFrom && a.room(e.rel, nil) {
		a.Sparse = append(a.Sparse, e.key())
	}

	if e.stat.Nlink < 2 || !a.room(e.rel, nil) {
		return
	}

	if a.inode == nil {
		a.inode = map[[2]uint64]int{}
	}

	id := [2]uint64{e.stat.Dev, e.stat.Ino} // the types differ between architectures

	at, known := a.inode[id]
	if !known {
		at = len(a.Links)
		a.inode[id] = at
		a.Links = append(a.Links, nil)
	}

	a.Links[at] = append(a.Links[at], e.key())
}

func (a *attributes) room(rel string, xattrs map[string][]byte) bool {
	need := len(rel) + 16
	for name, value := range xattrs {
		need += len(name) + len(value)*4/3 + 8
	}

	if a.size+need > maxAttributes {
		a.Lost++

		return false
	}

	a.size += need

	return true
}

func (a *attributes) empty() bool {
	return len(a.Xattrs) == 0 && len(a.Links) == 0 && len(a.Sparse) == 0 && len(a.Names) == 0
}

// escape makes UTF-8 of a path: kopia stores names as JSON, which would replace every other byte by the same character. It leaves
// UTF-8 alone.
func escape(p string) string {
	if utf8.ValidString(p) {
		return p
	}

	var b strings.Builder

	for len(p) > 0 {
		r, n := utf8.DecodeRuneInString(p)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, p[0])
		} else {
			b.WriteString(p[:n])
		}

		p = p[n:]
	}

	return b.String()
}

// unescape gives a path below sub, relative to it, its real names.
func (a *attributes) unescape(sub, rel string) string {
	if len(a.Names) == 0 || rel == "" {
		return rel
	}

	segments := strings.Split(rel, "/")
	at := sub

	for i, segment := range segments {
		at = path.Join(at, segment)
		if name, ok := a.Names[at]; ok {
			segments[i] = string(name)
		}
	}

	return strings.Join(segments, "/")
}

func readXattrs(file string) (map[string][]byte, error) {
	size, err := unix.Llistxattr(file, nil)
	if size == 0 || errors.Is(err, unix.ENOTSUP) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	names := make([]byte, size+1024)
	if size, err = unix.Llistxattr(file, names); err != nil {
		return nil, err
	}

	var xattrs map[string][]byte

	for name := range strings.SplitSeq(strings.TrimRight(string(names[:size]), "\x00"), "\x00") {
		if name == "" || name == "security.selinux" || strings.HasPrefix(name, "trusted.") {
			continue
		}

		value := make([]byte, 64<<10) // the kernel's limit

		n, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			return xattrs, fmt.Errorf("reading %s: %w", name, err)
		}

		if xattrs == nil {
			xattrs = map[string][]byte{}
		}

		xattrs[name] = append([]byte(nil), value[:n]...)
	}

	return xattrs, nil
}

func attributeLabels(id manifest.ID) map[string]string {
	return map[string]string{manifest.TypeLabelKey: attributesType, "snapshot": string(id)}
}

func saveAttributes(ctx context.Context, w repo.RepositoryWriter, of *snapshot.Manifest, a *attributes) error {
	// A file of which only one name lies in the tree is no hard link to us.
	links := a.Links[:0]

	for _, names := range a.Links {
		if len(names) > 1 {
			links = append(links, names)
		}
	}

	a.Links = links
	if a.empty() {
		return nil
	}

	labels := attributeLabels(of.ID)
	// A repository server shows a user what bears his name, as snapshots do.
	labels[snapshot.UsernameLabel], labels[snapshot.HostnameLabel] = of.Source.UserName, of.Source.Host

	_, err := w.PutManifest(ctx, labels, a)

	return err
}

func loadAttributes(ctx context.Context, r repo.Repository, m *snapshot.Manifest) (*attributes, error) {
	found, err := r.FindManifests(ctx, attributeLabels(m.ID))
	if err != nil || len(found) == 0 {
		return &attributes{}, err
	}

	a := &attributes{}
	_, err = r.GetManifest(ctx, found[0].ID, a)

	return a, err
}

func deleteAttributes(ctx context.Context, w repo.RepositoryWriter, id manifest.ID) error {
	found, err := w.FindManifests(ctx, attributeLabels(id))

	for _, m := range found {
		err = errors.Join(err, w.DeleteManifest(ctx, m.ID))
	}

	return err
}
