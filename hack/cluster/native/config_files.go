package native

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed templates
var templates embed.FS

// writeConfig renders templates/ into Home/config.
func (c *Cluster) writeConfig() error {
	for _, dir := range []string{"config", "config/cni", "run", "logs", "etcd", "containerd", "kubelet", "local-path", "images", "pod-logs", "csi"} {
		if err := os.MkdirAll(c.path(dir), 0o755); err != nil {
			return fmt.Errorf("making the cluster's directories: %w", err)
		}
	}

	all, err := template.ParseFS(templates, "templates/*")
	if err != nil {
		return fmt.Errorf("reading the cluster's templates: %w", err)
	}

	values := map[string]string{
		"Home": c.Home, "Node": nodeName, "NodeAddress": nodeAddress, "PodNetwork": podNetwork, "DNS": dnsService,
		"Socket": c.containerdSocket(), "CoreDNSImage": coreDNSImage, "PauseImage": pauseImage, "HelperImage": helperImage,
	}

	for _, t := range all.Templates() {
		var text strings.Builder
		if err := t.Execute(&text, values); err != nil {
			return fmt.Errorf("writing %s: %w", t.Name(), err)
		}

		file := c.path("config", t.Name())
		if filepath.Ext(file) == ".conflist" {
			file = c.path("config", "cni", t.Name())
		}

		// kube-proxy ends when its file is written to, changed or not.
		if old, err := os.ReadFile(file); err == nil && string(old) == text.String() {
			continue
		}

		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", t.Name(), err)
		}
	}

	return nil
}
