// Package binaries builds the programs of the test bed from pinned Go modules into a cache outside the work tree.
package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/progress"
)

// Program is one main package of a module with its own go.mod and go.sum below hack/.
type Program struct {
	// Name of the binary.
	Name string
	// Module that Package belongs to. Its version in the go.mod of Dir is part of the file name, so that a binary in the
	// cache is final; without Module the Go tool decides each time what to do.
	Module string
	// Dir of the module to build in, relative to hack/.
	Dir string
	// Package is the import path of the main package.
	Package string
	// LDFlags beside those that strip the binary; VERSION in them is replaced.
	LDFlags string
}

// Dir is the cache of the project on this machine: $XDG_CACHE_HOME/kubectl-kanister.
func Dir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding cache directory: %w", err)
	}
	return filepath.Join(dir, "kubectl-kanister"), nil
}

// Hack is the absolute path of the checkout's hack/ directory, found from the working directory.
func Hack() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		hack := filepath.Join(dir, "hack")
		if _, err := os.Stat(filepath.Join(hack, "csi", "build", "snapshotter", "go.mod")); err == nil {
			return hack, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding hack/: not in a checkout of this project")
		}
	}
}

// Path is where Build puts the binary.
func (p Program) Path() (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	version, err := p.Version()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "bin", strings.TrimSuffix(p.Name+"-"+version, "-")), nil
}

// Version is that of Module in the go.mod of Dir, "" without Module.
func (p Program) Version() (string, error) {
	if p.Module == "" {
		return "", nil
	}
	hack, err := Hack()
	if err != nil {
		return "", err
	}
	file := filepath.Join(hack, p.Dir, "go.mod")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("finding version of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == p.Module {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("finding version of %s: %q does not require %s", p.Name, file, p.Module)
}

// Build builds the program unless the cache has it, and returns its path. Of several processes that want the same
// program one builds and the others wait. Progress goes to log, a line at least every 15 seconds.
func (p Program) Build(ctx context.Context, log io.Writer) (string, error) {
	path, err := p.Path()
	if err != nil {
		return "", err
	}
	if p.built(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("making binary cache: %w", err)
	}
	unlock, err := Lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if p.built(path) {
		return path, nil
	}
	begin := time.Now()
	if p.Module != "" {
		fmt.Fprintf(log, "building %s\n", filepath.Base(path))
	}
	if err := p.compile(ctx, log, path+".new"); err != nil {
		return "", err
	}
	if p.Module != "" {
		fmt.Fprintf(log, "built %s in %s\n", filepath.Base(path), time.Since(begin).Round(time.Second))
	}
	return path, replace(path+".new", path)
}

func (p Program) built(path string) bool {
	_, err := os.Stat(path)
	return err == nil && p.Module != ""
}

func (p Program) compile(ctx context.Context, log io.Writer, out string) error {
	hack, err := Hack()
	if err != nil {
		return err
	}
	version, err := p.Version()
	if err != nil {
		return err
	}
	flags := "-s -w " + strings.ReplaceAll(p.LDFlags, "VERSION", version)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", out, p.Package)
	cmd.Dir = filepath.Join(hack, p.Dir)
	// The same environment for everybody, so that the Go build cache serves all of the test bed.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	return progress.Run(log, "building "+filepath.Base(strings.TrimSuffix(out, ".new")), cmd)
}

// replace moves a new binary into place, leaving the old one alone when they are equal: its time stamp tells others that
// nothing changed.
func replace(tmp, path string) error {
	fresh, err := os.ReadFile(tmp)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, fresh) {
		return os.Remove(tmp)
	}
	return os.Rename(tmp, path)
}

// Lock waits until no other process holds path, and holds it until unlock is called or the process ends.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %q: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
