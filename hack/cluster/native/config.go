// Package native runs a one-node Kubernetes cluster out of host processes: a real API server, kubelet, containerd, DNS, storage
// with snapshots. It is for machines without Docker and a registry; it needs root on a Debian system.
package native

import (
	"os"
	"path/filepath"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/testbed"
)

// Addresses of the cluster. The node has a bridge of its own, so that nothing listens on the machine's real interfaces.
const (
	nodeName    = "node"
	nodeAddress = "10.250.0.1"
	nodeBridge  = "kanister0"
	podNetwork  = "10.251.0.0/16"
	serviceCIDR = "10.252.0.0/16"
	apiService  = "10.252.0.1"
	dnsService  = "10.252.0.10"
	apiPort     = "16443"
	etcdURL     = "http://127.0.0.1:12379"
)

// Cluster is the one native cluster of a machine; Home holds its state.
type Cluster struct {
	Home string
}

// New takes the state directory from $KANISTER_CLUSTER_HOME. The default is short, because sockets below it must fit into 108 bytes.
func New() *Cluster {
	home := os.Getenv("KANISTER_CLUSTER_HOME")
	if home == "" {
		home = "/var/lib/kubectl-kanister"
	}

	return &Cluster{Home: home}
}

func (c *Cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.Home}, elem...)...)
}

// Kubeconfig is the administrator's.
func (c *Cluster) Kubeconfig() string { return c.path("kubeconfig") }

// AuditLog is where the API server notes every request, with its URI.
func (c *Cluster) AuditLog() string { return c.path("logs", "audit.log") }

func (c *Cluster) containerdSocket() string { return c.path("run", "containerd.sock") }

func (c *Cluster) log(name string) string { return c.path("logs", name+".log") }

func (c *Cluster) csi() testbed.Config {
	return testbed.Config{
		StateDir: c.path("csi"), KubeletDir: c.path("kubelet"), Kubeconfig: c.Kubeconfig(), NodeName: nodeName,
	}
}
