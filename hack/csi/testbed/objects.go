package testbed

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/client-go/rest"

	"github.com/kubectl-kanister/kubectl-kanister/hack/apply"
	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
)

var (
	//go:embed manifests/storage.yaml
	storageManifest []byte
	//go:embed manifests/snapshots.yaml
	snapshotsManifest []byte
)

// Apply puts the CustomResourceDefinitions of snapshots, the CSIDriver, StorageClass csi-btrfs and VolumeSnapshotClass
// csi-btrfs into the cluster. It may be repeated, needs the API server only, and must be done before Processes are
// started: snapshot-controller gives up without its kinds.
func Apply(ctx context.Context, config *rest.Config) error {
	definitions, err := snapshotDefinitions(ctx)
	if err != nil {
		return err
	}
	a, err := apply.New(config)
	if err != nil {
		return err
	}
	return a.Manifests(ctx, append(definitions, storageManifest, snapshotsManifest)...)
}

// snapshotDefinitions reads the CustomResourceDefinitions out of the module that snapshot-controller is built with. All six are
// needed: with the three of single volumes the controller stalls for half a minute.
func snapshotDefinitions(ctx context.Context) ([][]byte, error) {
	hack, err := binaries.Hack()
	if err != nil {
		return nil, err
	}
	const module = snapshotterModule + "/client/v8"
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join(hack, snapshotterDir)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("downloading module of the snapshot definitions: %w: %s", err, out)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return nil, fmt.Errorf("reading answer of go mod download: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(downloaded.Dir, "config", "crd", "*storage.k8s.io_*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) != 6 {
		return nil, fmt.Errorf("reading snapshot definitions: found %d in module %s, want 6", len(files), module)
	}
	var all [][]byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("reading snapshot definition: %w", err)
		}
		all = append(all, data)
	}
	return all, nil
}
