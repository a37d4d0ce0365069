package ebs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// makeVolume makes the EBS volume of r. EC2 gives the same one again when the phase is repeated, by the token.
func (s *session) makeVolume(ctx context.Context, namespace string, r *restoration) error {
	// What has a PersistentVolume already is further than that.
	pv, err := persistentVolume(ctx, s.run.Kube, r.pv)

	switch {
	case err == nil:
		if r.volume, _, err = volumeOf(pv); err != nil {
			return fmt.Errorf("reading persistentvolume %q: %w", r.pv, err)
		}

		return nil
	case !kube.IsReason(err, kube.ReasonNotFound):
		return err
	}

	at, err := s.in(ctx, r.Region)
	if err != nil {
		return err
	}

	request := s.volumeRequest(namespace, r)

	return s.Wait(ctx, fmt.Sprintf("a volume for claim %q to be made", r.claim), func(ctx context.Context) (cloud.State, error) {
		out, err := at.CreateVolume(ctx, request)

		switch {
		case err == nil:
			r.volume = aws.ToString(out.VolumeId)
			s.run.Journal.Event(fmt.Sprintf("volume %s for claim %s begun, from snapshot %s in %s", r.volume, r.claim, r.SnapshotID, r.Az))

			return cloud.State{Done: true}, nil
		case busy(err):
			return cloud.State{Status: cloud.Message(err), Percent: -1}, nil
		}

		return cloud.State{}, cloud.ExplainLasting(fmt.Sprintf("making a volume for claim %q from snapshot %q in zone %s", r.claim, r.SnapshotID, r.Az), err)
	})
}

func (s *session) volumeRequest(namespace string, r *restoration) *ec2.CreateVolumeInput {
	token := sha256.Sum256([]byte(s.id + "/" + r.pv))

	request := &ec2.CreateVolumeInput{
		SnapshotId: &r.SnapshotID, AvailabilityZone: &r.Az, Size: &r.size, VolumeType: types.VolumeType(r.VolumeType),
		ClientToken: aws.String(hex.EncodeToString(token[:])[:64]),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVolume, Tags: s.ours(r.Tags, map[string]string{
			// By these the CSI driver, and the usual policy of its role, know their volumes: they may be attached and deleted.
			"ebs.csi.aws.com/cluster": "true", "CSIVolumeName": r.pv, "kubernetes.io/created-for/pv/name": r.pv,
			"kubernetes.io/created-for/pvc/name": r.claim, "kubernetes.io/created-for/pvc/namespace": namespace,
			tagClaim: namespace + "/" + r.claim,
		})}},
	}

	switch types.VolumeType(r.VolumeType) {
	case types.VolumeTypeGp3:
		request.Iops, request.Throughput = optional(r.Iops), optional(r.Throughput)
	case types.VolumeTypeIo1, types.VolumeTypeIo2:
		request.Iops = optional(r.Iops)

		// Upstream does not say how many there were, and AWS wants a number.
		if r.Iops == 0 {
			request.Iops = aws.Int32(min(max(3*r.size, leastIops), mostUnknownIops))
			s.run.Journal.Warn(fmt.Sprintf("the snapshot of %s does not say how many IOPS its volume had: the new one of type %s gets %d", r.PVCName, r.VolumeType, *request.Iops))
		}
	}

	return request
}

// IOPS of a provisioned volume of which nobody knows how many it had: as many as a gp2 volume has.
const (
	leastIops       = 100
	mostUnknownIops = 16000
)

func optional(n int32) *int32 {
	if n == 0 {
		return nil
	}

	return &n
}

// waitVolumes waits until the new volumes can be used.
func (s *session) waitVolumes(ctx context.Context, all []*restoration) error {
	began := s.run.Kube.Now()

	return s.Wait(ctx, fmt.Sprintf("%d volumes to be made", len(all)), func(ctx context.Context) (cloud.State, error) {
		found := map[string]types.Volume{}

		for _, region := range regionsAt(all) {
			at, err := s.in(ctx, region)
			if err != nil {
				return cloud.State{}, err
			}

			some, err := listVolumes(ctx, at, &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("tag:"+tagPhaseID, s.id)}})
			if err != nil {
				return cloud.State{}, cloud.ExplainLasting("reading EBS volumes in "+region, err)
			}

			for _, v := range some {
				found[aws.ToString(v.VolumeId)] = v
			}
		}

		var pending []string

		for _, r := range all {
			v, there := found[r.volume]

			switch {
			case v.State == types.VolumeStateAvailable, v.State == types.VolumeStateInUse:
			case v.State == types.VolumeStateError, v.State == types.VolumeStateDeleting, v.State == types.VolumeStateDeleted,
				!there && s.run.Kube.Now().Sub(began) > newborn:
				// Also what EC2 does when the key of an encrypted snapshot may not be used: the volume is gone again.
				return cloud.State{}, &record.Failure{
					Reason: "VolumeFailed", Message: fmt.Sprintf("EBS volume %s for claim %q from snapshot %s has failed: it is %s", r.volume, r.claim, r.SnapshotID, cmp.Or(string(v.State), "gone")),
					Hint: "if the snapshot is encrypted, " + keyHint,
				}
			default:
				pending = append(pending, r.claim+" "+cmp.Or(string(v.State), "not seen yet"))
			}
		}

		return cloud.State{Done: len(pending) == 0, Status: strings.Join(pending, ", "), Percent: -1}, nil
	})
}

func regionsAt(all []*restoration) []string {
	var infos []Snapshot
	for _, r := range all {
		infos = append(infos, r.Snapshot)
	}

	return regionsOf(infos)
}

// listVolumes gives all pages.
func listVolumes(ctx context.Context, client api, request *ec2.DescribeVolumesInput) ([]types.Volume, error) {
	var found []types.Volume

	for pages := ec2.NewDescribeVolumesPaginator(client, request); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}

		found = append(found, page.Volumes...)
	}

	return found, nil
}

// affinity keeps pods of the volume in its zone.
func affinity(zone, key string) *corev1.VolumeNodeAffinity {
	if key == "" || key == zoneKeyBefore {
		key = zoneKey
	}

	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
	}}}}
}
