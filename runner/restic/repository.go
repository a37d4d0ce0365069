// Package restic knows the repositories that upstream Kanister's data functions have written: where they lie, what restic must be
// told to open them, the shell scripts that do so, and what restic answers (COMPAT §4.0.4). It runs nothing.
package restic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// DefaultImage is where restic is if the blueprint names no image: upstream's tools image of the last release that had all
// functions.
const DefaultImage = "ghcr.io/kanisterio/kanister-tools:0.119.0"

// PublicPassword is upstream's default encryptionKey (COMPAT §0.5). It protects nothing.
const PublicPassword = "9f735e0df9a1ddc702bf0a1a7b83033f9f7153a00c29de82cedadc9957289b05" //nolint:gosec // a public constant

// Names of the files of a Repository.
const (
	// EnvFile holds the environment, for a shell to read.
	EnvFile = "environment"
	gcsFile = "google.json"
	caFile  = "ca.crt"
)

// Repository is what restic is told.
type Repository struct {
	// URL of the repository: s3:https://host/bucket/path. It holds no secret.
	URL string
	// Files go to the directory that Locate was given: EnvFile and what that refers to. They are secret.
	Files map[string][]byte
	// Secrets are the secret values in Files.
	Secrets []string
	// Flags for every command.
	Flags []string
}

// at is the key of an artifact prefix in the bucket. The location's own prefix does not count: upstream's restic functions ignore
// it (COMPAT §0.6).
func at(l blueprint.Location, artifact string) string {
	l.Prefix = ""

	return location.ArtifactKey(l, artifact)
}

// Holds tells whether a restic repository lies at the artifact prefix; one of ours may lie there, too (see package kopia). It asks the
// store for one or two objects.
func Holds(ctx context.Context, profile *params.Profile, artifact string) (bool, error) {
	switch profile.Location.Type {
	case blueprint.LocationS3, blueprint.LocationGCS, blueprint.LocationAzure:
	default:
		return false, nil // upstream's functions wrote nowhere else
	}

	whole := *profile
	whole.Location.Prefix = ""

	store, err := location.Open(ctx, &whole)
	if err != nil {
		return false, err
	}
	defer store.Close() // read only

	return In(ctx, store, at(profile.Location, artifact))
}

var errFound = errors.New("found")

// In tells whether a restic repository lies at a key of a store: it has an object "config" there and at least one below "keys/".
func In(ctx context.Context, store location.Store, root string) (bool, error) {
	if _, err := store.Stat(ctx, location.Join(root, "config")); errors.Is(err, location.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}

	err := store.List(ctx, location.Join(root, "keys")+"/", func(location.Object) error { return errFound })
	if errors.Is(err, errFound) {
		return true, nil
	}

	return false, err
}

// Locate says how to open the repository at an artifact prefix. The files will be in dir. password "" is upstream's public one.
func Locate(ctx context.Context, profile *params.Profile, artifact, password, dir string) (*Repository, error) {
	l := profile.Location

	if password == "" {
		password = PublicPassword
	}

	env := map[string]string{"RESTIC_PASSWORD": password, "RESTIC_CACHE_DIR": "/tmp/restic", "HOME": "/tmp", "TMPDIR": "/tmp"}
	r := &Repository{Files: map[string][]byte{}, Secrets: []string{password}}
	key := at(l, artifact)

	switch l.Type {
	case blueprint.LocationS3:
		endpoint := strings.TrimRight(l.Endpoint, "/")
		if endpoint == "" {
			endpoint = "s3.amazonaws.com"
		}

		r.URL = "s3:" + endpoint + "/" + path.Join(l.Bucket, key)

		if err := r.aws(ctx, profile, env); err != nil {
			return nil, err
		}
	case blueprint.LocationGCS:
		r.URL = "gs:" + l.Bucket + ":/" + key + "/"

		account, err := location.GoogleServiceAccount(profile.Credential)
		if err != nil {
			return nil, err
		}

		if len(account) > 0 {
			r.Files[gcsFile], env["GOOGLE_APPLICATION_CREDENTIALS"] = account, path.Join(dir, gcsFile)
		}

		if pair := profile.Credential.KeyPair; pair != nil {
			env["GOOGLE_PROJECT_ID"] = pair.ID
		}
	case blueprint.LocationAzure:
		r.URL = "azure:" + l.Bucket + ":/" + key + "/"

		account, err := location.AzureAccount(profile)
		if err != nil {
			return nil, err
		}

		env["AZURE_ACCOUNT_NAME"], env["AZURE_ACCOUNT_KEY"] = account.Account, account.Key
		r.Secrets = append(r.Secrets, account.Key)
	default:
		return nil, fmt.Errorf("opening the restic repository: upstream has none in a location of type %q", l.Type)
	}

	env["RESTIC_REPOSITORY"] = r.URL
	r.Files[EnvFile] = environment(env)

	if profile.CABundle != "" {
		// It replaces the system's roots: a store whose certificate the profile's bundle signs is all that restic talks to.
		r.Files[caFile] = []byte(profile.CABundle)
		r.Flags = append(r.Flags, "--cacert", path.Join(dir, caFile))
	}

	if profile.SkipSSLVerify {
		r.Flags = append(r.Flags, "--insecure-tls")
	}

	return r, nil
}

// aws sets the keys. Those of a role are good for an hour, as upstream's.
func (r *Repository) aws(ctx context.Context, profile *params.Profile, env map[string]string) error {
	config, err := location.AWSConfig(ctx, profile, profile.Location.Region, nil)
	if err != nil {
		return err
	}

	keys, err := config.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("getting the keys of profile %q for restic: %w", profile.Name, err)
	}

	env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = keys.AccessKeyID, keys.SecretAccessKey
	r.Secrets = append(r.Secrets, keys.SecretAccessKey)

	if keys.SessionToken != "" {
		env["AWS_SESSION_TOKEN"] = keys.SessionToken
		r.Secrets = append(r.Secrets, keys.SessionToken)
	}

	if profile.Location.Region != "" {
		env["AWS_DEFAULT_REGION"] = profile.Location.Region
	}

	return nil
}

// environment is env as a shell reads it, whatever the values hold.
func environment(env map[string]string) []byte {
	var text []byte

	for _, name := range slices.Sorted(maps.Keys(env)) {
		text = fmt.Appendf(text, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
	}

	return text
}
