package rds

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apitypes "k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// fakeRDS has one instance, or none, and any snapshot.
type fakeRDS struct {
	api

	instance *types.DBInstance
	restores int
	die      func() // takes the runner away instead of restoring
	last     awsrds.RestoreDBInstanceFromDBSnapshotInput
}

func (f *fakeRDS) DescribeDBSnapshots(_ context.Context, in *awsrds.DescribeDBSnapshotsInput, _ ...func(*awsrds.Options)) (*awsrds.DescribeDBSnapshotsOutput, error) {
	return &awsrds.DescribeDBSnapshotsOutput{DBSnapshots: []types.DBSnapshot{{DBSnapshotIdentifier: in.DBSnapshotIdentifier, Status: aws.String(available)}}}, nil
}

func (f *fakeRDS) DescribeDBInstances(context.Context, *awsrds.DescribeDBInstancesInput, ...func(*awsrds.Options)) (*awsrds.DescribeDBInstancesOutput, error) {
	out := &awsrds.DescribeDBInstancesOutput{}
	if f.instance != nil {
		out.DBInstances = []types.DBInstance{*f.instance}
	}

	return out, nil
}

func (f *fakeRDS) DeleteDBInstance(context.Context, *awsrds.DeleteDBInstanceInput, ...func(*awsrds.Options)) (*awsrds.DeleteDBInstanceOutput, error) {
	f.instance = nil

	return &awsrds.DeleteDBInstanceOutput{}, nil
}

func (f *fakeRDS) RestoreDBInstanceFromDBSnapshot(ctx context.Context, in *awsrds.RestoreDBInstanceFromDBSnapshotInput, _ ...func(*awsrds.Options)) (*awsrds.RestoreDBInstanceFromDBSnapshotOutput, error) {
	if f.die != nil {
		f.die()

		return nil, ctx.Err()
	}

	f.restores++
	f.last = *in
	f.instance = &types.DBInstance{
		DBInstanceIdentifier: in.DBInstanceIdentifier, DBInstanceStatus: aws.String(available), TagList: in.Tags, Endpoint: &types.Endpoint{Address: aws.String("host")},
	}

	return &awsrds.RestoreDBInstanceFromDBSnapshotOutput{}, nil
}

// TestRestoreKnowsItsOwn: a phase that is repeated after a crash does not delete what it has restored; another run of the same name
// restores again.
func TestRestoreKnowsItsOwn(t *testing.T) {
	server := &fakeRDS{instance: &types.DBInstance{DBInstanceIdentifier: aws.String("shop"), DBInstanceStatus: aws.String(available)}}

	restore := func(job string) {
		t.Helper()

		run := functest.Run()
		run.Name, run.Phase, run.Owner = "nightly", "restore", &kube.Owner{Reference: metav1.OwnerReference{UID: apitypes.UID(job)}}
		s := sessionOf(run, server)

		if _, err := s.fromSnapshot(t.Context(), arguments{InstanceID: "shop", SnapshotID: "snap", SecurityGroups: "sg-1"}); err != nil {
			t.Fatal(err)
		}
	}

	for i, step := range []struct {
		job      string
		restores int
	}{{"first", 1}, {"first", 1}, {"second", 2}} {
		if restore(step.job); server.restores != step.restores {
			t.Errorf("step %d: restored %d times, want %d", i, server.restores, step.restores)
		}
	}
}

// TestRestoreStaysInItsNetwork: the new instance goes where the old one was. In another VPC its security groups would not exist, which RDS
// says when the old one is deleted already.
func TestRestoreStaysInItsNetwork(t *testing.T) {
	for name, test := range map[string]struct {
		args            arguments
		groups, subnets string
	}{
		"all of the old one": {arguments{}, "sg-old", "private"},
		"groups named":       {arguments{SecurityGroups: "sg-new"}, "sg-new", "private"},
		"subnets named":      {arguments{SubnetGroup: "public"}, "sg-old", "public"},
		"both named":         {arguments{SecurityGroups: "sg-new", SubnetGroup: "public"}, "sg-new", "public"},
	} {
		server := &fakeRDS{instance: &types.DBInstance{
			DBInstanceIdentifier: aws.String("shop"), DBInstanceStatus: aws.String(available), DBSubnetGroup: &types.DBSubnetGroup{DBSubnetGroupName: aws.String("private")},
			VpcSecurityGroups: []types.VpcSecurityGroupMembership{{VpcSecurityGroupId: aws.String("sg-old")}},
		}}

		test.args.InstanceID, test.args.SnapshotID = "shop", "snap"
		if _, err := sessionOf(functest.Run(), server).fromSnapshot(t.Context(), test.args); err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		if got := aws.ToString(server.last.DBSubnetGroupName); got != test.subnets || len(server.last.VpcSecurityGroupIds) != 1 || server.last.VpcSecurityGroupIds[0] != test.groups {
			t.Errorf("%s: subnets %q, groups %q", name, got, server.last.VpcSecurityGroupIds)
		}
	}
}

// TestRestoreKnowsWhatItDeleted: the runner dies when the old database is gone, or half gone, and the new one is not there. Its successor
// makes it as the old one was.
func TestRestoreKnowsWhatItDeleted(t *testing.T) {
	old := &types.DBInstance{
		DBInstanceIdentifier: aws.String("shop"), DBInstanceStatus: aws.String(available), DBSubnetGroup: &types.DBSubnetGroup{DBSubnetGroupName: aws.String("private")},
		VpcSecurityGroups: []types.VpcSecurityGroupMembership{{VpcSecurityGroupId: aws.String("sg-old")}}, DBInstanceClass: aws.String("db.m5.large"),
		DBParameterGroups: []types.DBParameterGroupStatus{{DBParameterGroupName: aws.String("tuned")}},
	}
	bare := &types.DBInstance{DBInstanceIdentifier: aws.String("shop"), DBInstanceStatus: aws.String("modifying")}

	for name, left := range map[string]*types.DBInstance{"gone": nil, "half gone": bare} {
		t.Run(name, func(t *testing.T) {
			ctx, die := context.WithCancel(t.Context())
			server := &fakeRDS{instance: old, die: die}
			run := functest.Run()
			a := arguments{InstanceID: "shop", SnapshotID: "snap"}

			if _, err := sessionOf(run, server).fromSnapshot(ctx, a); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}

			server.instance, server.die = left, nil

			if _, err := sessionOf(run, server).fromSnapshot(t.Context(), a); err != nil {
				t.Fatal(err)
			}

			if got := server.last; aws.ToString(got.DBSubnetGroupName) != "private" || !slices.Equal(got.VpcSecurityGroupIds, []string{"sg-old"}) ||
				aws.ToString(got.DBInstanceClass) != "db.m5.large" || aws.ToString(got.DBParameterGroupName) != "tuned" {
				t.Errorf("restored with %+v", got)
			}
		})
	}
}

// TestAutomatedBackupsStay: a database that is replaced keeps its automated backups, perhaps the only way back; a temporary one does not.
func TestAutomatedBackupsStay(t *testing.T) {
	server := &deletions{}
	s := sessionOf(functest.Run(), server)

	for _, made := range []databases{instances{s}, clusters{s}} {
		for tag, want := range map[string]bool{"": false, "demo/other/restore": false, s.tag: true} {
			if err := made.remove(t.Context(), &database{ID: "shop", Status: available, Tag: tag}); err != nil {
				t.Fatal(err)
			}

			if server.backups == nil || *server.backups != want {
				t.Errorf("%s with tag %q: automated backups deleted: %v", made.word(), tag, server.backups)
			}
		}
	}
}

// deletions remembers whether automated backups went, too.
type deletions struct {
	api

	backups *bool
}

func (d *deletions) DeleteDBInstance(_ context.Context, in *awsrds.DeleteDBInstanceInput, _ ...func(*awsrds.Options)) (*awsrds.DeleteDBInstanceOutput, error) {
	d.backups = in.DeleteAutomatedBackups

	return &awsrds.DeleteDBInstanceOutput{}, nil
}

func (d *deletions) DeleteDBCluster(_ context.Context, in *awsrds.DeleteDBClusterInput, _ ...func(*awsrds.Options)) (*awsrds.DeleteDBClusterOutput, error) {
	d.backups = in.DeleteAutomatedBackups

	return &awsrds.DeleteDBClusterOutput{}, nil
}

func sessionOf(run *functions.Run, server api) *session {
	s := &session{Patience: cloud.Patience{Run: run, Service: "RDS", Limit: time.Minute, Began: run.Kube.Now()}, run: run, api: server, tag: cloud.MarkOf(run)}
	s.databases = instances{s}

	return s
}
