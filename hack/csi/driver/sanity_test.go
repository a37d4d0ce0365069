package driver

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/btrfs"
)

// serve runs the driver on a pool of its own until the test ends. Skips where a pool cannot be mounted.
func serve(t *testing.T) (d *Driver, socket string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		t.Skip("btrfs-progs is not installed")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "pool")
	pool, err := btrfs.Open(t.Context(), btrfs.Options{Image: filepath.Join(dir, "pool.img"), Root: root, Size: 20 << 30})
	if err != nil {
		t.Fatal(err)
	}
	d = &Driver{Pool: pool, Node: "node-1", Log: slog.New(slog.DiscardHandler)}
	socket = filepath.Join(dir, "csi.sock")
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, socket) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := btrfs.Unmount(root); err != nil {
			t.Error(err)
		}
	})
	for !exists(socket) {
		select {
		case err := <-served:
			served <- err
			t.Fatal("server ended early")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return d, socket
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// TestSanity is the conformance suite of the CSI project.
func TestSanity(t *testing.T) {
	_, socket := serve(t)
	config := sanity.NewTestConfig()
	config.Address = "unix://" + socket
	dir := t.TempDir()
	config.TargetPath = filepath.Join(dir, "target")
	config.StagingPath = filepath.Join(dir, "staging")
	config.TestVolumeSize = 1 << 30
	sanity.Test(t, config)
}

func TestRegistration(t *testing.T) {
	_, socket := serve(t)
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	info, err := registration.NewRegistrationClient(conn).GetInfo(t.Context(), &registration.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if info.Type != "CSIPlugin" || info.Name != Name || info.Endpoint != socket {
		t.Errorf("registration = %v", info)
	}
}
