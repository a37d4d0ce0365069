package rds

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
)

// memberClass is that of a restored cluster's first member when none is known, upstream's.
const memberClass = "db.r5.large"

// clusters are Aurora DB clusters.
type clusters struct{ *session }

func (clusters) word() string { return "cluster" }

func (s clusters) find(ctx context.Context, id string) (*database, error) {
	out, err := s.api.DescribeDBClusters(ctx, &awsrds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if notFound(err) || err == nil && len(out.DBClusters) == 0 {
		return nil, nil
	}

	if err != nil {
		return nil, cloud.ExplainLasting("reading DB cluster "+strconv.Quote(id), err)
	}

	c := out.DBClusters[0]
	d := &database{
		ID: aws.ToString(c.DBClusterIdentifier), Status: aws.ToString(c.Status), Percent: percentOf(c.PercentProgress),
		Host: aws.ToString(c.Endpoint), Port: aws.ToInt32(c.Port), User: aws.ToString(c.MasterUsername), Tag: tagIn(c.TagList),
		Protected: aws.ToBool(c.DeletionProtection),
		settings: settings{
			SubnetGroup: aws.ToString(c.DBSubnetGroup), SecurityGroups: groupsOf(c.VpcSecurityGroups), Parameters: aws.ToString(c.DBClusterParameterGroup),
		},
	}

	for _, m := range c.DBClusterMembers {
		member, err := instances(s).find(ctx, aws.ToString(m.DBInstanceIdentifier))
		if err != nil {
			return nil, err
		}

		if member == nil {
			continue
		}

		d.Members = append(d.Members, member.ID)
		d.Class = cmp.Or(d.Class, member.Class)

		// A cluster without a usable member takes no connection.
		if d.Status == available && member.Status != available {
			d.Status, d.Percent = "member "+member.ID+" "+member.Status, member.Percent
		}
	}

	return d, nil
}

func (s clusters) findSnapshot(ctx context.Context, id string) (*snapshot, error) {
	out, err := s.api.DescribeDBClusterSnapshots(ctx, &awsrds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: &id})
	if notFound(err) || err == nil && len(out.DBClusterSnapshots) == 0 {
		return nil, nil
	}

	if err != nil {
		return nil, cloud.ExplainLasting("reading DB cluster snapshot "+strconv.Quote(id), err)
	}

	found := out.DBClusterSnapshots[0]

	return &snapshot{
		ID: id, Status: aws.ToString(found.Status), Percent: int(aws.ToInt32(found.PercentProgress)), Engine: aws.ToString(found.Engine),
		Version: aws.ToString(found.EngineVersion), Tag: tagIn(found.TagList),
	}, nil
}

func (s clusters) takeSnapshot(ctx context.Context, id, snapshotID string) error {
	_, err := s.api.CreateDBClusterSnapshot(ctx, &awsrds.CreateDBClusterSnapshotInput{DBClusterIdentifier: &id, DBClusterSnapshotIdentifier: &snapshotID, Tags: s.tags()})

	return err
}

func (s clusters) dropSnapshot(ctx context.Context, id string) error {
	_, err := s.api.DeleteDBClusterSnapshot(ctx, &awsrds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &id})

	return err
}

func (s clusters) restore(ctx context.Context, r restoration) error {
	_, err := s.api.RestoreDBClusterFromSnapshot(ctx, &awsrds.RestoreDBClusterFromSnapshotInput{
		DBClusterIdentifier: &r.ID, SnapshotIdentifier: &r.Snapshot.ID, Engine: &r.Snapshot.Engine, EngineVersion: optional(r.Snapshot.Version),
		VpcSecurityGroupIds: r.SecurityGroups, DBSubnetGroupName: optional(r.SubnetGroup), DBClusterParameterGroupName: optional(r.Parameters), Tags: s.tags(),
	})

	return err
}

// complete adds the member that a restored cluster comes without.
func (s clusters) complete(ctx context.Context, r restoration, found *database) (bool, error) {
	if len(found.Members) > 0 || found.Tag != s.tag {
		return false, nil
	}

	member := memberOf(r.ID)

	_, err := s.api.CreateDBInstance(ctx, &awsrds.CreateDBInstanceInput{
		DBInstanceIdentifier: &member, DBClusterIdentifier: &r.ID, DBInstanceClass: aws.String(cmp.Or(r.Class, memberClass)),
		Engine: &r.Snapshot.Engine, Tags: s.tags(),
	})
	if exists(err) {
		err = nil
	}

	return true, cloud.ExplainLasting("adding instance "+strconv.Quote(member)+" to cluster "+strconv.Quote(r.ID), err)
}

// memberOf names the member as upstream does, within the bounds of an identifier.
func memberOf(cluster string) string {
	const suffix = "-instance-1"

	return strings.TrimRight(cluster[:min(len(cluster), longestIdentifier-len(suffix))], "-") + suffix
}

// remove asks for the deletion of the members and of the cluster, which goes once they have.
func (s clusters) remove(ctx context.Context, found *database) error {
	var errs []error

	for _, id := range found.Members {
		_, err := s.api.DeleteDBInstance(ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: &id, SkipFinalSnapshot: aws.Bool(true)})
		if err != nil && !notReady(err) && !notFound(err) {
			errs = append(errs, err)
		}
	}

	if len(errs) > 0 || found.Status == deleting {
		return errors.Join(errs...)
	}

	_, err := s.api.DeleteDBCluster(ctx, &awsrds.DeleteDBClusterInput{
		DBClusterIdentifier: &found.ID, SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(found.Tag == s.tag),
	})

	return err
}
