package driver

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/btrfs"
)

// defaultCapacity in bytes, of a request that names none.
const defaultCapacity = 1 << 30

// ControllerGetCapabilities lists what the controller service can do.
func (d *Driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	resp := &csi.ControllerGetCapabilitiesResponse{}
	for _, c := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		csi.ControllerServiceCapability_RPC_GET_CAPACITY,
	} {
		resp.Capabilities = append(resp.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: c}},
		})
	}
	return resp, nil
}

// CreateVolume makes an empty volume, one from a snapshot, or a clone.
func (d *Driver) CreateVolume(ctx context.Context, req *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if err := required("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := supported(req.GetVolumeCapabilities()...); err != nil {
		return nil, err
	}
	source, err := d.source(req.GetVolumeContentSource())
	if err != nil {
		return nil, err
	}
	capacity := req.GetCapacityRange().GetRequiredBytes()
	limit := req.GetCapacityRange().GetLimitBytes()
	if capacity == 0 {
		capacity = max(source.Capacity, defaultCapacity)
		if limit > 0 {
			capacity = min(capacity, limit)
		}
	}
	if limit > 0 && capacity > limit {
		return nil, status.Errorf(codes.OutOfRange, "required_bytes %d is above limit_bytes %d", capacity, limit)
	}
	v, err := d.Pool.CreateVolume(ctx, req.GetName(), capacity, source.ID)
	if err != nil {
		return nil, failure(err)
	}
	return &csi.CreateVolumeResponse{Volume: volume(v, req.GetVolumeContentSource())}, nil
}

// source is the record of what a volume is to be made from, the zero Record for nothing.
func (d *Driver) source(s *csi.VolumeContentSource) (r btrfs.Record, err error) {
	switch {
	case s == nil:
		return r, nil
	case s.GetSnapshot() != nil:
		r, err = d.Pool.Snapshot(s.GetSnapshot().GetSnapshotId())
	case s.GetVolume() != nil:
		r, err = d.Pool.Volume(s.GetVolume().GetVolumeId())
	default:
		return r, status.Error(codes.InvalidArgument, "volume_content_source is neither a snapshot nor a volume")
	}
	if err != nil {
		return r, failure(err)
	}
	return r, nil
}

func volume(r btrfs.Record, source *csi.VolumeContentSource) *csi.Volume {
	return &csi.Volume{VolumeId: r.ID, CapacityBytes: r.Capacity, ContentSource: source}
}

// supported refuses block volumes and access from several nodes: there is one node.
func supported(caps ...*csi.VolumeCapability) error {
	if len(caps) == 0 {
		return status.Error(codes.InvalidArgument, "volume capabilities are missing")
	}
	for _, c := range caps {
		if c.GetMount() == nil {
			return status.Error(codes.InvalidArgument, "only mounted volumes are supported, no block volumes")
		}
		if _, err := mountFlags(c.GetMount().GetMountFlags()); err != nil {
			return err
		}
	}
	return nil
}

// DeleteVolume removes a volume; unknown IDs are done already.
func (d *Driver) DeleteVolume(ctx context.Context, req *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	if err := d.Pool.DeleteVolume(ctx, req.GetVolumeId()); err != nil {
		return nil, failure(err)
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// ValidateVolumeCapabilities confirms what CreateVolume would accept.
func (d *Driver) ValidateVolumeCapabilities(_ context.Context, req *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if err := required("volume_id", req.GetVolumeId()); err != nil {
		return nil, err
	}
	if len(req.GetVolumeCapabilities()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "volume capabilities are missing")
	}
	if _, err := d.Pool.Volume(req.GetVolumeId()); err != nil {
		return nil, failure(err)
	}
	if err := supported(req.GetVolumeCapabilities()...); err != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: err.Error()}, nil //nolint:nilerr // "no" is an answer
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeContext:      req.GetVolumeContext(),
		VolumeCapabilities: req.GetVolumeCapabilities(),
		Parameters:         req.GetParameters(),
	}}, nil
}

// GetCapacity is the free space of the pool.
func (d *Driver) GetCapacity(context.Context, *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	free, err := d.Pool.Free()
	if err != nil {
		return nil, failure(err)
	}
	return &csi.GetCapacityResponse{AvailableCapacity: free}, nil
}

// ListVolumes lists volumes a page at a time.
func (d *Driver) ListVolumes(_ context.Context, req *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	all, err := d.Pool.Volumes()
	if err != nil {
		return nil, failure(err)
	}
	page, next, err := paged(all, req.GetStartingToken(), req.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	resp := &csi.ListVolumesResponse{NextToken: next}
	for _, r := range page {
		resp.Entries = append(resp.Entries, &csi.ListVolumesResponse_Entry{Volume: volume(r, nil)})
	}
	return resp, nil
}
