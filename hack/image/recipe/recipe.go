// Package recipe says what is in each image of the project.
package recipe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/debian"
)

// Image is one image that Build can make.
type Image struct {
	// Name by which the command line asks for it.
	Name string
	// About is a line of help.
	About string
	// Extra images are for tests of one kind of store, and are only made when they are named.
	Extra bool

	make func(context.Context, kitchen) (path string, err error)
}

// All images, in the order in which they are best built: the quick ones first.
func All() []Image {
	return []Image{runner, customRunner, versitygw, kopiaImage, aws, fakeGCS, tools, postgres, compat, azurite}
}

// kitchen is where images are made.
type kitchen struct {
	dir string // of the tars
	log io.Writer
	deb debian.Builder
}

// Build makes the image unless it is there already with the same content, and returns the path of its docker-archive. An
// tar of the same image that is older than an hour is removed.
func (i Image) Build(ctx context.Context, log io.Writer) (path string, err error) {
	cache, err := binaries.Dir()
	if err != nil {
		return "", err
	}
	k := kitchen{dir: filepath.Join(cache, "images"), log: log, deb: debian.Builder{Cache: filepath.Join(cache, "debian"), Log: log}}
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return "", fmt.Errorf("making image cache: %w", err)
	}
	unlock, err := binaries.Lock(filepath.Join(k.dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, err = i.make(ctx, k); err != nil {
		return "", fmt.Errorf("building image %s: %w", i.Name, err)
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil { // it is young again
		return "", fmt.Errorf("building image %s: %w", i.Name, err)
	}
	return path, k.removeOld(i.Name, path, now)
}

// removeOld removes earlier tars of an image. Young ones stay: somebody may be about to load what he has just built.
func (k kitchen) removeOld(name, keep string, now time.Time) error {
	all, err := filepath.Glob(filepath.Join(k.dir, name+"-*"))
	for _, old := range all {
		info, statErr := os.Stat(old)
		if old == keep || statErr != nil || now.Sub(info.ModTime()) < youth {
			continue
		}
		err = errors.Join(err, os.RemoveAll(old))
	}
	return err
}

const youth = time.Hour

// fromFiles makes an image of one layer. Its key is the content, so the layer is written first.
func (k kitchen) fromFiles(name, tag string, config v1.Config, files []archive.File) (string, error) {
	tmp := filepath.Join(k.dir, name+"-layer.tmp")
	layer, err := archive.WriteLayer(tmp, files)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(tmp) }()
	digest, err := layer.Digest()
	if err != nil {
		return "", err
	}
	path, err := k.path(name, tag, config, digest)
	if err != nil || exists(path) {
		return path, err
	}
	return path, archive.WriteImage(path, tag, config, layer)
}

// fromDebian makes an image of the Debian base and a layer on it. Its key is the recipe: packages that Debian has updated
// since do not change it.
func (k kitchen) fromDebian(ctx context.Context, name, tag string, config v1.Config, r debian.Recipe) (string, error) {
	path, err := k.path(name, tag, config, r)
	if err != nil || exists(path) {
		return path, err
	}
	tmp := filepath.Join(k.dir, name+"-layer.tmp")
	defer func() { _ = os.Remove(tmp) }()
	layer, err := k.deb.Layer(ctx, tmp, r)
	if err != nil {
		return "", err
	}
	base, err := k.deb.BaseLayer(ctx)
	if err != nil {
		return "", err
	}
	return path, archive.WriteImage(path, tag, config, base, layer)
}

// cachedLayer is a layer on the Debian base that is made once for a recipe, for images of which another layer changes often.
func (k kitchen) cachedLayer(ctx context.Context, name string, r debian.Recipe) (*archive.Layer, error) {
	name = "layer-" + name // not among the tars of the image: removeOld goes by name
	path, err := k.path(name, r)
	if err != nil {
		return nil, err
	}
	if exists(path) {
		return archive.OpenLayer(path)
	}
	if _, err := k.deb.Layer(ctx, path+".new", r); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	layer, err := archive.OpenLayer(path)
	if err != nil {
		return nil, err
	}
	return layer, k.removeOld(name, path, time.Now())
}

// path of a tar carries a key of all that goes into it.
func (k kitchen) path(name string, inputs ...any) (string, error) {
	data, err := json.Marshal(inputs)
	if err != nil {
		return "", fmt.Errorf("making key: %w", err)
	}
	sum := sha256.Sum256(data)
	return filepath.Join(k.dir, name+"-"+hex.EncodeToString(sum[:6])+".tar"), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
