package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/btrfs"
	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/driver"
)

// Config is what the processes need to know of the cluster.
type Config struct {
	// StateDir is a directory of the cluster in which the pool's image and mount point are made.
	StateDir string
	// KubeletDir is the kubelet's root directory, by default /var/lib/kubelet.
	KubeletDir string
	// Kubeconfig of a cluster administrator.
	Kubeconfig string
	// NodeName of the node that the kubelet registered.
	NodeName string
}

// EBSZone is where the node is, as the driver of EBS volumes says.
const EBSZone = "eu-test-1a"

// Process is a program that runs beside the kubelet on the host, as root, for as long as the cluster is up.
type Process struct {
	Name string
	// Path of the binary; Args without it.
	Path string
	Args []string
	// Ready returns when the process does its work, or says why it does not when ctx ends. May be nil.
	Ready func(ctx context.Context) error
}

// Processes lists what to run, in the order of starting; to be stopped by SIGTERM in reverse order. Each starts its program
// again when that ends, as sidecars do when the driver was gone for a moment. The kubelet need not
// be up to start them, but Ready of the driver waits for its registration.
func Processes(c Config) ([]Process, error) {
	paths := map[string]string{}
	for _, p := range []binaries.Program{driverProgram, provisionerProgram, snapshotterProgram, snapshotControllerProgram} {
		path, err := p.Path()
		if err != nil {
			return nil, err
		}
		paths[p.Name] = path
	}
	socket := c.socket()
	// The defaults of 5 requests a second would be what tests measure.
	client := []string{"--kubeconfig=" + c.Kubeconfig, "--kube-api-qps=100", "--kube-api-burst=200", "--leader-election=false"}
	sidecar := append(slices.Clone(client), "--csi-address="+socket, "--timeout=60s", "--retry-interval-start=200ms", "--retry-interval-max=10s")
	all := []Process{
		{
			Name: "btrfs-csi", Path: paths["btrfs-csi"],
			Args:  []string{"--socket=" + socket, "--image=" + c.image(), "--root=" + c.root(), "--node=" + c.NodeName},
			Ready: c.driverReady,
		},
		{
			Name: "csi-provisioner", Path: paths["csi-provisioner"],
			Args: append(slices.Clone(sidecar), "--extra-create-metadata=true"),
		},
		{
			Name: "csi-snapshotter", Path: paths["csi-snapshotter"],
			Args: append(slices.Clone(sidecar), "--extra-create-metadata=true"),
		},
		{
			Name: "snapshot-controller", Path: paths["snapshot-controller"],
			Args: append(slices.Clone(client), "--retry-interval-start=200ms", "--retry-interval-max=10s"),
		},
	}
	all = append(all, Process{
		Name: "ebs-csi", Path: paths["btrfs-csi"],
		Args:  []string{"ebs", "--socket=" + c.ebsSocket(), "--volumes=" + filepath.Join(c.root(), "volumes"), "--node=" + c.NodeName, "--zone=" + EBSZone},
		Ready: c.ebsReady,
	})
	for i, p := range all {
		all[i].Path, all[i].Args = paths["btrfs-csi"], append([]string{"keep", p.Path}, p.Args...)
	}
	return all, nil
}

// Cleanup unmounts the pool once processes and pods are gone. The volumes stay in the image for the next start; Wipe removes them.
func Cleanup(c Config) error { return btrfs.Unmount(c.root()) }

// Wipe unmounts the pool and removes it with all volumes and snapshots.
func Wipe(c Config) error {
	if err := Cleanup(c); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(c.image()), os.Remove(c.root()))
}

func (c Config) socket() string {
	return filepath.Join(c.KubeletDir, "plugins_registry", driver.Name+"-reg.sock")
}
func (c Config) ebsSocket() string {
	return filepath.Join(c.KubeletDir, "plugins_registry", driver.EBSName+"-reg.sock")
}
func (c Config) image() string { return filepath.Join(c.StateDir, "btrfs.img") }
func (c Config) root() string  { return filepath.Join(c.StateDir, "btrfs") }

// driverReady waits for the driver to answer and for the kubelet to have announced it in the node's CSINode object: pods
// scheduled earlier fail to mount at first.
func (c Config) driverReady(ctx context.Context) error {
	return c.registered(ctx, driver.Name, c.socket())
}

func (c Config) ebsReady(ctx context.Context) error {
	return c.registered(ctx, driver.EBSName, c.ebsSocket())
}

func (c Config) registered(ctx context.Context, name, socket string) error {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting to CSI driver: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := csi.NewIdentityClient(conn).Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true)); err != nil {
		return fmt.Errorf("probing CSI driver at %q: %w", socket, err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making client: %w", err)
	}
	err = wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		node, err := client.StorageV1().CSINodes().Get(ctx, c.NodeName, metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(node.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == name }), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for kubelet to register CSI driver %q on node %q: %w", name, c.NodeName, err)
	}
	return nil
}
