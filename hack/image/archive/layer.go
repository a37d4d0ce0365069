// Package archive writes image layers and docker-archive tars whose bytes depend on their content only.
package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Epoch is the time stamp of every file and image: 2026-01-01, so that tools that warn of files from 1970 do not.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// File is one entry of a layer. Exactly one of Data, Source and Link may be set; without any, a directory or an empty file.
type File struct {
	// Path in the image, absolute or relative to the root.
	Path string
	// Mode with type bits: fs.ModeDir, fs.ModeSymlink, fs.ModeSetuid and the like.
	Mode fs.FileMode
	// UID and GID of the owner.
	UID, GID int
	// Data is the content.
	Data []byte
	// Source is a file of this machine with the content.
	Source string
	// Link is the target of a symbolic link, or of a hard link when Mode is regular.
	Link string
}

// Dir is a directory of root.
func Dir(path string, mode fs.FileMode) File { return File{Path: path, Mode: fs.ModeDir | mode} }

// Symlink is a symbolic link of root.
func Symlink(path, target string) File {
	return File{Path: path, Mode: fs.ModeSymlink | 0o777, Link: target}
}

// Layer is a layer in an uncompressed tar file on this machine. Compressing would cost more than it saves: no layer
// leaves the machine.
type Layer struct {
	path string
	hash v1.Hash
	size int64
}

// WriteLayer writes files as a layer to path, ordered by name, so that a directory comes before what is in it.
func WriteLayer(path string, files []File) (l *Layer, err error) {
	out, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("writing layer: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := &counted{hash: sha256.New()}
	tw := tar.NewWriter(io.MultiWriter(out, sum))
	sorted := slices.Clone(files)
	for i := range sorted {
		sorted[i].Path = clean(sorted[i].Path)
	}
	slices.SortStableFunc(sorted, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range sorted {
		if err := writeFile(tw, f); err != nil {
			return nil, fmt.Errorf("writing %q to layer: %w", f.Path, err)
		}
	}
	if err := tw.Close(); err != nil {
		return nil, fmt.Errorf("writing layer: %w", err)
	}
	return &Layer{path: path, size: sum.size, hash: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.hash.Sum(nil))}}, nil
}

// OpenLayer takes up a layer that was written earlier.
func OpenLayer(path string) (*Layer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening layer: %w", err)
	}
	defer func() { _ = f.Close() }()
	hash, size, err := v1.SHA256(f)
	if err != nil {
		return nil, fmt.Errorf("reading layer %q: %w", path, err)
	}
	return &Layer{path: path, hash: hash, size: size}, nil
}

func clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

func writeFile(tw *tar.Writer, f File) error {
	h := &tar.Header{
		Format: tar.FormatPAX, Name: f.Path, Uid: f.UID, Gid: f.GID, ModTime: Epoch, Linkname: f.Link,
		Mode: int64(f.Mode.Perm()),
	}
	for bit, octal := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if f.Mode&bit != 0 {
			h.Mode |= octal
		}
	}
	var content io.Reader = strings.NewReader(string(f.Data))
	switch {
	case f.Mode.IsDir():
		h.Typeflag = tar.TypeDir
		h.Name += "/"
	case f.Mode&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
	case !f.Mode.IsRegular():
		return fmt.Errorf("files of type %s are not for images", f.Mode.Type())
	case f.Link != "":
		h.Typeflag = tar.TypeLink
		h.Linkname = clean(f.Link)
	case f.Source != "":
		src, err := os.Open(f.Source)
		if err != nil {
			return err
		}
		defer func() { _ = src.Close() }()
		info, err := src.Stat()
		if err != nil {
			return err
		}
		h.Size, content = info.Size(), src
	default:
		h.Size = int64(len(f.Data))
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	if h.Size == 0 {
		return nil
	}
	_, err := io.Copy(tw, content)
	return err
}

// counted is the digest and the length of what passes.
type counted struct {
	hash hash.Hash
	size int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	return c.hash.Write(p)
}

// Digest and DiffID are the same hash: the layer is not compressed.
func (l *Layer) Digest() (v1.Hash, error) { return l.hash, nil }

// DiffID is the hash of the tar.
func (l *Layer) DiffID() (v1.Hash, error) { return l.hash, nil }

// Compressed opens the tar, for those who would take it compressed as well.
func (l *Layer) Compressed() (io.ReadCloser, error) { return os.Open(l.path) }

// Uncompressed opens the tar.
func (l *Layer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }

// Size of the tar in bytes.
func (l *Layer) Size() (int64, error) { return l.size, nil }

// MediaType is that of a plain tar.
func (l *Layer) MediaType() (types.MediaType, error) { return types.DockerUncompressedLayer, nil }
