package driver

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// EBSName is the name of AWS's driver of EBS volumes, which EBS stands in for.
const EBSName = "ebs.csi.aws.com"

// EBSZoneKey is the node label in which AWS's driver tells the node's zone.
const EBSZoneKey = "topology.ebs.csi.aws.com/zone"

// EBS mounts volumes of the stand-in for EC2 (hack/aws) under the name of AWS's own driver, so that what was restored from an EBS
// snapshot can be looked into. A volume is a directory below one of the pool, the stand-in's own: <its volume>/ebs/volumes/<id>.
// There is a node service only: nobody attaches, provisions or deletes.
type EBS struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer

	// Volumes is the directory of the pool's volumes.
	Volumes string
	// Node is the name of the Kubernetes node, Zone the one that it says it is in.
	Node, Zone string
	Log        *slog.Logger
}

// Serve is as Driver's.
func (d *EBS) Serve(ctx context.Context, socket string) error {
	return listen(ctx, socket, d.Log, func(server *grpc.Server) {
		csi.RegisterIdentityServer(server, d)
		csi.RegisterNodeServer(server, d)
		registration.RegisterRegistrationServer(server, &registrar{name: EBSName, socket: socket, log: d.Log})
		d.Log.Info("serving", "socket", socket, "node", d.Node, "zone", d.Zone)
	})
}

// GetPluginInfo names the driver.
func (d *EBS) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: EBSName, VendorVersion: Version}, nil
}

// GetPluginCapabilities says that volumes are not everywhere.
func (d *EBS) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{{
		Type: &csi.PluginCapability_Service_{Service: &csi.PluginCapability_Service{
			Type: csi.PluginCapability_Service_VOLUME_ACCESSIBILITY_CONSTRAINTS,
		}},
	}}}, nil
}

// Probe is always ready.
func (d *EBS) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

// NodeGetInfo tells node and zone; the kubelet labels the node with it.
func (d *EBS) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.Node, AccessibleTopology: &csi.Topology{Segments: map[string]string{EBSZoneKey: d.Zone}}}, nil
}

// NodeGetCapabilities: none.
func (d *EBS) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

var ebsVolume = regexp.MustCompile(`^vol-[0-9a-f]{8,17}$`)

// NodePublishVolume binds the volume's directory to the place where the kubelet wants it.
func (d *EBS) NodePublishVolume(_ context.Context, req *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := required("volume_id", req.GetVolumeId(), "target_path", req.GetTargetPath()); err != nil {
		return nil, err
	}
	if !ebsVolume.MatchString(req.GetVolumeId()) {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no identifier of an EBS volume", req.GetVolumeId())
	}
	found, err := filepath.Glob(filepath.Join(d.Volumes, "*", "ebs", "volumes", req.GetVolumeId()))
	if err != nil || len(found) != 1 {
		return nil, status.Errorf(codes.NotFound, "EBS volume %q: found %d of it", req.GetVolumeId(), len(found))
	}
	flags, err := mountFlags(req.GetVolumeCapability().GetMount().GetMountFlags())
	if err != nil {
		return nil, err
	}
	if err := bind(found[0], req.GetTargetPath(), flags); err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// NodeUnpublishVolume is Driver's.
func (d *EBS) NodeUnpublishVolume(_ context.Context, req *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	return unpublish(req)
}
