package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/btrfs"
)

// NodeGetInfo says which node this is.
func (d *Driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.Node}, nil
}

// NodeGetCapabilities: usage figures for the kubelet; no staging, a volume is a directory already.
func (d *Driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{Capabilities: []*csi.NodeServiceCapability{{
		Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{
			Type: csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		}},
	}}}, nil
}

// NodePublishVolume binds the volume's directory to the place where the kubelet wants it.
func (d *Driver) NodePublishVolume(_ context.Context, req *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := required("volume_id", req.GetVolumeId(), "target_path", req.GetTargetPath()); err != nil {
		return nil, err
	}
	if err := supported(req.GetVolumeCapability()); err != nil {
		return nil, err
	}
	v, err := d.Pool.Volume(req.GetVolumeId())
	if err != nil {
		return nil, failure(err)
	}
	flags, err := mountFlags(req.GetVolumeCapability().GetMount().GetMountFlags())
	if err != nil {
		return nil, err
	}
	if req.GetReadonly() || readerOnly(req.GetVolumeCapability().GetAccessMode().GetMode()) {
		flags |= unix.MS_RDONLY
	}
	if err := bind(d.Pool.VolumePath(v.ID), req.GetTargetPath(), flags); err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func bind(volume, target string, flags uintptr) error {
	mounted, err := btrfs.FindMount(target)
	if err != nil {
		return failure(err)
	}
	if mounted != nil {
		if path.Base(mounted.Root) != filepath.Base(volume) || mounted.ReadOnly != (flags&unix.MS_RDONLY != 0) {
			return status.Errorf(codes.AlreadyExists, "target %q has %q mounted already", target, mounted.Root)
		}
		return nil
	}
	if err := os.MkdirAll(target, 0o750); err != nil {
		return failure(fmt.Errorf("making target: %w", err))
	}
	if err := unix.Mount(volume, target, "", unix.MS_BIND, ""); err != nil {
		return failure(fmt.Errorf("binding volume to %q: %w", target, err))
	}
	if flags == 0 {
		return nil
	}
	// A bind mount takes its flags only from a second call.
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
		return failure(errors.Join(fmt.Errorf("setting mount flags of %q: %w", target, err), unix.Unmount(target, 0)))
	}
	return nil
}

// NodeUnpublishVolume undoes NodePublishVolume, also when that was interrupted or done twice.
func (d *Driver) NodeUnpublishVolume(_ context.Context, req *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	return unpublish(req)
}

func unpublish(req *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := required("volume_id", req.GetVolumeId(), "target_path", req.GetTargetPath()); err != nil {
		return nil, err
	}
	if err := btrfs.Unmount(req.GetTargetPath()); err != nil {
		return nil, failure(err)
	}
	// Not RemoveAll: what is left there now would be data.
	if err := os.Remove(req.GetTargetPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, failure(fmt.Errorf("removing target: %w", err))
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// NodeGetVolumeStats reports capacity and usage as the quota has them: the figures of the file system would be the pool's.
func (d *Driver) NodeGetVolumeStats(ctx context.Context, req *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	if err := required("volume_id", req.GetVolumeId(), "volume_path", req.GetVolumePath()); err != nil {
		return nil, err
	}
	v, err := d.Pool.Volume(req.GetVolumeId())
	if err != nil {
		return nil, failure(err)
	}
	if m, err := btrfs.FindMount(req.GetVolumePath()); err != nil || m == nil || path.Base(m.Root) != v.ID {
		return nil, status.Errorf(codes.NotFound, "volume %q is not mounted at %q", v.ID, req.GetVolumePath())
	}
	used, err := d.Pool.Used(ctx, v.ID)
	if err != nil {
		return nil, failure(err)
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{{
		Unit: csi.VolumeUsage_BYTES, Total: v.Capacity, Used: used, Available: max(0, v.Capacity-used),
	}}}, nil
}

func readerOnly(m csi.VolumeCapability_AccessMode_Mode) bool {
	return m == csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY || m == csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
}

func mountFlags(options []string) (uintptr, error) {
	known := map[string]uintptr{
		"rw": 0, "ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC,
		"noatime": unix.MS_NOATIME,
	}
	var flags uintptr
	for _, o := range options {
		f, ok := known[o]
		if !ok {
			return 0, status.Errorf(codes.InvalidArgument, "mount option %q is not supported by bind mounts", o)
		}
		flags |= f
	}
	return flags, nil
}
