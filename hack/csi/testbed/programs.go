// Package testbed says what a test cluster needs for CSI volumes with snapshots: programs to build, objects to apply and
// processes to run. hack/cluster does it.
package testbed

import (
	"context"
	"io"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
)

const (
	snapshotterModule = "github.com/kubernetes-csi/external-snapshotter"
	snapshotterDir    = "csi/build/snapshotter"
	provisionerDir    = "csi/build/provisioner"
)

var (
	driverProgram = binaries.Program{
		Name: "btrfs-csi", Dir: ".", Package: "github.com/kubectl-kanister/kubectl-kanister/hack/csi",
	}
	provisionerProgram = binaries.Program{
		Name: "csi-provisioner", Dir: provisionerDir, Module: "github.com/kubernetes-csi/external-provisioner/v6",
		Package: "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
		LDFlags: "-X main.version=VERSION",
	}
	snapshotterProgram = binaries.Program{
		Name: "csi-snapshotter", Dir: snapshotterDir, Module: snapshotterModule + "/v8",
		Package: snapshotterModule + "/v8/cmd/csi-snapshotter",
		LDFlags: "-X main.version=VERSION",
	}
	snapshotControllerProgram = binaries.Program{
		Name: "snapshot-controller", Dir: snapshotterDir, Module: snapshotterModule + "/v8",
		Package: snapshotterModule + "/v8/cmd/snapshot-controller",
		LDFlags: "-X main.version=VERSION",
	}
)

// Build builds the programs that the cache lacks: about 3 minutes cold, 1 second warm.
func Build(ctx context.Context, log io.Writer) error {
	for _, p := range []binaries.Program{driverProgram, provisionerProgram, snapshotterProgram, snapshotControllerProgram} {
		if _, err := p.Build(ctx, log); err != nil {
			return err
		}
	}
	return nil
}
