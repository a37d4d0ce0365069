package params

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// LabelProfile marks a Secret as a profile of ours, with the value "true"; record.LabelProfile is the same word.
const LabelProfile = "kanister.io/profile"

// ProfileFromSecret reads a profile as we store it: one Secret with upstream's Profile YAML under KeyProfile, whose credential
// refers to this same Secret, the credential's keys, KeyRepositoryPassword and, if needed, KeyCABundle. The profile is named as the
// Secret. The error is a *ProfileError or blueprint.Findings.
func ProfileFromSecret(secret *corev1.Secret) (*Profile, error) {
	document, ok := secret.Data[KeyProfile]
	if !ok {
		return nil, &ProfileError{
			Profile: secret.Name, Field: fmt.Sprintf("Secret %q, key %s", secret.Namespace+"/"+secret.Name, KeyProfile),
			Message: "it is missing; a profile's Secret holds the Profile as YAML there. Make it with: kubectl kanister profile create",
		}
	}

	source := fmt.Sprintf("Secret %s/%s key %s", secret.Namespace, secret.Name, KeyProfile)

	profile, err := blueprint.LoadProfile(source, document)
	if err != nil {
		return nil, fmt.Errorf("reading profile %q: %w", secret.Name, err)
	}

	profile.Name, profile.Namespace = secret.Name, secret.Namespace

	same := func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
		if name != secret.Name || namespace != "" && namespace != secret.Namespace {
			return nil, fmt.Errorf("a stored profile keeps its credential in its own Secret, not in %q", namespace+"/"+name)
		}

		return secret, nil
	}

	out, err := ResolveProfile(context.Background(), same, profile)
	if err != nil {
		return nil, err
	}

	r := &resolver{profile: profile}
	if err := r.extras(secret, fmt.Sprintf("Secret %q", secret.Namespace+"/"+secret.Name), out); err != nil {
		return nil, err
	}

	return out, nil
}

// SecretFromProfile stores a resolved profile in the form that ProfileFromSecret reads, with the label of profiles. Name and
// namespace of the Secret are the profile's name and namespace. kopia credentials are not stored: they lie in Secrets of their
// own.
func SecretFromProfile(namespace string, p *Profile) (*corev1.Secret, error) {
	if p.Name == "" {
		return nil, &ProfileError{Field: "name", Message: "it is missing"}
	}

	self := blueprint.ObjectReference{APIVersion: "v1", Kind: "Secret", Name: p.Name, Namespace: namespace}
	document := &blueprint.Profile{
		TypeMeta:   metav1.TypeMeta{APIVersion: blueprint.APIVersion, Kind: "Profile"},
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace},
		Location:   p.Location, SkipSSLVerify: p.SkipSSLVerify,
	}
	document.Credential.Type = p.Credential.Type

	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace, Labels: map[string]string{LabelProfile: "true"}},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{},
	}

	switch {
	case p.Credential.KeyPair != nil:
		id, key := pairKeys(p.Location.Type)
		document.Credential.KeyPair = &blueprint.KeyPair{IDField: id, SecretField: key, Secret: self}
		secret.Data[id], secret.Data[key] = []byte(p.Credential.KeyPair.ID), []byte(p.Credential.KeyPair.Secret)
	case p.Credential.Secret != nil:
		document.Credential.Secret = &self
		secret.Type = p.Credential.Secret.Type

		for key, value := range p.Credential.Secret.Data {
			secret.Data[key] = value
		}
	case p.Credential.KopiaServerSecret != nil:
		return nil, &ProfileError{
			Profile: p.Name, Field: "credential.kopiaServerSecret",
			Message: "a kopia server's profile is kept as a Profile manifest; apply or name that instead",
		}
	}

	text, err := yaml.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("writing profile %q: %w", p.Name, err)
	}

	secret.Data[KeyProfile] = text

	if p.RepositoryPassword != "" {
		secret.Data[KeyRepositoryPassword] = []byte(p.RepositoryPassword)
	}

	if p.CABundle != "" {
		secret.Data[KeyCABundle] = []byte(p.CABundle)
	}

	// What cannot be read back must not be stored.
	if _, err := ProfileFromSecret(secret); err != nil {
		return nil, err
	}

	return secret, nil
}

// pairKeys are the keys under which a key pair is stored.
func pairKeys(t blueprint.LocationType) (id, secret string) {
	switch t {
	case blueprint.LocationGCS:
		return gcpProject, gcpServiceAccount
	case blueprint.LocationAzure:
		return azureAccount, azureKey
	default:
		return awsAccessKeyID, awsSecretAccessKey
	}
}
