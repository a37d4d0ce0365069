package location

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/option"
)

// gcsScope is enough for objects; creating buckets is not ours.
const gcsScope = "https://www.googleapis.com/auth/devstorage.read_write"

// emulatorVariable makes Google's own client, and so ours, talk to an emulator without credentials.
const emulatorVariable = "STORAGE_EMULATOR_HOST"

// gcsBucket opens the bucket of a gcs profile. An endpoint is that of the JSON API; one without TLS gets no credentials.
func gcsBucket(ctx context.Context, profile *params.Profile) (*blob.Bucket, error) {
	l := profile.Location
	if l.Bucket == "" {
		return nil, badProfile("location.bucket", "is empty")
	}

	base, err := HTTPClient(profile)
	if err != nil {
		return nil, err
	}

	endpoint, err := gcsEndpoint(l.Endpoint)
	if err != nil {
		return nil, err
	}

	var (
		client  = gcp.NewAnonymousHTTPClient(base.Transport)
		options []option.ClientOption
	)

	if os.Getenv(emulatorVariable) != "" || strings.HasPrefix(endpoint, "http://") {
		options = append(options, option.WithoutAuthentication())
	} else if client, err = gcsClient(ctx, profile, base); err != nil {
		return nil, err
	}

	if endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint))
	}

	return gcsblob.OpenBucket(ctx, client, l.Bucket, &gcsblob.Options{ClientOptions: options})
}

func gcsClient(ctx context.Context, profile *params.Profile, base *http.Client) (*gcp.HTTPClient, error) {
	account, err := GoogleServiceAccount(profile.Credential)
	if err != nil {
		return nil, err
	}

	// The token, too, is asked for with the profile's certificates.
	credentials, err := googleCredentials(context.WithValue(ctx, oauth2.HTTPClient, base), account)
	if err != nil {
		return nil, &Error{Reason: BadProfile, Hint: "give a service-account JSON, or run the pod with a workload identity", Err: err}
	}

	return gcp.NewHTTPClient(base.Transport, gcp.CredentialsTokenSource(credentials))
}

// gcsEndpoint is the JSON API at an endpoint: https://host stands for https://host/storage/v1/.
func gcsEndpoint(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}

	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}

	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", badProfile("location.endpoint", fmt.Sprintf("%q is not a URL like https://host", endpoint))
	}

	if u.Path == "" || u.Path == "/" {
		u.Path = "/storage/v1/"
	}

	return u.String(), nil
}

func googleCredentials(ctx context.Context, account []byte) (*google.Credentials, error) {
	if account == nil {
		return google.FindDefaultCredentials(ctx, gcsScope)
	}

	// Whether its private key is one shows otherwise with the first request only.
	config, err := google.JWTConfigFromJSON(account, gcsScope)
	if err != nil {
		return nil, err
	}

	if !isPrivateKey(config.PrivateKey) {
		return nil, errors.New("private_key is no PEM of a private key")
	}

	return google.CredentialsFromJSONWithType(ctx, account, google.ServiceAccount, gcsScope)
}

func isPrivateKey(text []byte) bool {
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}

	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return true
	}

	_, err := x509.ParsePKCS1PrivateKey(block.Bytes)

	return err == nil
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
