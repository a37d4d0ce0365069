package rds

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
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

// attempts of one request, with the SDK's growing pauses: throttling is common where many instances are watched.
const attempts = 8

// Values of the argument credentialsSource.
const (
	fromProfile = "profile"
	fromSecret  = "secret"
	fromPod     = "eks_service_account"
)

// access are the arguments that say with whose rights RDS is asked, and where.
type access struct {
	Source   string `mapstructure:"credentialsSource"`
	Secret   string `mapstructure:"credentialsSecret"`
	Region   string `mapstructure:"region"`
	Endpoint string `mapstructure:"endpoint"`
}

// arguments gives the access again as arguments, for the undo list. No secret is in it.
func (a access) arguments() map[string]any {
	all := map[string]any{}

	for name, value := range map[string]string{"credentialsSource": a.Source, "credentialsSecret": a.Secret, "region": a.Region, "endpoint": a.Endpoint} {
		if value != "" {
			all[name] = value
		}
	}

	return all
}

func (a access) open(ctx context.Context, run *functions.Run) (api, error) {
	profile, err := a.profile(run)
	if err != nil {
		return nil, err
	}

	config, err := location.AWSConfig(ctx, profile, cmp.Or(a.Region, profile.Location.Region), nil)
	if err != nil {
		return nil, &record.Failure{Reason: "Credentials", Message: "opening RDS: " + err.Error()}
	}

	if config.Region == "" {
		return nil, &record.Failure{
			Reason: "Region", Message: "opening RDS: no AWS region is known",
			Hint: "give the argument region, or name the region in the profile's location",
		}
	}

	return awsrds.NewFromConfig(config, func(o *awsrds.Options) {
		if a.Endpoint != "" {
			o.BaseEndpoint = aws.String(a.Endpoint)
		}

		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts = attempts })
	}), nil
}

// profile is one whose credential is what the source names.
func (a access) profile(run *functions.Run) (*params.Profile, error) {
	switch source := cmp.Or(a.Source, fromProfile); source {
	case fromProfile:
		if run.Params == nil || run.Params.Profile == nil {
			return nil, &record.Failure{
				Reason: "Credentials", Message: "opening RDS: the run has no profile, and credentialsSource is profile",
				Hint: "name a profile with --profile, or set credentialsSource",
			}
		}

		if t := run.Params.Profile.Location.Type; t != blueprint.LocationS3 {
			return nil, &record.Failure{
				Reason: "Credentials", Message: fmt.Sprintf("opening RDS: the profile is for %s and holds no AWS credentials", t),
				Hint: "set credentialsSource to secret or eks_service_account",
			}
		}

		return run.Params.Profile, nil
	case fromSecret:
		secret, err := secretOf(run, a.Secret)
		if err != nil {
			return nil, err
		}

		p := &params.Profile{Credential: params.Credential{Type: blueprint.CredentialSecret, Secret: secret}}
		p.Location.Region = cmp.Or(string(secret.Data["region"]), string(secret.Data["aws_region"]), profileRegion(run))

		return p, nil
	case fromPod:
		p := &params.Profile{}
		p.Location.Region = profileRegion(run)

		return p, nil
	default:
		return nil, fmt.Errorf("reading argument %q: %q is none of %s, %s, %s", "credentialsSource", source, fromProfile, fromSecret, fromPod)
	}
}

func profileRegion(run *functions.Run) string {
	if run.Params == nil || run.Params.Profile == nil {
		return ""
	}

	return run.Params.Profile.Location.Region
}

// secretOf finds a Secret of the run or of its phases' objects by the name it has there.
func secretOf(run *functions.Run, name string) (*corev1.Secret, error) {
	if name == "" {
		return nil, fmt.Errorf("reading argument %q: it is empty, and credentialsSource is secret", "credentialsSecret")
	}

	var all []map[string]corev1.Secret

	if p := run.Params; p != nil {
		for _, phase := range []*params.Phase{p.CurrentPhase, p.DeferPhase} {
			if phase != nil {
				all = append(all, phase.Secrets)
			}
		}

		all = append(all, p.Secrets)

		for _, key := range slices.Sorted(maps.Keys(p.Phases)) {
			if phase := p.Phases[key]; phase != nil {
				all = append(all, phase.Secrets)
			}
		}
	}

	for _, secrets := range all {
		if secret, ok := secrets[name]; ok {
			return &secret, nil
		}
	}

	return nil, fmt.Errorf("reading argument %q: neither the run's Secrets nor the objects of a phase have a Secret %q", "credentialsSecret", name)
}
