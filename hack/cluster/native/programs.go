package native

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/testbed"
)

// debianPackages give the container runtime and what it calls.
var debianPackages = []string{
	"containerd", "runc", "containernetworking-plugins", "iptables", "conntrack", "socat", "iproute2", "kmod",
	"btrfs-progs", "busybox-static", "ca-certificates",
}

// programs by name. Their versions are those of the go.mod files below hack/cluster/build.
var programs = func() map[string]binaries.Program {
	all := map[string]binaries.Program{
		"etcd": {
			Name: "etcd", Module: "go.etcd.io/etcd/server/v3", Dir: "cluster/build/etcd", Package: "go.etcd.io/etcd/server/v3",
		},
		"coredns": {
			Name: "coredns", Module: "github.com/coredns/coredns", Dir: "cluster/build/coredns", Package: ".",
		},
		"local-path-provisioner": {
			Name: "local-path-provisioner", Module: "github.com/rancher/local-path-provisioner",
			Dir: "cluster/build/localpath", Package: "github.com/rancher/local-path-provisioner",
		},
		"pause": {
			Name: "pause", Dir: ".", Package: "github.com/kubectl-kanister/kubectl-kanister/hack/cluster/pause",
		},
	}

	for _, name := range []string{"kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl"} {
		all[name] = binaries.Kubernetes(name)
	}

	return all
}()

// Build builds what the cache lacks: about 15 minutes of two cores cold, a second warm.
func Build(ctx context.Context, log io.Writer) error {
	// The kubelet first: the others share most of its packages.
	for _, name := range []string{
		"kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl",
		"etcd", "coredns", "local-path-provisioner", "pause",
	} {
		if _, err := programs[name].Build(ctx, log); err != nil {
			return err
		}
	}

	return testbed.Build(ctx, log)
}

func program(name string) (string, error) { return programs[name].Path() }

// installPackages installs the Debian packages that are missing.
func installPackages(ctx context.Context, log io.Writer) error {
	var missing []string

	for _, name := range debianPackages {
		out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name).Output()
		if err != nil || !strings.HasPrefix(string(out), "ii") {
			missing = append(missing, name)
		}
	}

	if len(missing) == 0 {
		return nil
	}

	fmt.Fprintf(log, "installing Debian packages: %s\n", strings.Join(missing, " "))

	const patient = "-o=DPkg::Lock::Timeout=600"

	for _, args := range [][]string{
		{"update", "-q"},
		append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{patient}, args...)...)
		cmd.Env = append(cmd.Environ(), "DEBIAN_FRONTEND=noninteractive")

		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("installing %s: apt-get %s: %w\n%s", strings.Join(missing, " "), args[0], err, out)
		}
	}

	return nil
}
