package driver

import (
	"context"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/btrfs"
)

// CreateSnapshot freezes a volume; the snapshot is ready when the call returns.
func (d *Driver) CreateSnapshot(ctx context.Context, req *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if err := required("name", req.GetName(), "source_volume_id", req.GetSourceVolumeId()); err != nil {
		return nil, err
	}
	r, err := d.Pool.CreateSnapshot(ctx, req.GetName(), req.GetSourceVolumeId())
	if err != nil {
		return nil, failure(err)
	}
	return &csi.CreateSnapshotResponse{Snapshot: snapshot(r)}, nil
}

// DeleteSnapshot removes a snapshot; unknown IDs are done already.
func (d *Driver) DeleteSnapshot(ctx context.Context, req *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if err := required("snapshot_id", req.GetSnapshotId()); err != nil {
		return nil, err
	}
	if err := d.Pool.DeleteSnapshot(ctx, req.GetSnapshotId()); err != nil {
		return nil, failure(err)
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

// ListSnapshots lists snapshots a page at a time, all or those of one ID or one volume. The snapshotter asks it whether a
// handle that somebody wrote into a VolumeSnapshotContent exists.
func (d *Driver) ListSnapshots(_ context.Context, req *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	all, err := d.Pool.Snapshots()
	if err != nil {
		return nil, failure(err)
	}
	all = slices.DeleteFunc(all, func(r btrfs.Record) bool {
		return req.GetSnapshotId() != "" && r.ID != req.GetSnapshotId() ||
			req.GetSourceVolumeId() != "" && r.Source != req.GetSourceVolumeId()
	})
	page, next, err := paged(all, req.GetStartingToken(), req.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	resp := &csi.ListSnapshotsResponse{NextToken: next}
	for _, r := range page {
		resp.Entries = append(resp.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: snapshot(r)})
	}
	return resp, nil
}

func snapshot(r btrfs.Record) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId:     r.ID,
		SourceVolumeId: r.Source,
		SizeBytes:      r.Capacity,
		CreationTime:   timestamppb.New(r.Created),
		ReadyToUse:     true,
	}
}

// paged cuts a page out of all, which is ordered by ID. The token is the ID that the page begins with, so that volumes
// coming and going between two calls neither repeat nor hide others.
func paged(all []btrfs.Record, token string, limit int32) (page []btrfs.Record, next string, err error) {
	if limit < 0 {
		return nil, "", status.Errorf(codes.InvalidArgument, "max_entries %d is negative", limit)
	}
	if token != "" {
		if !btrfs.IsID(token) {
			return nil, "", status.Errorf(codes.Aborted, "starting_token %q is none of this driver's", token)
		}
		i := slices.IndexFunc(all, func(r btrfs.Record) bool { return r.ID >= token })
		if i < 0 {
			return nil, "", nil
		}
		all = all[i:]
	}
	if limit == 0 || int(limit) >= len(all) {
		return all, "", nil
	}
	return all[:limit], all[limit].ID, nil
}
