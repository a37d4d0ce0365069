package ebs

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Exec implements functions.Func.
func (f ReleaseEBS) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(f.Function, run, args)
	if err != nil {
		return nil, err
	}

	at, err := s.in(ctx, "")
	if err != nil {
		return nil, err
	}

	switch strings.ToLower(a.What) {
	case snapshots:
		return nil, s.releaseSnapshots(ctx, at)
	case volumes:
		names, err := cloud.List("persistentVolumes", a.PVs)
		if err != nil {
			return nil, err
		}

		return nil, s.releaseVolumes(ctx, at, names)
	default:
		return nil, fmt.Errorf("reading argument %q: %q is neither %s nor %s", "what", a.What, snapshots, volumes)
	}
}

// clean is how often in a row EC2 has to say that nothing is left: what was made just now it may not tell at once.
const clean = 2

func (s *session) releaseSnapshots(ctx context.Context, at place) error {
	seen := 0

	return s.Wait(ctx, "EBS snapshots to be deleted", func(ctx context.Context) (cloud.State, error) {
		found, err := s.list(ctx, at.region, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("tag:"+tagPhaseID, s.id)}})
		if err != nil {
			return cloud.State{}, err
		}

		if seen++; len(found) > 0 {
			seen = 0
		}

		if err := each(len(found), func(i int) error {
			_, err := s.drop(ctx, at.region, aws.ToString(found[i].SnapshotId))

			return err
		}); err != nil {
			return cloud.State{}, err
		}

		return cloud.State{Done: seen == clean, Status: fmt.Sprintf("%d found", len(found)), Percent: -1}, nil
	})
}

// releaseVolumes deletes the PersistentVolumes that no claim uses, and the EBS volumes of the phase that are in none that is left.
func (s *session) releaseVolumes(ctx context.Context, at place, names []string) error {
	kept := map[string]bool{}

	for _, name := range names {
		volume, err := s.releasePersistentVolume(ctx, name)
		if err != nil {
			return err
		}

		kept[volume] = true
	}

	seen := 0

	return s.Wait(ctx, "EBS volumes to be deleted", func(ctx context.Context) (cloud.State, error) {
		found, err := listVolumes(ctx, at, &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("tag:"+tagPhaseID, s.id)}})
		if err != nil {
			return cloud.State{}, cloud.ExplainLasting("reading EBS volumes in "+at.region, err)
		}

		var left []string

		for _, v := range found {
			id := aws.ToString(v.VolumeId)
			if kept[id] || v.State == types.VolumeStateDeleting || v.State == types.VolumeStateDeleted {
				continue
			}

			_, err := at.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id})

			switch {
			case cloud.HasCode(err, "VolumeInUse"):
				return cloud.State{}, &record.Failure{Reason: "VolumeInUse", Message: fmt.Sprintf("deleting EBS volume %s: it is attached", id), Hint: "look by whom: aws ec2 describe-volumes --volume-ids " + id}
			case cloud.HasCode(err, "IncorrectState"): // it is still being made
			case err != nil && !notFound(err):
				return cloud.State{}, cloud.ExplainLasting(fmt.Sprintf("deleting EBS volume %q", id), err)
			}

			left = append(left, id)
		}

		if seen++; len(left) > 0 {
			seen = 0
		}

		return cloud.State{Done: seen == clean, Status: strings.Join(left, ", "), Percent: -1}, nil
	})
}

// releasePersistentVolume deletes a PersistentVolume of the phase unless a claim is bound to it: then it gives its EBS volume.
func (s *session) releasePersistentVolume(ctx context.Context, name string) (string, error) {
	pv, err := persistentVolume(ctx, s.run.Kube, name)
	if kube.IsReason(err, kube.ReasonNotFound) {
		return "", nil
	}

	if err != nil {
		return "", err
	}

	volume, _, err := volumeOf(pv)
	if err != nil {
		return "", fmt.Errorf("reading persistentvolume %q: %w", name, err)
	}

	if pv.Annotations[annotationPhase] != s.id {
		return volume, nil
	}

	used, err := s.claimed(ctx, pv)
	if err != nil || used {
		return volume, err
	}

	err = s.run.Kube.Retry(ctx, func(ctx context.Context) error {
		return s.run.Kube.Clientset.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pv.UID}})
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return "", explain(fmt.Sprintf("deleting persistentvolume %q", name), err)
	}

	return "", nil
}

// claimed tells whether there is a claim that wants the PersistentVolume, bound or about to be.
func (s *session) claimed(ctx context.Context, pv *corev1.PersistentVolume) (bool, error) {
	ref := pv.Spec.ClaimRef
	if ref == nil {
		return false, nil
	}

	claim, err := s.run.Kube.Claim(ctx, ref.Namespace, ref.Name)
	if kube.IsReason(err, kube.ReasonNotFound) {
		return false, nil
	}

	return err == nil && claim.Spec.VolumeName == pv.Name, err
}
