// Package kind runs the test cluster as a container of Docker, for machines that have it and a registry to take the node's image
// from. Its storage is kind's own local-path: CSI snapshots need the native provider.
package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
)

// name of the cluster as kind knows it.
const name = "kanister-test"

// Cluster is the project's kind cluster.
type Cluster struct {
	provider *kindcluster.Provider
	home     string
}

// Available tells whether a Docker daemon answers.
func Available(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()

	return exec.CommandContext(ctx, "docker", "info").Run() == nil
}

// New keeps its state in $KANISTER_CLUSTER_HOME, by default in the user's cache: kind needs no root.
func New() (*Cluster, error) {
	home := os.Getenv("KANISTER_CLUSTER_HOME")
	if home == "" {
		cache, err := binaries.Dir()
		if err != nil {
			return nil, err
		}

		home = filepath.Join(cache, "kind")
	}

	return &Cluster{provider: kindcluster.NewProvider(kindcluster.ProviderWithDocker()), home: home}, nil
}

// Kubeconfig is the administrator's.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.home, "kubeconfig") }

// AuditLog is inside the node's container and not set up.
func (c *Cluster) AuditLog() string { return "" }

func (c *Cluster) exists() (bool, error) {
	names, err := c.provider.List()
	if err != nil {
		return false, fmt.Errorf("listing kind clusters: %w", err)
	}

	return slices.Contains(names, name), nil
}

// Up creates the cluster unless it is there, and writes the kubeconfig.
func (c *Cluster) Up(_ context.Context, log io.Writer) error {
	exists, err := c.exists()
	if err != nil {
		return err
	}

	if err := os.MkdirAll(c.home, 0o755); err != nil {
		return fmt.Errorf("making the cluster's directory: %w", err)
	}

	if exists {
		return c.provider.ExportKubeConfig(name, c.Kubeconfig(), false)
	}

	fmt.Fprintln(log, "creating kind cluster "+name)

	err = c.provider.Create(name,
		kindcluster.CreateWithKubeconfigPath(c.Kubeconfig()),
		kindcluster.CreateWithWaitForReady(5*time.Minute),
		kindcluster.CreateWithDisplayUsage(false), kindcluster.CreateWithDisplaySalutation(false))
	if err != nil {
		return fmt.Errorf("creating kind cluster %q: %w", name, err)
	}

	return nil
}

// Down deletes the cluster; kind cannot stop one.
func (c *Cluster) Down(_ context.Context, _ io.Writer, _ bool) error {
	if err := c.provider.Delete(name, c.Kubeconfig()); err != nil {
		return fmt.Errorf("deleting kind cluster %q: %w", name, err)
	}

	return nil
}

// Status prints whether the cluster exists.
func (c *Cluster) Status(out io.Writer) (bool, error) {
	exists, err := c.exists()
	if err != nil {
		return false, err
	}

	state := "down"
	if exists {
		state = "running"
	}

	fmt.Fprintf(out, "kind cluster %s: %s\nkubeconfig %s\n", name, state, c.Kubeconfig())

	return exists, nil
}

// LoadImages imports docker-archive files into every node.
func (c *Cluster) LoadImages(_ context.Context, log io.Writer, files ...string) error {
	nodes, err := c.provider.ListInternalNodes(name)
	if err != nil {
		return fmt.Errorf("listing nodes of kind cluster %q: %w", name, err)
	}

	for _, file := range files {
		for _, node := range nodes {
			archive, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("reading image archive: %w", err)
			}

			err = errors.Join(nodeutils.LoadImageArchive(node, archive), archive.Close())
			if err != nil {
				return fmt.Errorf("loading image %q into %s: %w", file, node, err)
			}
		}

		fmt.Fprintf(log, "loaded %s\n", filepath.Base(file))
	}

	return nil
}

// Restart is for the native provider.
func (c *Cluster) Restart(context.Context, io.Writer, string) error {
	return errors.New("restarting a part: only the native provider can")
}
