package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/testbed"
)

// Down stops all pods and processes and takes the network away. With wipe it also deletes volumes, objects, images and keys;
// the built binaries stay in the cache.
func (c *Cluster) Down(ctx context.Context, log io.Writer, wipe bool) error {
	if _, err := os.Stat(c.Home); errors.Is(err, os.ErrNotExist) {
		return nil
	}

	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()

	names, err := c.names()
	if err != nil {
		return err
	}

	slices.Reverse(names)
	// The kubelet goes first, or it would start anew what is stopped here.
	if err := c.stop("kubelet"); err != nil {
		return err
	}

	if _, ok := c.running("containerd"); ok {
		if err := c.removeSandboxes(ctx); err != nil {
			fmt.Fprintf(log, "stopping pods: %v\n", err)
		}
	}

	for _, name := range names {
		if err := c.stop(name); err != nil {
			return err
		}
	}

	c.killShims()

	if err := c.unmountAll(); err != nil {
		return err
	}

	if err := testbed.Cleanup(c.csi()); err != nil {
		return fmt.Errorf("unmounting the volumes' pool: %w", err)
	}

	c.downNetwork(ctx)

	if !wipe {
		return nil
	}

	if err := testbed.Wipe(c.csi()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("wiping volumes: %w", err)
	}

	entries, err := os.ReadDir(c.Home)
	if err != nil {
		return err
	}

	for _, e := range entries {
		if e.Name() == "lock" {
			continue
		}

		if err := os.RemoveAll(c.path(e.Name())); err != nil {
			return fmt.Errorf("wiping the cluster's state: %w", err)
		}
	}

	return nil
}

// removeSandboxes ends all pods through the runtime's own interface, which also takes down their network.
func (c *Cluster) removeSandboxes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	conn, err := grpc.NewClient("unix://"+c.containerdSocket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()

	client := runtimeapi.NewRuntimeServiceClient(conn)

	containers, err := client.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return err
	}

	for _, container := range containers.GetContainers() {
		if _, err := client.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: container.GetId()}); err != nil {
			return err
		}
	}

	sandboxes, err := client.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return err
	}

	for _, sandbox := range sandboxes.GetItems() {
		if _, err := client.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: sandbox.GetId()}); err != nil {
			return err
		}

		if _, err := client.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: sandbox.GetId()}); err != nil {
			return err
		}
	}

	return nil
}

// killShims ends containers that the runtime no longer knows: their shims name its socket in their arguments.
func (c *Cluster) killShims() {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return
	}

	for _, p := range procs {
		cmdline, err := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if err != nil || !strings.Contains(string(cmdline), "containerd-shim") || !strings.Contains(string(cmdline), c.containerdSocket()) {
			continue
		}

		var pid int
		if _, err := fmt.Sscan(p.Name(), &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// unmountAll unmounts what pods left mounted below Home, the deepest first; the volumes' pool is testbed's to unmount.
func (c *Cluster) unmountAll() error {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}

	var points []string

	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[1], c.Home+"/") && !strings.HasPrefix(fields[1], c.path("csi")) {
			points = append(points, strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(fields[1]))
		}
	}

	sort.Sort(sort.Reverse(sort.StringSlice(points)))

	for _, point := range points {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %q: %w", point, err)
		}
	}

	return nil
}
