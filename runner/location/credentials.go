package location

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// roleDuration is how long an assumed role's credentials live; longer is refused for chained roles (COMPAT §1.5).
const roleDuration = time.Hour

// Keys of the typed Secrets of COMPAT §1.5. aws_session_token and aws_sts_endpoint are ours: upstream's validation refuses them.
const (
	awsKeyID        = "aws_access_key_id"
	awsSecretKey    = "aws_secret_access_key"
	awsSessionToken = "aws_session_token"
	awsRole         = "role"
	awsSTSEndpoint  = "aws_sts_endpoint"

	azureAccount     = "azure_storage_account_id"
	azureKey         = "azure_storage_key"
	azureEnvironment = "azure_storage_environment"

	gcpServiceAccount = "service-account.json"
)

// awsIdentity is what a credential says of whose rights are used.
type awsIdentity struct {
	id, secret, token string
	// role to assume, "" for none.
	role string
	// endpoint of STS, "" for AWS's own or what the environment names.
	endpoint string
}

// AWSConfig resolves a profile's credentials in upstream's order (COMPAT §1.5): static keys; else the pod's own identity (web
// identity, then whatever the SDK finds); then the role, if one is named and it is not the pod's own already. Temporary credentials are
// renewed before they expire, however long the run takes. region must not be empty. client is for the requests of the service itself; nil
// is one that trusts the profile's CA bundle beside the system's roots. Credentials that cannot be had are *IdentityError at the first request.
func AWSConfig(ctx context.Context, profile *params.Profile, region string, client aws.HTTPClient) (aws.Config, error) {
	who, err := awsKeys(profile.Credential)
	if err != nil {
		return aws.Config{}, err
	}

	// skipSSLVerify is about the store (and an STS of its own), not about AWS's STS.
	trusting := *profile
	trusting.SkipSSLVerify = profile.SkipSSLVerify && who.endpoint != ""

	configure, err := transportOptions(&trusting)
	if err != nil {
		return aws.Config{}, err
	}

	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(region),
		awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(configure)),
		awsconfig.WithCredentialsCacheOptions(early),
		awsconfig.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(r *retry.StandardOptions) {
				r.Retryables = append([]retry.IsErrorRetryable{hopeless}, r.Retryables...)
			})
		}),
		awsconfig.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if who.endpoint != "" {
				o.Client = sts.New(sts.Options{Region: region, BaseEndpoint: &who.endpoint, HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(configure)})
			}
		}),
	}

	if who.id != "" {
		options = append(options, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(who.id, who.secret, who.token)))
	}

	config, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}

	pod, err := awsconfig.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("reading the AWS configuration of the environment: %w", err)
	}

	if who.id == "" {
		config.Credentials = &explained{inner: config.Credentials, what: "getting the AWS credentials of the pod itself", role: pod.RoleARN}
	}

	if who.role != "" && !(who.id == "" && who.role == pod.RoleARN) {
		config.Credentials = assumed(config, who)
	}

	if client != nil {
		config.HTTPClient = client
	}

	return config, nil
}

// assumed are the credentials of a role that config's identity assumes.
func assumed(config aws.Config, who awsIdentity) aws.CredentialsProvider {
	client := sts.NewFromConfig(config, func(o *sts.Options) {
		if who.endpoint != "" {
			o.BaseEndpoint = &who.endpoint
		}
	})
	provider := stscreds.NewAssumeRoleProvider(client, who.role, func(o *stscreds.AssumeRoleOptions) {
		o.Duration, o.RoleSessionName = roleDuration, "kubectl-kanister"
	})

	return &explained{inner: aws.NewCredentialsCache(provider, early), what: "assuming the role", role: who.role}
}

// early renews temporary credentials while those at hand are still good for the requests under way, and for a clock that is slow.
func early(o *aws.CredentialsCacheOptions) {
	o.ExpiryWindow, o.ExpiryWindowJitterFrac = 5*time.Minute, 0.5
}

func awsKeys(c params.Credential) (awsIdentity, error) {
	var who awsIdentity

	switch c.Type {
	case blueprint.CredentialKeyPair:
		if c.KeyPair == nil {
			return who, badProfile("credential.keyPair", "is missing")
		}

		who.id, who.secret = c.KeyPair.ID, c.KeyPair.Secret
	case blueprint.CredentialSecret:
		if c.Secret == nil {
			return who, badProfile("credential.secret", "is missing")
		}

		data := c.Secret.Data
		who.id, who.secret, who.token = string(data[awsKeyID]), string(data[awsSecretKey]), string(data[awsSessionToken])
		who.role = string(data[awsRole])

		var err error
		if who.endpoint, err = endpointURL("credential.secret, key "+awsSTSEndpoint, string(data[awsSTSEndpoint])); err != nil {
			return who, err
		}
	case blueprint.CredentialNone:
	case blueprint.CredentialKopia:
		return who, badProfile("credential.type", "kopia credentials open a kopia server, not an S3 bucket")
	default:
		return who, badProfile("credential.type", fmt.Sprintf("%q is unknown", c.Type))
	}

	if (who.id == "") != (who.secret == "") {
		return who, badProfile("credential", "access key id and secret access key must be given together")
	}

	return who, nil
}
