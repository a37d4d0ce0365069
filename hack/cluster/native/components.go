package native

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/testbed"
)

// foundation are the processes below the API server and itself. Controllers may only start when the API server has made its
// RBAC roles: a controller-manager that is refused exits for good.
func (c *Cluster) foundation() ([]process, error) {
	etcd, err1 := program("etcd")
	apiserver, err2 := program("kube-apiserver")

	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}

	return []process{
		{
			name: "etcd", path: etcd,
			args: []string{
				"--data-dir=" + c.path("etcd"), "--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
				"--listen-peer-urls=http://127.0.0.1:12380", "--initial-advertise-peer-urls=http://127.0.0.1:12380",
				"--initial-cluster=default=http://127.0.0.1:12380", "--quota-backend-bytes=4294967296",
				"--auto-compaction-mode=periodic", "--auto-compaction-retention=10m",
				// A test bed has nothing to lose in a power cut, and its disk is shared with compilers.
				"--unsafe-no-fsync",
			},
			ready: httpOK(etcdURL+"/health", nil),
		},
		{
			name: "containerd", path: "/usr/bin/containerd",
			args:   []string{"--config", c.path("config", "containerd.toml")},
			inputs: []string{c.path("config", "containerd.toml")},
			ready:  c.containerdReady,
		},
		{
			name: "kube-apiserver", path: apiserver,
			args: []string{
				"--bind-address=" + nodeAddress, "--advertise-address=" + nodeAddress, "--secure-port=" + apiPort,
				"--etcd-servers=" + etcdURL,
				"--service-cluster-ip-range=" + serviceCIDR,
				"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
				"--client-ca-file=" + c.pki("ca.crt"),
				"--tls-cert-file=" + c.pki("kube-apiserver.crt"), "--tls-private-key-file=" + c.pki("kube-apiserver.key"),
				"--kubelet-certificate-authority=" + c.pki("ca.crt"),
				"--kubelet-client-certificate=" + c.pki("apiserver-to-kubelet.kc.crt"),
				"--kubelet-client-key=" + c.pki("apiserver-to-kubelet.kc.key"),
				"--kubelet-preferred-address-types=InternalIP",
				"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
				"--service-account-key-file=" + c.pki("service-account.key"),
				"--service-account-signing-key-file=" + c.pki("service-account.key"),
				"--audit-policy-file=" + c.path("config", "audit.yaml"), "--audit-log-path=" + c.AuditLog(),
				"--audit-log-maxsize=500", "--audit-log-maxbackup=2",
				"--allow-privileged=true", "--profiling=false", "--event-ttl=2h",
			},
			inputs: []string{c.path("config", "audit.yaml")},
			ready:  c.apiReady,
		},
	}, nil
}

// controllers are the processes that need the API server.
func (c *Cluster) controllers() ([]process, error) {
	paths := map[string]string{}

	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "local-path-provisioner"} {
		path, err := program(name)
		if err != nil {
			return nil, err
		}

		paths[name] = path
	}

	all := []process{
		{
			name: "kube-controller-manager", path: paths["kube-controller-manager"],
			args: []string{
				"--kubeconfig=" + c.path("controllers.kubeconfig"), "--bind-address=127.0.0.1", "--secure-port=20257",
				"--authentication-kubeconfig=" + c.path("controllers.kubeconfig"),
				"--authorization-kubeconfig=" + c.path("controllers.kubeconfig"),
				"--use-service-account-credentials=true", "--leader-elect=false",
				"--root-ca-file=" + c.pki("ca.crt"), "--service-account-private-key-file=" + c.pki("service-account.key"),
				"--cluster-signing-cert-file=" + c.pki("ca.crt"), "--cluster-signing-key-file=" + c.pki("ca.key"),
				"--kube-api-qps=200", "--kube-api-burst=400", "--pvclaimbinder-sync-period=1s",
				"--node-monitor-grace-period=40s",
			},
			ready: httpOK("https://127.0.0.1:20257/healthz", &tls.Config{InsecureSkipVerify: true}), //nolint:gosec // its own certificate, on loopback
		},
		{
			name: "kube-scheduler", path: paths["kube-scheduler"],
			args: []string{
				"--kubeconfig=" + c.path("scheduler.kubeconfig"), "--bind-address=127.0.0.1", "--secure-port=20259",
				"--authentication-kubeconfig=" + c.path("scheduler.kubeconfig"),
				"--authorization-kubeconfig=" + c.path("scheduler.kubeconfig"),
				"--leader-elect=false", "--kube-api-qps=200", "--kube-api-burst=400",
			},
			ready: httpOK("https://127.0.0.1:20259/healthz", &tls.Config{InsecureSkipVerify: true}), //nolint:gosec // its own certificate, on loopback
		},
		{
			name: "kubelet", path: paths["kubelet"],
			args: []string{
				"--config=" + c.path("config", "kubelet.yaml"), "--kubeconfig=" + c.path("kubelet.kubeconfig"),
				"--root-dir=" + c.path("kubelet"), "--hostname-override=" + nodeName, "--node-ip=" + nodeAddress,
				"--node-labels=topology.kubernetes.io/zone=test",
			},
			inputs: []string{c.path("config", "kubelet.yaml"), c.path("config", "resolv.conf")},
			ready:  httpOK("http://127.0.0.1:20248/healthz", nil),
		},
		{
			name: "kube-proxy", path: paths["kube-proxy"],
			args:   []string{"--config=" + c.path("config", "kube-proxy.yaml")},
			inputs: []string{c.path("config", "kube-proxy.yaml")},
			ready:  httpOK("http://127.0.0.1:20256/healthz", nil),
		},
		{
			name: "local-path-provisioner", path: paths["local-path-provisioner"],
			args: []string{
				"start", "--kubeconfig", c.Kubeconfig(), "--namespace", "local-path-storage", "--configmap-name", "local-path-config",
				"--config", c.path("config", "local-path.json"), "--helper-image", helperImage,
				"--service-account-name", "local-path-provisioner-service-account",
			},
		},
	}

	csi, err := testbed.Processes(c.csi())
	if err != nil {
		return nil, err
	}

	// The first is the driver, the others talk to it.
	for i, p := range csi {
		sidecar := process{name: p.Name, path: p.Path, args: p.Args, ready: p.Ready}
		if i > 0 {
			sidecar.follows = csi[0].Name
		}

		all = append(all, sidecar)
	}

	return all, nil
}

// names of all processes in the order of starting.
func (c *Cluster) names() ([]string, error) {
	foundation, err1 := c.foundation()
	controllers, err2 := c.controllers()

	var names []string
	for _, p := range slices.Concat(foundation, controllers) {
		names = append(names, p.name)
	}

	return names, errors.Join(err1, err2)
}

// httpOK makes a readiness check of a URL.
func httpOK(url string, config *tls.Config) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}

	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}

		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()

		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(response.Body, 500))

			return fmt.Errorf("%s says %s: %s", url, response.Status, body)
		}

		return nil
	}
}

func (c *Cluster) apiReady(ctx context.Context) error {
	pem, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return err
	}

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	// readyz includes the post-start hook that makes the RBAC roles.
	return httpOK("https://"+nodeAddress+":"+apiPort+"/readyz", &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})(ctx)
}

func (c *Cluster) restConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}

	config.QPS, config.Burst = -1, -1

	return config, nil
}
