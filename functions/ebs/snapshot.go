package ebs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Words of the undo list.
const (
	snapshots = "snapshots"
	volumes   = "volumes"
)

// Exec implements functions.Func.
func (f CreateVolumeSnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(f.Function, run, args)
	if err != nil {
		return nil, err
	}

	all, err := sources(ctx, run, a)
	if err != nil {
		return nil, err
	}

	infos, err := s.describe(ctx, all)
	if err != nil {
		return nil, err
	}

	regions := regionsOf(infos)
	if err := s.undo(ctx, a, snapshots, regions, nil); err != nil {
		return nil, err
	}

	if err := s.take(ctx, infos); err != nil {
		return nil, err // the undo list deletes what was taken
	}

	if !a.SkipWait {
		if _, err := s.waitSnapshots(ctx, infos, newborn); err != nil {
			return nil, err
		}
	}

	s.settle(ctx, infos)

	text, err := encode(infos)
	if err != nil {
		return nil, err
	}

	if err := s.dropUndo(ctx, snapshots, regions); err != nil {
		return nil, err
	}

	return map[string]any{"volumeSnapshotInfo": text}, nil
}

func regionsOf(infos []Snapshot) []string {
	regions := map[string]bool{}
	for _, info := range infos {
		regions[info.Region] = true
	}

	return slices.Sorted(maps.Keys(regions))
}

// describe asks EC2 about the volumes, and gives what will be known of their snapshots but the identifiers.
func (s *session) describe(ctx context.Context, all []source) ([]Snapshot, error) {
	ids := map[string][]string{}

	for i := range all {
		at, err := s.in(ctx, regionOf(all[i].zone))
		if err != nil {
			return nil, err
		}

		all[i].region = at.region
		ids[at.region] = append(ids[at.region], all[i].id)
	}

	found := map[string]types.Volume{}

	for region, ids := range ids {
		if err := s.volumes(ctx, region, &ec2.DescribeVolumesInput{VolumeIds: ids}, found); err != nil {
			return nil, err
		}
	}

	var infos []Snapshot

	for _, source := range all {
		v, ok := found[source.id]
		if !ok || v.State == types.VolumeStateDeleting || v.State == types.VolumeStateDeleted || v.State == types.VolumeStateError {
			return nil, &record.Failure{
				Reason: "NotFound", Message: fmt.Sprintf("volume %q in namespace %q: its EBS volume %s is not there in %s, or broken (%s)", source.claim.Name, source.claim.Namespace, source.id, source.region, v.State),
				Hint: "compare account and region: aws ec2 describe-volumes --region " + source.region + " --volume-ids " + source.id,
			}
		}

		info := Snapshot{
			Type: typeEBS, Region: source.region, PVCName: source.claim.Name, Az: aws.ToString(v.AvailabilityZone), VolumeType: string(v.VolumeType),
			VolumeID: source.id, SizeGiB: aws.ToInt32(v.Size), Iops: aws.ToInt32(v.Iops), Throughput: aws.ToInt32(v.Throughput),
			Claim: claimInfo(source.claim, source.pv), Tags: []Tag{},
		}

		for _, tag := range v.Tags {
			if key := aws.ToString(tag.Key); !strings.HasPrefix(key, "aws:") && !strings.HasPrefix(key, "kanister.io/") {
				info.Tags = append(info.Tags, Tag{key, aws.ToString(tag.Value)})
			}
		}

		infos = append(infos, info)
	}

	return infos, nil
}

// volumes adds what EC2 knows of the volumes that the request selects.
func (s *session) volumes(ctx context.Context, region string, request *ec2.DescribeVolumesInput, found map[string]types.Volume) error {
	at, err := s.in(ctx, region)
	if err != nil {
		return err
	}

	return s.Wait(ctx, "EC2 to tell of volumes", func(ctx context.Context) (cloud.State, error) {
		some, err := listVolumes(ctx, at, request)

		switch {
		case cloud.HasCode(err, "InvalidVolume.NotFound"):
			return cloud.State{}, &record.Failure{
				Reason: "NotFound", Message: fmt.Sprintf("reading EBS volumes in %s: %s", region, cloud.Message(err)),
				Hint: "compare the account and the region of the credentials with those of the cluster",
			}
		case err != nil:
			return cloud.State{}, cloud.ExplainLasting("reading EBS volumes in "+region, err)
		}

		for _, v := range some {
			found[aws.ToString(v.VolumeId)] = v
		}

		return cloud.State{Done: true}, nil
	})
}
