package location

import (
	"bytes"
	"context"
	"net/http"
	"os"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/option"
)

// gcsScope is enough for objects; creating buckets is not ours.
const gcsScope = "https://www.googleapis.com/auth/devstorage.read_write"

// emulatorVariable makes Google's own client, and so ours, talk to an emulator without credentials.
const emulatorVariable = "STORAGE_EMULATOR_HOST"

func openGCS(ctx context.Context, profile *params.Profile) (Store, error) {
	l := profile.Location
	if l.Bucket == "" {
		return nil, badProfile("location.bucket", "is empty")
	}

	var (
		client  *gcp.HTTPClient
		options []option.ClientOption
	)

	if os.Getenv(emulatorVariable) != "" {
		client = gcp.NewAnonymousHTTPClient(http.DefaultTransport)
		options = append(options, option.WithoutAuthentication())
	} else {
		account, err := GoogleServiceAccount(profile.Credential)
		if err != nil {
			return nil, err
		}

		credentials, err := googleCredentials(ctx, account)
		if err != nil {
			return nil, &Error{Reason: BadProfile, Hint: "give a service-account JSON, or run the pod with a workload identity", Err: err}
		}

		if client, err = gcp.NewHTTPClient(gcp.DefaultTransport(), gcp.CredentialsTokenSource(credentials)); err != nil {
			return nil, err
		}
	}

	if l.Endpoint != "" {
		options = append(options, option.WithEndpoint(l.Endpoint))
	}

	bucket, err := gcsblob.OpenBucket(ctx, client, l.Bucket, &gcsblob.Options{ClientOptions: options})
	if err != nil {
		return nil, err
	}

	return &bucketStore{bucket: bucket, name: "gs://" + l.Bucket, prefix: Clean(l.Prefix)}, nil
}

func googleCredentials(ctx context.Context, account []byte) (*google.Credentials, error) {
	if account == nil {
		return google.FindDefaultCredentials(ctx, gcsScope)
	}

	return google.CredentialsFromJSONWithType(ctx, account, google.ServiceAccount, gcsScope)
}

// GoogleServiceAccount is the service-account JSON of a credential; nil means the pod's own identity (COMPAT §1.5: in a key pair
// the id is the project and the secret the JSON).
func GoogleServiceAccount(c params.Credential) ([]byte, error) {
	var account []byte

	switch {
	case c.Type == blueprint.CredentialKeyPair && c.KeyPair != nil:
		account = []byte(c.KeyPair.Secret)
	case c.Type == blueprint.CredentialSecret && c.Secret != nil:
		account = c.Secret.Data[gcpServiceAccount]
	case c.Type == blueprint.CredentialNone:
		return nil, nil
	default:
		return nil, badProfile("credential", "a gcs location needs a keyPair or a Secret of type secrets.kanister.io/gcp")
	}

	if len(bytes.TrimSpace(account)) == 0 {
		return nil, badProfile("credential", "the service-account JSON is empty")
	}

	return account, nil
}
