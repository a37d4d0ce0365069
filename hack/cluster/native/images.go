package native

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
)

// Images of the cluster's own pods, built here: there is no registry.
const (
	pauseImage   = "kubectl-kanister/pause:dev"
	coreDNSImage = "kubectl-kanister/coredns:dev"
	helperImage  = "kubectl-kanister/local-path-helper:dev"
)

// systemImages builds the archives of the cluster's own images and returns their paths.
func (c *Cluster) systemImages() ([]string, error) {
	pause, err := program("pause")
	if err != nil {
		return nil, err
	}

	coredns, err := program("coredns")
	if err != nil {
		return nil, err
	}

	shell := []archive.File{archive.Dir("bin", 0o755), {Path: "bin/busybox", Mode: 0o755, Source: "/bin/busybox"}}
	for _, name := range []string{"sh", "mkdir", "rm"} {
		shell = append(shell, archive.Symlink("bin/"+name, "busybox"))
	}

	var paths []string

	for _, image := range []struct {
		tag    string
		files  []archive.File
		config v1.Config
	}{
		{pauseImage, []archive.File{{Path: "pause", Mode: 0o755, Source: pause}}, v1.Config{Entrypoint: []string{"/pause"}, User: "65535:65535"}},
		{coreDNSImage, []archive.File{{Path: "coredns", Mode: 0o755, Source: coredns}}, v1.Config{Entrypoint: []string{"/coredns"}}},
		{helperImage, shell, v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}}},
	} {
		path := c.path("images", strings.NewReplacer("/", "_", ":", "_").Replace(image.tag)+".tar")

		layer, err := archive.WriteLayer(path+".layer", image.files)
		if err != nil {
			return nil, fmt.Errorf("building image %s: %w", image.tag, err)
		}

		if err := archive.WriteImage(path, image.tag, image.config, layer); err != nil {
			return nil, fmt.Errorf("building image %s: %w", image.tag, err)
		}

		if err := os.Remove(path + ".layer"); err != nil {
			return nil, err
		}

		paths = append(paths, path)
	}

	return paths, nil
}

// LoadImages imports docker-archive files into the node's container runtime, unless it was this content that was loaded last
// under the archive's tag: going back to an earlier image loads it again.
func (c *Cluster) LoadImages(ctx context.Context, log io.Writer, files ...string) error {
	for _, file := range files {
		digest, err := fileDigest(file)
		if err != nil {
			return fmt.Errorf("reading image archive: %w", err)
		}

		tag, err := tagOf(file)
		if err != nil {
			return fmt.Errorf("reading image archive %q: %w", file, err)
		}

		loaded := c.path("images", "loaded-"+strings.NewReplacer("/", "_", ":", "_").Replace(tag))
		if last, err := os.ReadFile(loaded); err == nil && string(last) == digest {
			continue
		}

		if err := run(ctx, "ctr", "--address", c.containerdSocket(), "--namespace", "k8s.io", "images", "import", file); err != nil {
			return fmt.Errorf("loading image %q: %w", file, err)
		}

		fmt.Fprintf(log, "loaded %s\n", filepath.Base(file))

		if err := os.WriteFile(loaded, []byte(digest), 0o644); err != nil {
			return err
		}
	}

	return nil
}

// tagOf is the name under which the archive's image is known afterwards; of several the first by alphabet.
func tagOf(file string) (string, error) {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) })
	if err != nil {
		return "", err
	}

	if len(manifest) != 1 || len(manifest[0].RepoTags) == 0 {
		return "", errors.New("it should hold one image with a tag")
	}

	return slices.Min(manifest[0].RepoTags), nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}

	h := sha256.New()
	_, err = io.Copy(h, f)

	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}

// containerdReady asks for the runtime's version, through the client that loads images.
func (c *Cluster) containerdReady(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "ctr", "--address", c.containerdSocket(), "version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("asking containerd: %w: %s", err, out)
	}

	return nil
}
