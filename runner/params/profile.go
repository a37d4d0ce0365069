package params

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// Types of the typed Secrets that a credential of type "secret" refers to (COMPAT §1.5).
const (
	SecretTypeAWS       corev1.SecretType = "secrets.kanister.io/aws"
	SecretTypeAzure     corev1.SecretType = "secrets.kanister.io/azure"
	SecretTypeGCP       corev1.SecretType = "secrets.kanister.io/gcp"
	SecretTypeFilestore corev1.SecretType = "secrets.kanister.io/filestore"
)

// Keys of typed Secrets, used by our own profiles for key pairs as well.
const (
	awsAccessKeyID     = "aws_access_key_id"
	awsSecretAccessKey = "aws_secret_access_key"
	awsSessionToken    = "aws_session_token"
	awsRole            = "role"
	awsSTSEndpoint     = "aws_sts_endpoint"

	azureAccount     = "azure_storage_account_id"
	azureKey         = "azure_storage_key"
	azureEnvironment = "azure_storage_environment"
	azureFederated   = "azure_federated_identity"

	gcpProject        = "gcp_project_id"
	gcpServiceAccount = "service-account.json"
)

// typedSecret are the keys that a typed Secret may and must have.
type typedSecret struct{ allowed, required []string }

var typedSecrets = map[corev1.SecretType]typedSecret{
	// aws_session_token is refused by upstream's validation, though its code would read it; aws_sts_endpoint is ours.
	SecretTypeAWS:       {allowed: []string{awsAccessKeyID, awsSecretAccessKey, awsRole, awsSessionToken, awsSTSEndpoint}},
	SecretTypeAzure:     {allowed: []string{azureAccount, azureKey, azureEnvironment, azureFederated}, required: []string{azureAccount}},
	SecretTypeGCP:       {allowed: []string{gcpProject, gcpServiceAccount}, required: []string{gcpProject, gcpServiceAccount}},
	SecretTypeFilestore: {},
}

// AzureDomains are the domains of storage accounts by azure_storage_environment, the name of one of Azure's clouds in capitals; "" stands
// for the public one.
var AzureDomains = map[string]string{
	"":                       "blob.core.windows.net",
	"AZURECLOUD":             "blob.core.windows.net",
	"AZUREPUBLICCLOUD":       "blob.core.windows.net",
	"AZUREUSGOVERNMENT":      "blob.core.usgovcloudapi.net",
	"AZUREUSGOVERNMENTCLOUD": "blob.core.usgovcloudapi.net",
	"AZURECHINACLOUD":        "blob.core.chinacloudapi.cn",
}

// Keys that a profile's Secret may hold beside the credential. Ours: upstream knows none of them.
const (
	// KeyProfile holds the Profile as upstream's YAML; only in Secrets that are profiles themselves.
	KeyProfile = "profile"
	// KeyRepositoryPassword holds the password of the kopia repositories.
	KeyRepositoryPassword = "repository-password"
	// KeyCABundle holds PEM certificates that are trusted in addition to the system's.
	KeyCABundle = "ca.crt"
)

var ourKeys = []string{KeyProfile, KeyRepositoryPassword, KeyCABundle}

// GetSecret reads a Secret. An empty namespace means the profile's own.
type GetSecret func(ctx context.Context, namespace, name string) (*corev1.Secret, error)

// ProfileError is a profile that cannot be used as it is.
type ProfileError struct {
	// Profile is its name; Field is the faulty member: "credential.keyPair.idField", or "Secret demo/s3-keys, key role".
	Profile, Field string
	// Message says what is wrong and what to do.
	Message string
	// Err is the cause, if there is one.
	Err error
}

// Error names profile, field and fix.
func (e *ProfileError) Error() string {
	text := fmt.Sprintf("resolving profile %q: %s: %s", e.Profile, e.Field, e.Message)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}

	return text
}

// Unwrap gives the cause.
func (e *ProfileError) Unwrap() error { return e.Err }

// resolver resolves one profile.
type resolver struct {
	get     GetSecret
	profile *blueprint.Profile
}

func (r *resolver) bad(field, format string, args ...any) error {
	return &ProfileError{Profile: r.profile.Name, Field: field, Message: fmt.Sprintf(format, args...)}
}

// ResolveProfile reads the Secrets that a profile refers to and checks both (COMPAT §1.5). The error is a *ProfileError. A Secret
// that a key pair refers to may also hold a repository password and a CA bundle (KeyRepositoryPassword, KeyCABundle).
func ResolveProfile(ctx context.Context, get GetSecret, profile *blueprint.Profile) (*Profile, error) {
	r := &resolver{get: get, profile: profile}
	if err := r.location(); err != nil {
		return nil, err
	}

	out := &Profile{Name: profile.Name, Location: profile.Location, SkipSSLVerify: profile.SkipSSLVerify}
	out.Credential.Type = profile.Credential.Type

	var err error

	switch credential := profile.Credential; credential.Type {
	case blueprint.CredentialKeyPair:
		err = r.keyPair(ctx, credential.KeyPair, out)
	case blueprint.CredentialSecret:
		err = r.typed(ctx, credential.Secret, out)
	case blueprint.CredentialKopia:
		err = r.kopia(ctx, credential.KopiaServerSecret, out)
	case blueprint.CredentialNone:
		if profile.Location.Type == blueprint.LocationKopia {
			err = r.bad("credential", "a kopia server needs credentials of type kopia")
		}
	default:
		err = r.bad("credential.type", "%q is unknown; it is one of keyPair, secret, kopia", credential.Type)
	}

	if err != nil {
		return nil, err
	}

	return out, nil
}

// location checks what each type of location needs.
func (r *resolver) location() error {
	l := r.profile.Location

	switch l.Type {
	case blueprint.LocationS3, blueprint.LocationGCS, blueprint.LocationAzure:
		if l.Bucket == "" {
			return r.bad("location.bucket", "it is missing")
		}
	case blueprint.LocationKopia:
		if l.Endpoint == "" {
			return r.bad("location.endpoint", "it is missing; for a kopia server it is its URL, https://host:51515")
		}
	case blueprint.LocationFilestore:
		if l.ClaimName == "" {
			return r.bad("location.claimName", "it is missing; a filestore location is a PersistentVolumeClaim")
		}
	case "":
		return r.bad("location.type", "it is missing; it is one of s3Compliant, gcs, azure, kopia, filestore")
	default:
		message := fmt.Sprintf("%q is unknown; it is one of s3Compliant, gcs, azure, kopia, filestore", l.Type)
		if near := suggest.Nearest(string(l.Type), []string{"s3Compliant", "gcs", "azure", "kopia", "filestore"}); near != "" {
			message += fmt.Sprintf(" (did you mean %q?)", near)
		}

		return r.bad("location.type", "%s", message)
	}

	return nil
}

// secret reads the Secret that field refers to.
func (r *resolver) secret(ctx context.Context, field string, ref *blueprint.ObjectReference) (*corev1.Secret, string, error) {
	if ref == nil || ref.Name == "" {
		return nil, "", r.bad(field+".name", "it is missing; it names the Secret with the credential")
	}

	namespace := ref.Namespace
	if namespace == "" {
		namespace = r.profile.Namespace
	}

	at := fmt.Sprintf("Secret %q", strings.TrimPrefix(namespace+"/"+ref.Name, "/"))

	secret, err := r.get(ctx, namespace, ref.Name)
	if err != nil {
		return nil, at, &ProfileError{Profile: r.profile.Name, Field: field, Message: "reading " + at, Err: err}
	}

	return secret, at, nil
}

func (r *resolver) keyPair(ctx context.Context, pair *blueprint.KeyPair, out *Profile) error {
	if pair == nil {
		return r.bad("credential.keyPair", "it is missing, but credential.type is keyPair")
	}

	secret, at, err := r.secret(ctx, "credential.keyPair.secret", &pair.Secret)
	if err != nil {
		return err
	}

	resolved := &KeyPair{}

	for _, part := range []struct {
		field, key string
		into       *string
	}{
		{"credential.keyPair.idField", pair.IDField, &resolved.ID},
		{"credential.keyPair.secretField", pair.SecretField, &resolved.Secret},
	} {
		if part.key == "" {
			return r.bad(part.field, "it is missing; it names a key of %s, which has %s", at, keysOf(secret))
		}

		value, ok := secret.Data[part.key]
		if !ok {
			return r.bad(part.field, "%s has no key %q; it has %s", at, part.key, keysOf(secret))
		}

		if len(value) == 0 {
			return r.bad(part.field, "the key %q of %s is empty", part.key, at)
		}

		*part.into = string(value)
	}

	out.Credential.KeyPair = resolved

	return r.extras(secret, at, out)
}

// extras takes over what a Secret of ours holds beside the credential.
func (r *resolver) extras(secret *corev1.Secret, at string, out *Profile) error {
	out.RepositoryPassword = string(secret.Data[KeyRepositoryPassword])

	bundle := secret.Data[KeyCABundle]
	if len(bundle) == 0 {
		return nil
	}

	if err := checkBundle(bundle); err != nil {
		return &ProfileError{Profile: r.profile.Name, Field: at + ", key " + KeyCABundle, Message: "PEM certificates are expected", Err: err}
	}

	out.CABundle = string(bundle)

	return nil
}

func checkBundle(bundle []byte) error {
	found := false

	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			break
		}

		if block.Type != "CERTIFICATE" {
			continue
		}

		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}

		found = true
	}

	if !found {
		return errors.New("there is no certificate in it")
	}

	return nil
}

func (r *resolver) typed(ctx context.Context, ref *blueprint.ObjectReference, out *Profile) error {
	if ref == nil {
		return r.bad("credential.secret", "it is missing, but credential.type is secret")
	}

	secret, at, err := r.secret(ctx, "credential.secret", ref)
	if err != nil {
		return err
	}

	rules, ok := typedSecrets[secret.Type]
	if !ok {
		return r.bad("credential.secret", "%s is of type %q; it must be one of %s. (A Secret of another type can be used with credential.type "+
			"keyPair.)", at, secret.Type, typeNames())
	}

	for _, key := range sortedKeys(secret.Data) {
		if !slices.Contains(rules.allowed, key) && !slices.Contains(ourKeys, key) {
			return r.bad(at+", key "+key, "Secret has an unknown field; type %s knows %s%s", secret.Type,
				strings.Join(rules.allowed, ", "), meant(key, rules.allowed))
		}
	}

	for _, key := range rules.required {
		if len(secret.Data[key]) == 0 {
			return r.bad(at+", key "+key, "it is missing; type %s needs %s", secret.Type, strings.Join(rules.required, ", "))
		}
	}

	if secret.Type == SecretTypeAzure && len(secret.Data[azureKey]) == 0 && string(secret.Data[azureFederated]) != "true" {
		return r.bad(at+", key "+azureKey, "it is missing; without it %s must be \"true\"", azureFederated)
	}

	if (len(secret.Data[awsAccessKeyID]) == 0) != (len(secret.Data[awsSecretAccessKey]) == 0) {
		return r.bad(at, "%s and %s are given together or not at all", awsAccessKeyID, awsSecretAccessKey)
	}

	if err := r.extras(secret, at, out); err != nil {
		return err
	}

	// What templates hand on to kando is the credential alone.
	plain := secret.DeepCopy()
	for _, key := range ourKeys {
		delete(plain.Data, key)
	}

	out.Credential.Secret = plain

	return nil
}

func meant(key string, among []string) string {
	if near := suggest.Nearest(key, among); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}

	return ""
}

func (r *resolver) kopia(ctx context.Context, server *blueprint.KopiaServerSecret, out *Profile) error {
	if server == nil {
		return r.bad("credential.kopiaServerSecret", "it is missing, but credential.type is kopia")
	}

	resolved := &KopiaServerSecret{Username: server.Username, Hostname: server.Hostname, ConnectOptions: server.ConnectOptions}

	for _, part := range []struct {
		field string
		ref   *blueprint.KopiaSecretRef
		into  *string
	}{
		{"credential.kopiaServerSecret.userPassphrase", server.UserPassphrase, &resolved.Password},
		{"credential.kopiaServerSecret.tlsCert", server.TLSCert, &resolved.Cert},
	} {
		if part.ref == nil {
			return r.bad(part.field, "it is missing; it names a Secret and a key")
		}

		secret, at, err := r.secret(ctx, part.field+".secret", part.ref.Secret)
		if err != nil {
			return err
		}

		value, ok := secret.Data[part.ref.Key]
		if !ok || len(value) == 0 {
			return r.bad(part.field+".key", "%s has no key %q; it has %s", at, part.ref.Key, keysOf(secret))
		}

		*part.into = string(value)
	}

	out.Credential.KopiaServerSecret = resolved

	return nil
}

// keysOf names the keys of a Secret, never their values.
func keysOf(secret *corev1.Secret) string {
	if len(secret.Data) == 0 {
		return "no keys"
	}

	return strings.Join(sortedKeys(secret.Data), ", ")
}

func typeNames() string {
	var names []string
	for name := range typedSecrets {
		names = append(names, string(name))
	}

	slices.Sort(names)

	return strings.Join(names, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
