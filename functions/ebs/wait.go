package ebs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// How long EC2, which is consistent only in the end, may not know of a snapshot: one that was asked for just now, and one that an
// earlier phase or run has taken.
const (
	newborn = time.Minute
	known   = 3 * time.Second
)

// Exec implements functions.Func.
func (f WaitForSnapshotCompletion) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(f.Function, run, args)
	if err != nil {
		return nil, err
	}

	infos, err := decode(a.Snapshots)
	if err != nil {
		return nil, err
	}

	_, err = s.waitSnapshots(ctx, infos, known)

	return nil, err
}

// waitSnapshots waits until all snapshots are complete, and gives what EC2 knows of them, by identifier.
func (s *session) waitSnapshots(ctx context.Context, infos []Snapshot, unseen time.Duration) (map[string]types.Snapshot, error) {
	var found map[string]types.Snapshot

	began := s.run.Kube.Now()

	what := "snapshot " + infos[0].SnapshotID + " of volume " + infos[0].PVCName
	if n := len(infos); n > 1 {
		what = fmt.Sprintf("%d snapshots", n)
	}

	err := s.Wait(ctx, what+" to complete", func(ctx context.Context) (cloud.State, error) {
		var err error
		if found, err = s.lookUp(ctx, infos); err != nil {
			return cloud.State{}, err
		}

		return judge(infos, found, s.run.Kube.Now().Sub(began) < unseen)
	})

	return found, err
}

// lookUp asks EC2 about all snapshots at once. By a filter: a request by identifier fails for all when one is gone.
func (s *session) lookUp(ctx context.Context, infos []Snapshot) (map[string]types.Snapshot, error) {
	found := map[string]types.Snapshot{}

	for _, region := range regionsOf(infos) {
		var ids []string

		for _, info := range infos {
			if info.Region == region {
				ids = append(ids, info.SnapshotID)
			}
		}

		for part := range slices.Chunk(ids, mostIDs) {
			some, err := s.list(ctx, region, &ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("snapshot-id", part...)}})
			if err != nil {
				return nil, err
			}

			for _, one := range some {
				found[aws.ToString(one.SnapshotId)] = one
			}
		}
	}

	return found, nil
}

// judge tells how far the snapshots are, together. What will not get ready any more is an error.
func judge(infos []Snapshot, found map[string]types.Snapshot, early bool) (cloud.State, error) {
	var (
		pending     []string
		done, whole float64
	)

	for _, info := range infos {
		snapshot, there := found[info.SnapshotID]
		if !there && !early {
			return cloud.State{}, gone(info)
		}

		percent, size := percentOf(snapshot), float64(max(aws.ToInt32(snapshot.VolumeSize), info.SizeGiB, 1))
		whole += size
		done += size * float64(percent) / 100

		switch {
		case !there:
			pending = append(pending, info.PVCName+" not seen yet")
		case snapshot.State == types.SnapshotStateError:
			return cloud.State{}, failed(info, aws.ToString(snapshot.StateMessage))
		case snapshot.State == types.SnapshotStatePending:
			pending = append(pending, fmt.Sprintf("%s %d %%", info.PVCName, percent))
		case snapshot.State != types.SnapshotStateCompleted:
			pending = append(pending, fmt.Sprintf("%s %s", info.PVCName, snapshot.State))
		}
	}

	if len(pending) == 0 {
		return cloud.State{Done: true}, nil
	}

	status := ""
	if complete := len(infos) - len(pending); complete > 0 {
		status = fmt.Sprintf("%d complete, ", complete)
	}

	const shown = 5
	if more := len(pending) - shown; more > 0 {
		pending = append(pending[:shown], fmt.Sprintf("and %d more", more))
	}

	return cloud.State{Status: status + strings.Join(pending, ", "), Percent: int(100 * done / whole)}, nil
}

// percentOf reads EC2's text, "42%".
func percentOf(snapshot types.Snapshot) int {
	if snapshot.State == types.SnapshotStateCompleted {
		return 100
	}

	percent, err := strconv.Atoi(strings.TrimSuffix(aws.ToString(snapshot.Progress), "%"))
	if err != nil {
		return 0
	}

	return min(max(percent, 0), 100)
}

func gone(info Snapshot) error {
	return &record.Failure{
		Reason: "NotFound", Message: fmt.Sprintf("there is no EBS snapshot %q (of volume %q) in this account and region %s", info.SnapshotID, info.PVCName, info.Region),
		Hint: "somebody has deleted it, or it is another account's: aws ec2 describe-snapshots --region " + info.Region + " --snapshot-ids " + info.SnapshotID,
	}
}

func failed(info Snapshot, why string) error {
	f := &record.Failure{
		Reason: "SnapshotFailed", Message: fmt.Sprintf("EBS snapshot %q of volume %q (%s) has failed", info.SnapshotID, info.PVCName, info.VolumeID),
		Hint: "aws ec2 describe-snapshots --region " + info.Region + " --snapshot-ids " + info.SnapshotID,
	}

	if why != "" {
		f.Message += ": " + why
	}

	if strings.Contains(strings.ToLower(why), "key") {
		f.Hint = keyHint
	}

	return f
}

const keyHint = "allow the AWS identity to use the volume's KMS key: kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncrypt*"
