package rds

import (
	"context"

	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
)

// api is what the family asks of RDS.
type api interface {
	CreateDBSnapshot(context.Context, *awsrds.CreateDBSnapshotInput, ...func(*awsrds.Options)) (*awsrds.CreateDBSnapshotOutput, error)
	DescribeDBSnapshots(context.Context, *awsrds.DescribeDBSnapshotsInput, ...func(*awsrds.Options)) (*awsrds.DescribeDBSnapshotsOutput, error)
	DeleteDBSnapshot(context.Context, *awsrds.DeleteDBSnapshotInput, ...func(*awsrds.Options)) (*awsrds.DeleteDBSnapshotOutput, error)
	DescribeDBInstances(context.Context, *awsrds.DescribeDBInstancesInput, ...func(*awsrds.Options)) (*awsrds.DescribeDBInstancesOutput, error)
	RestoreDBInstanceFromDBSnapshot(context.Context, *awsrds.RestoreDBInstanceFromDBSnapshotInput, ...func(*awsrds.Options)) (*awsrds.RestoreDBInstanceFromDBSnapshotOutput, error)
	CreateDBInstance(context.Context, *awsrds.CreateDBInstanceInput, ...func(*awsrds.Options)) (*awsrds.CreateDBInstanceOutput, error)
	DeleteDBInstance(context.Context, *awsrds.DeleteDBInstanceInput, ...func(*awsrds.Options)) (*awsrds.DeleteDBInstanceOutput, error)
	CreateDBClusterSnapshot(context.Context, *awsrds.CreateDBClusterSnapshotInput, ...func(*awsrds.Options)) (*awsrds.CreateDBClusterSnapshotOutput, error)
	DescribeDBClusterSnapshots(context.Context, *awsrds.DescribeDBClusterSnapshotsInput, ...func(*awsrds.Options)) (*awsrds.DescribeDBClusterSnapshotsOutput, error)
	DeleteDBClusterSnapshot(context.Context, *awsrds.DeleteDBClusterSnapshotInput, ...func(*awsrds.Options)) (*awsrds.DeleteDBClusterSnapshotOutput, error)
	DescribeDBClusters(context.Context, *awsrds.DescribeDBClustersInput, ...func(*awsrds.Options)) (*awsrds.DescribeDBClustersOutput, error)
	RestoreDBClusterFromSnapshot(context.Context, *awsrds.RestoreDBClusterFromSnapshotInput, ...func(*awsrds.Options)) (*awsrds.RestoreDBClusterFromSnapshotOutput, error)
	DeleteDBCluster(context.Context, *awsrds.DeleteDBClusterInput, ...func(*awsrds.Options)) (*awsrds.DeleteDBClusterOutput, error)
}

var _ api = (*awsrds.Client)(nil)
