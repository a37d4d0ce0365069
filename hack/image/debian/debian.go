// Package debian builds image layers from Debian packages, with debootstrap and apt in a directory and without a container
// engine. It needs root.
package debian

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
	"github.com/kubectl-kanister/kubectl-kanister/hack/packages"
	"github.com/kubectl-kanister/kubectl-kanister/hack/progress"
)

// Suite of Debian that images are made of.
const Suite = "bookworm"

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// Builder keeps its directories in a cache: a base root, made once, and its layer.
type Builder struct {
	// Cache directory.
	Cache string
	// Log gets a line of progress at least every 15 seconds.
	Log io.Writer
}

// Recipe is what a layer has on top of the base.
type Recipe struct {
	// Before runs in the root before the packages are installed: bash.
	Before string
	// Packages of Debian, without what they only recommend.
	Packages []string
	// After runs in the root once the packages are there: bash.
	After string
	// Files are added last.
	Files []archive.File
}

func (b Builder) root() string { return filepath.Join(b.Cache, "debian-"+Suite) }

// BaseLayer is the layer of a minimal Debian.
func (b Builder) BaseLayer(ctx context.Context) (*archive.Layer, error) {
	path := b.root() + ".layer.tar"
	if _, err := os.Stat(path); err == nil {
		return archive.OpenLayer(path)
	}
	if err := b.bootstrap(ctx); err != nil {
		return nil, err
	}
	t, err := scan(b.root())
	if err != nil {
		return nil, err
	}
	if _, err := archive.WriteLayer(path+".new", t.files()); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	return archive.OpenLayer(path)
}

// Layer makes a layer to go on top of BaseLayer and writes it to path.
func (b Builder) Layer(ctx context.Context, path string, r Recipe) (*archive.Layer, error) {
	if _, err := b.BaseLayer(ctx); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(b.Cache, "work-")
	if err != nil {
		return nil, fmt.Errorf("making work directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	root := filepath.Join(work, "root")
	if err := b.run(ctx, "copying base", "cp", "--archive", b.root(), root); err != nil {
		return nil, err
	}
	if err := b.chroot(ctx, "preparing", root, r.Before); err != nil {
		return nil, err
	}
	if err := b.install(ctx, root, r.Packages); err != nil {
		return nil, err
	}
	if err := b.chroot(ctx, "finishing", root, r.After); err != nil {
		return nil, err
	}
	base, err := scan(b.root())
	if err != nil {
		return nil, err
	}
	full, err := scan(root)
	if err != nil {
		return nil, err
	}
	return archive.WriteLayer(path, append(full.since(base), r.Files...))
}

// bootstrap makes the base root unless it is there.
func (b Builder) bootstrap(ctx context.Context) error {
	if _, err := os.Stat(b.root()); err == nil {
		return nil
	}
	if err := packages.Install(ctx, b.Log, "debootstrap"); err != nil {
		return err
	}
	sources, err := aptSources(ctx)
	if err != nil { // a fresh machine has no lists yet
		if err := packages.Update(ctx, b.Log); err != nil {
			return err
		}
		sources, err = aptSources(ctx)
	}
	if err != nil {
		return err
	}
	tmp := b.root() + ".new"
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(b.Cache, 0o755)); err != nil {
		return fmt.Errorf("clearing work directory: %w", err)
	}
	args := []string{"debootstrap", "--variant=minbase"}
	if _, err := os.Stat(keyring); err == nil {
		args = append(args, "--keyring="+keyring)
	}
	if err := b.run(ctx, "bootstrapping Debian "+Suite, append(args, Suite, tmp, sources[0].uri)...); err != nil {
		return err
	}
	for name, text := range map[string]string{
		// Only copyright notices of the documentation, no translations.
		"etc/dpkg/dpkg.cfg.d/slim": "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n" +
			"path-exclude=/usr/share/man/*\npath-exclude=/usr/share/info/*\npath-exclude=/usr/share/locale/*\nforce-unsafe-io\n",
		"usr/sbin/policy-rc.d": "#!/bin/sh\n# There is no init system: packages must not start services.\nexit 101\n",
		"etc/apt/sources.list": "",
		"etc/machine-id":       "",
		"etc/hostname":         "",
		"etc/resolv.conf":      "",
	} {
		mode := os.FileMode(0o644)
		if name == "usr/sbin/policy-rc.d" {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(tmp, name), []byte(text), mode); err != nil {
			return fmt.Errorf("configuring base: %w", err)
		}
	}
	if err := b.install(ctx, tmp, nil); err != nil {
		return err
	}
	if err := b.chroot(ctx, "slimming", tmp, `
find /usr/share/doc -type f ! -name copyright -delete
find /usr/share/doc -type l ! -name copyright -delete
rm -rf /usr/share/man/* /usr/share/info/* /usr/share/locale/*
`); err != nil {
		return err
	}
	return os.Rename(tmp, b.root())
}

// install brings the root up to date and adds packages, with this machine's access to Debian, of which nothing stays.
func (b Builder) install(ctx context.Context, root string, packages []string) (err error) {
	sources, err := aptSources(ctx)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, s := range sources {
		fmt.Fprintf(&list, "deb %s %s main\n", s.uri, s.release)
	}
	borrowed := map[string][]byte{"etc/apt/sources.list": []byte(list.String())}
	for _, name := range []string{"etc/resolv.conf", "etc/hosts"} {
		if data, err := os.ReadFile("/" + name); err == nil {
			borrowed[name] = data
		}
	}
	if borrowed["etc/apt/apt.conf.d/99builder"], err = aptProxy(ctx); err != nil {
		return err
	}
	for name, data := range borrowed {
		path := filepath.Join(root, name)
		old, readErr := os.ReadFile(path)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return fmt.Errorf("configuring apt: %w", err)
		}
		defer func() {
			if readErr != nil {
				err = errors.Join(err, os.Remove(path))
			} else {
				err = errors.Join(err, os.WriteFile(path, old, 0o644))
			}
		}()
	}
	script := "apt-get -q update\napt-get -q -y --no-install-recommends dist-upgrade\n"
	if len(packages) > 0 {
		script += "apt-get -q -y --no-install-recommends install " + strings.Join(packages, " ") + "\n"
	}
	script += "apt-get -q -y clean\nrm -rf /var/lib/apt/lists/*\n"
	return b.chroot(ctx, "installing packages", root, script)
}

// chroot runs a bash script in root.
func (b Builder) chroot(ctx context.Context, what, root, script string) error {
	if script == "" {
		return nil
	}
	return b.run(ctx, what, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", archive.Epoch.Unix()),
		"chroot", root, "bash", "-euo", "pipefail", "-c", script)
}

func (b Builder) run(ctx context.Context, what string, args ...string) error {
	fmt.Fprintf(b.Log, "%s\n", what)
	return progress.Run(b.Log, what, exec.CommandContext(ctx, args[0], args[1:]...))
}

type source struct{ uri, release string }

// aptSources is where this machine gets Suite from, the main archive first.
func aptSources(ctx context.Context) ([]source, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI) $(RELEASE)",
		"Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("finding Debian archive in the apt sources of this machine: %w", err)
	}
	all := parseSources(string(out))
	if len(all) == 0 || all[0].release != Suite {
		return nil, fmt.Errorf("finding Debian archive: the apt sources of this machine have no Debian %s (after apt-get update)", Suite)
	}
	return all, nil
}

func parseSources(targets string) []source {
	var all []source
	lines := bufio.NewScanner(strings.NewReader(targets))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 5 || f[0] != "Debian" || f[1] != "main" || !strings.HasPrefix(f[2], Suite) {
			continue
		}
		s := source{uri: f[3], release: f[4]}
		if s.release == "stable" || s.release == "oldstable" {
			s.release = f[2]
		}
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b source) int { return len(a.release) - len(b.release) })
	return all
}

// aptProxy is this machine's proxy configuration of apt.
func aptProxy(ctx context.Context) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return nil, fmt.Errorf("reading apt configuration: %w", err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "Proxy") || strings.Contains(line, "Retries") || strings.Contains(line, "Timeout") {
			kept.WriteString(line)
		}
	}
	return []byte(kept.String()), nil
}
