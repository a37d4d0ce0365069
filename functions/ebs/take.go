package ebs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
)

// take begins a snapshot of every volume, or finds the one that this phase began before a crash.
func (s *session) take(ctx context.Context, infos []Snapshot) error {
	for _, region := range regionsOf(infos) {
		if err := s.adopt(ctx, region, infos); err != nil {
			return err
		}
	}

	return each(len(infos), func(i int) error {
		if infos[i].SnapshotID != "" {
			return nil
		}

		return s.takeOne(ctx, infos, i)
	})
}

// adopt fills in the snapshots that this phase has begun before. Of two for one volume, which a lost answer may leave behind, the
// later one goes.
func (s *session) adopt(ctx context.Context, region string, infos []Snapshot) error {
	found, err := s.mine(ctx, region)
	if err != nil {
		return err
	}

	slices.SortStableFunc(found, func(a, b types.Snapshot) int { return aws.ToTime(a.StartTime).Compare(aws.ToTime(b.StartTime)) })

	for _, snapshot := range found {
		id := aws.ToString(snapshot.SnapshotId)

		at := slices.IndexFunc(infos, func(info Snapshot) bool {
			return info.Region == region && info.VolumeID == aws.ToString(snapshot.VolumeId) && info.PVCName == nameIn(tagIn(snapshot.Tags, tagClaim))
		})
		if at < 0 || infos[at].SnapshotID == id {
			continue
		}

		if infos[at].SnapshotID == "" {
			infos[at].SnapshotID = id

			continue
		}

		if _, err := s.drop(ctx, region, id); err != nil {
			return err
		}
	}

	return nil
}

// settle deletes what was made by requests without an answer and not seen in time, so that another was made in its place.
func (s *session) settle(ctx context.Context, infos []Snapshot) {
	if !s.unsure.Load() {
		return
	}

	for _, region := range regionsOf(infos) {
		if err := s.adopt(ctx, region, infos); err != nil {
			s.run.Journal.Warn(fmt.Sprintf("a snapshot may have been taken twice in %s, and one of the two is left: look for the tag %s=%s: %v", region, tagPhaseID, s.id, err))
		}
	}
}

// nameIn is the claim's name in the value of tagClaim.
func nameIn(tag string) string { return tag[strings.LastIndex(tag, "/")+1:] }

// mine are the snapshots that this phase has begun.
func (s *session) mine(ctx context.Context, region string) ([]types.Snapshot, error) {
	var found []types.Snapshot

	err := s.Wait(ctx, "EC2 to tell of snapshots", func(ctx context.Context) (cloud.State, error) {
		var err error

		found, err = s.list(ctx, region, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("tag:"+tagPhaseID, s.id)}})

		return cloud.State{Done: err == nil}, err
	})

	return found, err
}

func (s *session) list(ctx context.Context, region string, request *ec2.DescribeSnapshotsInput) ([]types.Snapshot, error) {
	at, err := s.in(ctx, region)
	if err != nil {
		return nil, err
	}

	var found []types.Snapshot

	for pages := ec2.NewDescribeSnapshotsPaginator(at, request); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.ExplainLasting("reading EBS snapshots in "+region, err)
		}

		found = append(found, page.Snapshots...)
	}

	return found, nil
}

// takeOne asks for the snapshot of infos[i]. EC2 knows no idempotent CreateSnapshot: a request without an answer is not repeated
// before EC2 has been asked what became of it.
func (s *session) takeOne(ctx context.Context, infos []Snapshot, i int) error {
	info := &infos[i]
	lost := false

	at, err := s.in(ctx, info.Region)
	if err != nil {
		return err
	}

	what := fmt.Sprintf("a snapshot of volume %q (%s) to begin", info.PVCName, info.VolumeID)

	return s.Wait(ctx, what, func(ctx context.Context) (cloud.State, error) {
		if lost {
			one := []Snapshot{*info}
			if err := s.adopt(ctx, info.Region, one); err != nil {
				return cloud.State{}, err
			}

			if info.SnapshotID = one[0].SnapshotID; info.SnapshotID != "" {
				return cloud.State{Done: true}, nil
			}
		}

		out, err := at.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
			VolumeId:    &info.VolumeID,
			Description: aws.String(shortened(fmt.Sprintf("Kanister: claim %s/%s, run %s", info.Claim.Namespace, info.PVCName, cloud.TagOf(s.run)))),
			TagSpecifications: []types.TagSpecification{{
				ResourceType: types.ResourceTypeSnapshot, Tags: s.ours(info.Tags, map[string]string{tagClaim: info.Claim.Namespace + "/" + info.PVCName}),
			}},
		}, once)

		switch {
		case err == nil:
			info.SnapshotID = aws.ToString(out.SnapshotId)
			s.run.Journal.Event(fmt.Sprintf("snapshot %s of volume %s (%s) begun", info.SnapshotID, info.PVCName, info.VolumeID))

			return cloud.State{Done: true}, nil
		case busy(err):
			return cloud.State{Status: cloud.Message(err), Percent: -1}, nil
		}

		if lost = cloud.Passing(err); lost {
			s.unsure.Store(true)
		}

		return cloud.State{}, cloud.ExplainLasting(fmt.Sprintf("taking a snapshot of volume %q (%s)", info.PVCName, info.VolumeID), err)
	})
}

// once keeps the SDK from repeating a request by itself.
func once(o *ec2.Options) {
	o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts = 1 })
}

// busy errors mean that EC2 will do it later: too many at once, for this volume or in this account.
func busy(err error) bool {
	return cloud.HasCode(err, "SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded", "RequestLimitExceeded", "Throttl")
}

// drop deletes a snapshot; true if it was gone already.
func (s *session) drop(ctx context.Context, region, id string) (bool, error) {
	at, err := s.in(ctx, region)
	if err != nil {
		return false, err
	}

	gone := false

	err = s.Wait(ctx, fmt.Sprintf("snapshot %q to be deleted", id), func(ctx context.Context) (cloud.State, error) {
		_, err := at.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &id})
		if gone = notFound(err); gone {
			err = nil
		}

		return cloud.State{Done: err == nil}, cloud.ExplainLasting(fmt.Sprintf("deleting snapshot %q", id), err)
	})

	return gone, err
}

func notFound(err error) bool {
	return cloud.HasCode(err, "InvalidSnapshot.NotFound", "InvalidVolume.NotFound")
}
