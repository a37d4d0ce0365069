package location

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// roleDuration is how long an assumed role's credentials live; longer is refused for chained roles (COMPAT §1.5).
const roleDuration = time.Hour

// Keys of the typed Secrets of COMPAT §1.5. aws_session_token is ours: upstream's validation refuses it.
const (
	awsKeyID        = "aws_access_key_id"
	awsSecretKey    = "aws_secret_access_key"
	awsSessionToken = "aws_session_token"
	awsRole         = "role"

	azureAccount     = "azure_storage_account_id"
	azureKey         = "azure_storage_key"
	azureEnvironment = "azure_storage_environment"

	gcpServiceAccount = "service-account.json"
)

// AWSConfig resolves a profile's credentials in upstream's order (COMPAT §1.5): static keys; else the pod's own identity (web
// identity, then whatever the SDK finds); then the role, if one is named. region must not be empty.
func AWSConfig(ctx context.Context, profile *params.Profile, region string, client aws.HTTPClient) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(region)}
	if client != nil {
		options = append(options, awsconfig.WithHTTPClient(client))
	}

	id, secret, token, role, err := awsKeys(profile.Credential)
	if err != nil {
		return aws.Config{}, err
	}

	if id != "" {
		options = append(options, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret, token)))
	}

	config, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}

	if role != "" {
		provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), role, func(o *stscreds.AssumeRoleOptions) {
			o.Duration, o.RoleSessionName = roleDuration, "kubectl-kanister"
		})
		config.Credentials = aws.NewCredentialsCache(provider)
	}

	return config, nil
}

func awsKeys(c params.Credential) (id, secret, token, role string, err error) {
	switch c.Type {
	case blueprint.CredentialKeyPair:
		if c.KeyPair == nil {
			return "", "", "", "", badProfile("credential.keyPair", "is missing")
		}

		id, secret = c.KeyPair.ID, c.KeyPair.Secret
	case blueprint.CredentialSecret:
		if c.Secret == nil {
			return "", "", "", "", badProfile("credential.secret", "is missing")
		}

		data := c.Secret.Data
		id, secret = string(data[awsKeyID]), string(data[awsSecretKey])
		token, role = string(data[awsSessionToken]), string(data[awsRole])
	case blueprint.CredentialNone:
	case blueprint.CredentialKopia:
		return "", "", "", "", badProfile("credential.type", "kopia credentials open a kopia server, not an S3 bucket")
	default:
		return "", "", "", "", badProfile("credential.type", fmt.Sprintf("%q is unknown", c.Type))
	}

	if (id == "") != (secret == "") {
		return "", "", "", "", badProfile("credential", "access key id and secret access key must be given together")
	}

	return id, secret, token, role, nil
}
