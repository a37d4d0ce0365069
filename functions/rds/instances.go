package rds

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
)

// instances are DB instances.
type instances struct{ *session }

func (instances) word() string { return "instance" }

func (s instances) find(ctx context.Context, id string) (*database, error) {
	out, err := s.api.DescribeDBInstances(ctx, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if notFound(err) || err == nil && len(out.DBInstances) == 0 {
		return nil, nil
	}

	if err != nil {
		return nil, cloud.ExplainLasting("reading DB instance "+strconv.Quote(id), err)
	}

	return databaseOf(out.DBInstances[0]), nil
}

func databaseOf(i types.DBInstance) *database {
	d := &database{
		ID: aws.ToString(i.DBInstanceIdentifier), Status: aws.ToString(i.DBInstanceStatus), Percent: percentOf(i.PercentProgress),
		User: aws.ToString(i.MasterUsername), Storage: aws.ToInt32(i.AllocatedStorage), Tag: tagIn(i.TagList),
		Protected: aws.ToBool(i.DeletionProtection), settings: settings{Class: aws.ToString(i.DBInstanceClass), SecurityGroups: groupsOf(i.VpcSecurityGroups)},
	}

	if i.Endpoint != nil {
		d.Host, d.Port = aws.ToString(i.Endpoint.Address), aws.ToInt32(i.Endpoint.Port)
	}

	if i.DBSubnetGroup != nil {
		d.SubnetGroup = aws.ToString(i.DBSubnetGroup.DBSubnetGroupName)
	}

	if len(i.DBParameterGroups) > 0 {
		d.Parameters = aws.ToString(i.DBParameterGroups[0].DBParameterGroupName)
	}

	return d
}

func groupsOf(members []types.VpcSecurityGroupMembership) []string {
	var ids []string

	for _, m := range members {
		if id := aws.ToString(m.VpcSecurityGroupId); id != "" {
			ids = append(ids, id)
		}
	}

	return ids
}

func percentOf(text *string) int {
	percent, err := strconv.Atoi(aws.ToString(text))
	if err != nil {
		return -1
	}

	return percent
}

func (s instances) findSnapshot(ctx context.Context, id string) (*snapshot, error) {
	out, err := s.api.DescribeDBSnapshots(ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: &id})
	if notFound(err) || err == nil && len(out.DBSnapshots) == 0 {
		return nil, nil
	}

	if err != nil {
		return nil, cloud.ExplainLasting("reading DB snapshot "+strconv.Quote(id), err)
	}

	found := out.DBSnapshots[0]

	return &snapshot{
		ID: id, Status: aws.ToString(found.Status), Percent: int(aws.ToInt32(found.PercentProgress)), Engine: aws.ToString(found.Engine),
		Version: aws.ToString(found.EngineVersion), Tag: tagIn(found.TagList),
	}, nil
}

func (s instances) takeSnapshot(ctx context.Context, id, snapshotID string) error {
	_, err := s.api.CreateDBSnapshot(ctx, &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: &id, DBSnapshotIdentifier: &snapshotID, Tags: s.tags()})

	return err
}

func (s instances) dropSnapshot(ctx context.Context, id string) error {
	_, err := s.api.DeleteDBSnapshot(ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &id})

	return err
}

func (s instances) restore(ctx context.Context, r restoration) error {
	_, err := s.api.RestoreDBInstanceFromDBSnapshot(ctx, &awsrds.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: &r.ID, DBSnapshotIdentifier: &r.Snapshot.ID, VpcSecurityGroupIds: r.SecurityGroups,
		DBSubnetGroupName: optional(r.SubnetGroup), DBParameterGroupName: optional(r.Parameters), DBInstanceClass: optional(r.Class), Tags: s.tags(),
	})

	return err
}

func optional(text string) *string {
	if text == "" {
		return nil
	}

	return &text
}

func (instances) complete(context.Context, restoration, *database) (bool, error) { return false, nil }

func (s instances) remove(ctx context.Context, found *database) error {
	if found.Status == deleting {
		return nil
	}

	_, err := s.api.DeleteDBInstance(ctx, &awsrds.DeleteDBInstanceInput{
		DBInstanceIdentifier: &found.ID, SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(found.Tag == s.tag),
	})

	return err
}
