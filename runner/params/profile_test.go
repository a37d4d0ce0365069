package params_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

func bundle(t *testing.T) string {
	t.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	certificate := &x509.Certificate{SerialNumber: big.NewInt(1)}

	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}

	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// secrets serves Secrets by "namespace/name".
func secrets(all ...*corev1.Secret) params.GetSecret {
	return func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
		for _, s := range all {
			if s.Namespace == namespace && s.Name == name {
				return s, nil
			}
		}

		return nil, errors.New("no such Secret")
	}
}

func secret(kind corev1.SecretType, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys", Namespace: "demo"}, Type: kind, Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}

	return s
}

func ref() *blueprint.ObjectReference { return &blueprint.ObjectReference{Name: "keys"} }

func s3(credential blueprint.Credential) *blueprint.Profile {
	return &blueprint.Profile{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "demo"},
		Location:   blueprint.Location{Type: blueprint.LocationS3, Bucket: "b"}, Credential: credential,
	}
}

func pair(id, key string) blueprint.Credential {
	return blueprint.Credential{
		Type: blueprint.CredentialKeyPair, KeyPair: &blueprint.KeyPair{IDField: id, SecretField: key, Secret: *ref()},
	}
}

func TestResolveProfile(t *testing.T) {
	t.Parallel()

	typed := blueprint.Credential{Type: blueprint.CredentialSecret, Secret: ref()}
	kopia := blueprint.Credential{Type: blueprint.CredentialKopia, KopiaServerSecret: &blueprint.KopiaServerSecret{
		Username: "u", Hostname: "h", UserPassphrase: &blueprint.KopiaSecretRef{Key: "pass", Secret: ref()},
		TLSCert: &blueprint.KopiaSecretRef{Key: "cert", Secret: ref()},
	}}
	kopiaProfile := s3(kopia)
	kopiaProfile.Location = blueprint.Location{Type: blueprint.LocationKopia, Endpoint: "https://x:51515"}
	located := func(l blueprint.Location) *blueprint.Profile {
		p := s3(pair("id", "key"))
		p.Location = l

		return p
	}

	ca := bundle(t)
	idKey := map[string]string{"id": "AK", "key": "SK", "more": "x"}

	for name, tc := range map[string]struct {
		profile *blueprint.Profile
		secret  *corev1.Secret
		check   func(*params.Profile) bool
		fails   string
	}{
		"key pair": {
			s3(pair("id", "key")), secret("Opaque", idKey),
			func(p *params.Profile) bool {
				return *p.Credential.KeyPair == params.KeyPair{ID: "AK", Secret: "SK"} && p.Name == "p" && p.RepositoryPassword == ""
			}, "",
		},
		"key pair with our keys": {
			s3(pair("id", "key")), secret("Opaque", map[string]string{"id": "AK", "key": "SK", "repository-password": "rp", "ca.crt": ca}),
			func(p *params.Profile) bool { return p.RepositoryPassword == "rp" && p.CABundle == ca }, "",
		},
		"key pair, no such key": {s3(pair("id", "kye")), secret("Opaque", idKey), nil, `resolving profile "p": credential.keyPair.secretField: Secret "demo/keys" has no key "kye"; it has id, key, more`},
		"key pair, empty key":   {s3(pair("id", "key")), secret("Opaque", map[string]string{"id": "", "key": "x"}), nil, `the key "id" of Secret "demo/keys" is empty`},
		"key pair, no field":    {s3(pair("", "key")), secret("Opaque", idKey), nil, "credential.keyPair.idField: it is missing"},
		"key pair, no secret":   {s3(pair("id", "key")), secret("Opaque", nil), nil, "has no keys"},
		"no pair":               {s3(blueprint.Credential{Type: "keyPair"}), nil, nil, "credential.keyPair: it is missing"},
		"bad bundle":            {s3(pair("id", "key")), secret("Opaque", map[string]string{"id": "a", "key": "b", "ca.crt": "hello"}), nil, `Secret "demo/keys", key ca.crt: PEM certificates are expected: there is no certificate in it`},
		"absent secret":         {s3(pair("id", "key")), &corev1.Secret{}, nil, `credential.keyPair.secret: reading Secret "demo/keys": no such Secret`},
		"aws": {
			s3(typed), secret(params.SecretTypeAWS, map[string]string{"aws_access_key_id": "a", "aws_secret_access_key": "b", "role": "r", "repository-password": "x"}),
			func(p *params.Profile) bool {
				_, leaked := p.Credential.Secret.Data["repository-password"]

				return string(p.Credential.Secret.Data["role"]) == "r" && !leaked && p.RepositoryPassword == "x"
			}, "",
		},
		"aws without keys": {s3(typed), secret(params.SecretTypeAWS, nil), func(p *params.Profile) bool { return p.Credential.Secret != nil }, ""},
		"aws, half":        {s3(typed), secret(params.SecretTypeAWS, map[string]string{"aws_access_key_id": "a"}), nil, "are given together or not at all"},
		"aws, unknown field": {
			s3(typed), secret(params.SecretTypeAWS, map[string]string{"aws_acces_key_id": "a"}), nil,
			`key aws_acces_key_id: Secret has an unknown field; type secrets.kanister.io/aws knows aws_access_key_id, aws_secret_access_key, role, aws_session_token, aws_sts_endpoint (did you mean "aws_access_key_id"?)`,
		},
		"untyped":           {s3(typed), secret("Opaque", idKey), nil, `Secret "demo/keys" is of type "Opaque"; it must be one of secrets.kanister.io/aws,`},
		"azure":             {s3(typed), secret(params.SecretTypeAzure, map[string]string{"azure_storage_account_id": "a", "azure_storage_key": "b", "azure_storage_environment": "c"}), func(*params.Profile) bool { return true }, ""},
		"azure, federated":  {s3(typed), secret(params.SecretTypeAzure, map[string]string{"azure_storage_account_id": "a", "azure_federated_identity": "true"}), func(*params.Profile) bool { return true }, ""},
		"azure, no key":     {s3(typed), secret(params.SecretTypeAzure, map[string]string{"azure_storage_account_id": "a"}), nil, "key azure_storage_key: it is missing"},
		"azure, no account": {s3(typed), secret(params.SecretTypeAzure, map[string]string{"azure_storage_key": "a"}), nil, "key azure_storage_account_id: it is missing"},
		"gcp":               {s3(typed), secret(params.SecretTypeGCP, map[string]string{"gcp_project_id": "a"}), nil, "key service-account.json: it is missing"},
		"filestore":         {s3(typed), secret(params.SecretTypeFilestore, nil), func(*params.Profile) bool { return true }, ""},
		"no secret":         {s3(blueprint.Credential{Type: "secret"}), nil, nil, "credential.secret: it is missing"},
		"kopia": {kopiaProfile, secret("Opaque", map[string]string{"pass": "p", "cert": "c"}), func(p *params.Profile) bool {
			k := p.Credential.KopiaServerSecret
			return k.Password == "p" && k.Cert == "c" && k.Hostname == "h"
		}, ""},
		"kopia, no cert":      {kopiaProfile, secret("Opaque", map[string]string{"pass": "p"}), nil, `credential.kopiaServerSecret.tlsCert.key: Secret "demo/keys" has no key "cert"`},
		"credential type":     {s3(blueprint.Credential{Type: "keypair"}), nil, nil, `credential.type: "keypair" is unknown`},
		"no bucket":           {located(blueprint.Location{Type: "gcs"}), nil, nil, "location.bucket: it is missing"},
		"no claim":            {located(blueprint.Location{Type: "filestore"}), nil, nil, "location.claimName: it is missing"},
		"no kopia endpoint":   {located(blueprint.Location{Type: "kopia"}), nil, nil, "location.endpoint: it is missing"},
		"no location type":    {located(blueprint.Location{}), nil, nil, "location.type: it is missing"},
		"other location type": {located(blueprint.Location{Type: "S3"}), nil, nil, `location.type: "S3" is unknown`},
		"filestore location":  {&blueprint.Profile{Location: blueprint.Location{Type: "filestore", ClaimName: "c"}}, nil, func(p *params.Profile) bool { return p.Location.ClaimName == "c" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			get := secrets()
			if tc.secret != nil {
				get = secrets(tc.secret)
			}

			p, err := params.ResolveProfile(t.Context(), get, tc.profile)

			switch {
			case tc.fails != "":
				var profileError *params.ProfileError
				if !errors.As(err, &profileError) || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("error %v, want %q", err, tc.fails)
				}

				for _, value := range []string{"AK", "SK"} {
					if err != nil && strings.Contains(err.Error(), value) {
						t.Errorf("the error shows a secret value: %v", err)
					}
				}
			case err != nil:
				t.Error(err)
			case !tc.check(p):
				t.Errorf("profile %+v", p)
			}
		})
	}
}

func TestStoredProfile(t *testing.T) {
	t.Parallel()

	location := blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Endpoint: "https://s3.local", Prefix: "p", Region: "r"}

	for name, p := range map[string]*params.Profile{
		"s3": {
			Name: "backups", Location: location, SkipSSLVerify: true, CABundle: bundle(t), RepositoryPassword: "pa'ss\nword",
			Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "sec: ret"}},
		},
		"role": {
			Name: "backups", Location: location, RepositoryPassword: "x",
			Credential: params.Credential{Type: blueprint.CredentialSecret, Secret: &corev1.Secret{
				Type: params.SecretTypeAWS, Data: map[string][]byte{"role": []byte("arn")},
			}},
		},
		"azure": {
			Name: "backups", Location: blueprint.Location{Type: blueprint.LocationAzure, Bucket: "b"},
			Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "s"}},
		},
		"gcs": {
			Name: "backups", Location: blueprint.Location{Type: blueprint.LocationGCS, Bucket: "b"},
			Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "{}"}},
		},
		"file": {
			Name: "backups", Location: blueprint.Location{Type: blueprint.LocationFilestore, ClaimName: "backups"}, RepositoryPassword: "x",
		},
	} {
		stored, err := params.SecretFromProfile("demo", p)
		if err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		if stored.Labels[record.LabelProfile] != "true" || stored.Name != "backups" || stored.Namespace != "demo" {
			t.Errorf("%s: stored as %+v", name, stored.ObjectMeta)
		}

		got, err := params.ProfileFromSecret(stored)
		if err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		want := *p
		if p.Credential.Secret != nil {
			want.Credential.Secret = p.Credential.Secret.DeepCopy()
			want.Credential.Secret.TypeMeta, want.Credential.Secret.ObjectMeta = stored.TypeMeta, stored.ObjectMeta
		}

		if d := cmp.Diff(&want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}

		// What templates show of it never holds the repository password.
		shown, err := template.Render("{{ toJson .Profile }}", &params.TemplateParams{Profile: got})
		if err != nil || strings.Contains(shown, "repository-password") || strings.Contains(shown, "RepositoryPassword") || !json.Valid([]byte(shown)) {
			t.Errorf("%s: shown as %s, %v", name, shown, err)
		}
	}
}

func TestStoredProfileFaults(t *testing.T) {
	t.Parallel()

	document := func(text string) map[string]string { return map[string]string{"profile": text} }

	for want, s := range map[string]*corev1.Secret{
		`resolving profile "keys": Secret "demo/keys", key profile: it is missing`: secret("Opaque", nil),
		`reading profile "keys": Secret demo/keys key profile:5:1: unknow`:         secret("Opaque", document("apiVersion: cr.kanister.io/v1alpha1\nkind: Profile\nlocation:\n  type: gcs\nunknow: x\n")),
		"a stored profile keeps its credential in its own Secret": secret("Opaque", document(
			"apiVersion: cr.kanister.io/v1alpha1\nkind: Profile\nlocation: {type: gcs, bucket: b}\ncredential: {type: keyPair, keyPair: {idField: a, secretField: b, secret: {name: other}}}\n")),
	} {
		if _, err := params.ProfileFromSecret(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}

	if _, err := params.SecretFromProfile("demo", &params.Profile{Name: "x", Location: blueprint.Location{Type: "s3Compliant"}}); err == nil {
		t.Error("a profile that cannot be read back was stored")
	}
}
