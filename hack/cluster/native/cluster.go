package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-kanister/kubectl-kanister/hack/apply"
	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/testbed"
)

// Up brings the cluster to the state it should have, whatever it finds: nothing, a stopped one, one with dead parts, a healthy one.
func (c *Cluster) Up(ctx context.Context, log io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("starting the native cluster: it needs root; run as root, or use --provider kind where Docker is")
	}

	if err := installPackages(ctx, log); err != nil {
		return err
	}

	if err := Build(ctx, log); err != nil {
		return err
	}

	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()

	for _, step := range []func() error{
		func() error { return upNetwork(ctx) }, c.writeConfig, c.makePKI,
	} {
		if err := step(); err != nil {
			return err
		}
	}

	foundation, err := c.foundation()
	if err != nil {
		return err
	}

	if err := c.start(ctx, log, foundation); err != nil {
		return err
	}

	images, err := c.systemImages()
	if err != nil {
		return err
	}

	if err := c.LoadImages(ctx, log, images...); err != nil {
		return err
	}

	if err := c.applyAddons(ctx); err != nil {
		return err
	}

	controllers, err := c.controllers()
	if err != nil {
		return err
	}

	if err := c.start(ctx, log, controllers); err != nil {
		return err
	}

	return c.awaitPods(ctx)
}

// start launches all, then waits for each: they come up side by side.
func (c *Cluster) start(ctx context.Context, log io.Writer, all []process) error {
	var started []string

	for _, p := range all {
		if p.follows != "" && slices.Contains(started, p.follows) {
			if err := c.stop(p.name); err != nil {
				return err
			}
		}

		fresh, err := c.launch(p)
		if err != nil {
			return err
		}

		if fresh {
			started = append(started, p.name)
		}
	}

	if len(started) > 0 {
		fmt.Fprintf(log, "starting %s\n", strings.Join(started, ", "))
	}

	for _, p := range all {
		if err := c.await(ctx, p); err != nil {
			return err
		}
	}

	return nil
}

func (c *Cluster) applyAddons(ctx context.Context) error {
	config, err := c.restConfig()
	if err != nil {
		return err
	}

	manifest, err := os.ReadFile(c.path("config", "addons.yaml"))
	if err != nil {
		return err
	}

	applier, err := apply.New(config)
	if err != nil {
		return err
	}

	if err := applier.Manifests(ctx, manifest); err != nil {
		return fmt.Errorf("installing add-ons: %w", err)
	}

	if err := testbed.Apply(ctx, config); err != nil {
		return fmt.Errorf("installing storage: %w", err)
	}

	return nil
}

// awaitPods waits until the node takes pods and names resolve.
func (c *Cluster) awaitPods(ctx context.Context) error {
	config, err := c.restConfig()
	if err != nil {
		return err
	}

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	for {
		waitingFor, err := unready(ctx, client)
		if err == nil && waitingFor == "" {
			return nil
		}

		select {
		case <-ctx.Done():
			return c.blame("kubelet", fmt.Errorf("waiting for %s: %w", waitingFor, errors.Join(err, ctx.Err())))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unready says what the cluster still waits for, "" when nothing.
func unready(ctx context.Context, client kubernetes.Interface) (string, error) {
	node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return "the node to register", err
	}

	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return "the node to be ready: " + condition.Message, nil
		}
	}

	dns, err := client.AppsV1().Deployments("kube-system").Get(ctx, "coredns", metav1.GetOptions{})
	if err != nil {
		return "CoreDNS", err
	}

	if dns.Status.ReadyReplicas == 0 || dns.Status.ObservedGeneration < dns.Generation {
		return "CoreDNS to be ready", nil
	}

	return "", nil
}

// Restart stops and starts one process, as a test of what a failing component does to others.
func (c *Cluster) Restart(ctx context.Context, log io.Writer, name string) error {
	names, err := c.names()
	if err != nil {
		return err
	}

	if !slices.Contains(names, name) {
		return fmt.Errorf("restarting %q: no such process; there are %s", name, strings.Join(names, ", "))
	}

	if err := c.stop(name); err != nil {
		return err
	}

	return c.Up(ctx, log)
}

// Status prints a line for each process and reports whether all are alive.
func (c *Cluster) Status(out io.Writer) (bool, error) {
	names, err := c.names()
	if err != nil {
		return false, err
	}

	healthy := true

	for _, name := range names {
		if m, ok := c.running(name); ok {
			fmt.Fprintf(out, "%-24s running  pid %d\n", name, m.PID)
		} else {
			healthy = false

			fmt.Fprintf(out, "%-24s down     %s\n", name, c.log(name))
		}
	}

	fmt.Fprintf(out, "kubeconfig %s\naudit log  %s\n", c.Kubeconfig(), c.AuditLog())

	return healthy, nil
}

// lock makes concurrent commands wait for one another.
func (c *Cluster) lock() (func(), error) {
	if err := os.MkdirAll(c.Home, 0o755); err != nil {
		return nil, fmt.Errorf("making the cluster's directory: %w", err)
	}

	f, err := os.OpenFile(c.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the cluster: %w", err)
	}

	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the cluster: %w", err), f.Close())
	}

	return func() { _ = f.Close() }, nil
}
