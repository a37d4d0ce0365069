package native

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}

	return nil
}

// fence keeps pods off the outside: what they send may only go to the node, to pods and to services.
var fence = []string{"-s", podNetwork, "!", "-d", "10.248.0.0/13", "-j", "REJECT"}

// upNetwork gives the node its own bridge and address, turns on forwarding and sets the fence.
func upNetwork(ctx context.Context) error {
	if _, err := os.Stat("/sys/class/net/" + nodeBridge); err != nil {
		if err := run(ctx, "ip", "link", "add", nodeBridge, "type", "bridge"); err != nil {
			return fmt.Errorf("making the node's bridge: %w", err)
		}
	}

	if err := run(ctx, "ip", "address", "replace", nodeAddress+"/24", "dev", nodeBridge); err != nil {
		return fmt.Errorf("giving the node its address: %w", err)
	}

	if err := run(ctx, "ip", "link", "set", nodeBridge, "up"); err != nil {
		return fmt.Errorf("raising the node's bridge: %w", err)
	}

	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("turning on IP forwarding: %w", err)
	}

	if run(ctx, "iptables", append([]string{"-w", "-C", "FORWARD"}, fence...)...) == nil {
		return nil
	}

	if err := run(ctx, "iptables", append([]string{"-w", "-I", "FORWARD", "1"}, fence...)...); err != nil {
		return fmt.Errorf("fencing the pods: %w", err)
	}

	return nil
}

// downNetwork removes what upNetwork, kube-proxy and the CNI plugins made. It goes on over errors: parts may be missing.
func (c *Cluster) downNetwork(ctx context.Context) {
	if proxy, err := program("kube-proxy"); err == nil {
		_ = run(ctx, proxy, "--cleanup", "--config", c.path("config", "kube-proxy.yaml"))
	}

	_ = run(ctx, "iptables", append([]string{"-w", "-D", "FORWARD"}, fence...)...)
	_ = run(ctx, "ip", "link", "delete", nodeBridge)
}
