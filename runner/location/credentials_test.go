package location_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

const (
	podRole   = "arn:aws:iam::000000000001:role/pod"
	otherRole = "arn:aws:iam::000000000001:role/backup"
)

// tokens answers as STS does; hack/aws has the one that checks what it is asked.
type tokens struct {
	*httptest.Server

	mu       sync.Mutex
	asked    []string // "AssumeRole ROLE KEY TOKEN"
	lifetime time.Duration
	refusal  string
}

func newTokens(t *testing.T, serve func(http.Handler) *httptest.Server) *tokens {
	t.Helper()

	s := &tokens{lifetime: time.Hour}
	s.Server = serve(http.HandlerFunc(s.answer))
	t.Cleanup(s.Close)

	return s
}

func (s *tokens) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()

	action := r.FormValue("Action")
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	s.asked = append(s.asked, strings.TrimSpace(fmt.Sprint(action, " ", r.FormValue("RoleArn"), " ", key, " ", r.Header.Get("X-Amz-Security-Token")+r.FormValue("WebIdentityToken"))))

	if s.refusal != "" {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>it says no</Message></Error></ErrorResponse>`, s.refusal)

		return
	}

	fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>ASIA%[2]d</AccessKeyId>`+
		`<SecretAccessKey>s</SecretAccessKey><SessionToken>token-%[2]d</SessionToken><Expiration>%[3]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		action, len(s.asked), time.Now().Add(s.lifetime).UTC().Format(time.RFC3339))
}

func (s *tokens) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return slices.Clone(s.asked)
}

// typed is a profile with a typed Secret of these keys.
func typed(data map[string]string) *params.Profile {
	secret := &corev1.Secret{Type: params.SecretTypeAWS, Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}

	return &params.Profile{
		Location:   blueprint.Location{Type: blueprint.LocationS3, Bucket: "backups", Region: "eu-test-1"},
		Credential: params.Credential{Type: blueprint.CredentialSecret, Secret: secret},
	}
}

// podIdentity is the environment that EKS gives a pod of a ServiceAccount with a role.
func podIdentity(t *testing.T) {
	t.Helper()

	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("jwt"), 0o600); err != nil {
		t.Fatal(err)
	}

	t.Setenv("AWS_ROLE_ARN", podRole)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
}

// alone keeps the machine's own AWS configuration away.
func alone(t *testing.T) {
	t.Helper()

	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_CA_BUNDLE",
	} {
		t.Setenv(name, "")
	}

	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
}

func TestAWSConfigResolvesCredentialsInOrder(t *testing.T) {
	for name, tc := range map[string]struct {
		secret map[string]string
		pod    bool
		key    string
		asked  []string
	}{
		"keys":                     {secret: map[string]string{"aws_access_key_id": "AKIA", "aws_secret_access_key": "s"}, pod: true, key: "AKIA"},
		"session token":            {secret: map[string]string{"aws_access_key_id": "ASIA", "aws_secret_access_key": "s", "aws_session_token": "t"}, key: "ASIA t"},
		"role":                     {secret: map[string]string{"aws_access_key_id": "AKIA", "aws_secret_access_key": "s", "role": otherRole}, key: "ASIA1 token-1", asked: []string{"AssumeRole " + otherRole + " AKIA"}},
		"role by session":          {secret: map[string]string{"aws_access_key_id": "ASIA", "aws_secret_access_key": "s", "aws_session_token": "t", "role": otherRole}, key: "ASIA1 token-1", asked: []string{"AssumeRole " + otherRole + " ASIA t"}},
		"pod":                      {pod: true, key: "ASIA1 token-1", asked: []string{"AssumeRoleWithWebIdentity " + podRole + "  jwt"}},
		"pod's own role by name":   {secret: map[string]string{"role": podRole}, pod: true, key: "ASIA1 token-1", asked: []string{"AssumeRoleWithWebIdentity " + podRole + "  jwt"}},
		"pod with another role":    {secret: map[string]string{"role": otherRole}, pod: true, key: "ASIA2 token-2", asked: []string{"AssumeRoleWithWebIdentity " + podRole + "  jwt", "AssumeRole " + otherRole + " ASIA1 token-1"}},
		"keys with the pod's role": {secret: map[string]string{"aws_access_key_id": "AKIA", "aws_secret_access_key": "s", "role": podRole}, pod: true, key: "ASIA1 token-1", asked: []string{"AssumeRole " + podRole + " AKIA"}},
	} {
		for _, by := range []string{"secret", "environment"} {
			t.Run(name+" by "+by, func(t *testing.T) {
				alone(t)

				server := newTokens(t, httptest.NewServer)
				profile := typed(tc.secret)

				if by == "secret" {
					profile.Credential.Secret.Data["aws_sts_endpoint"] = []byte(server.URL)
				} else {
					t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
				}

				if tc.pod {
					podIdentity(t)
				}

				config, err := location.AWSConfig(t.Context(), profile, "eu-test-1", nil)
				if err != nil {
					t.Fatal(err)
				}

				for range 3 { // the second and third time from the cache
					keys, err := config.Credentials.Retrieve(t.Context())
					if got := strings.TrimSpace(keys.AccessKeyID + " " + keys.SessionToken); err != nil || got != tc.key {
						t.Fatalf("key %q, want %q: %v", got, tc.key, err)
					}
				}

				if got := server.requests(); !slices.Equal(got, tc.asked) {
					t.Errorf("STS was asked %q, want %q", got, tc.asked)
				}
			})
		}
	}
}

// A request that begins with credentials of a few seconds would end without: they are renewed before.
func TestAWSConfigRenewsEarly(t *testing.T) {
	alone(t)

	server := newTokens(t, httptest.NewServer)
	server.lifetime = 2 * time.Minute

	config, err := location.AWSConfig(t.Context(), typed(map[string]string{
		"aws_access_key_id": "AKIA", "aws_secret_access_key": "s", "role": otherRole, "aws_sts_endpoint": server.URL,
	}), "eu-test-1", nil)
	if err != nil {
		t.Fatal(err)
	}

	for i := range 2 {
		if keys, err := config.Credentials.Retrieve(t.Context()); err != nil || keys.AccessKeyID != fmt.Sprintf("ASIA%d", i+1) {
			t.Errorf("%v %v", keys.AccessKeyID, err)
		}
	}
}

func TestAWSConfigTrustsTheProfilesAuthority(t *testing.T) {
	alone(t)

	server := newTokens(t, httptest.NewTLSServer)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))

	for name, tc := range map[string]struct {
		bundle string
		skip   bool
		own    bool
		reason location.Reason
	}{
		"unknown":                           {own: true, reason: location.TLS},
		"bundle":                            {own: true, bundle: authority},
		"skipped for a store's own STS":     {own: true, skip: true},
		"never skipped for any other one":   {skip: true, reason: location.TLS},
		"bundle for one of the environment": {bundle: authority},
	} {
		profile := typed(map[string]string{"aws_access_key_id": "AKIA", "aws_secret_access_key": "s", "role": otherRole})
		profile.CABundle, profile.SkipSSLVerify = tc.bundle, tc.skip

		t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)

		if tc.own {
			profile.Credential.Secret.Data["aws_sts_endpoint"] = []byte(server.URL)
		}

		config, err := location.AWSConfig(t.Context(), profile, "eu-test-1", nil)
		if err != nil {
			t.Fatal(err)
		}

		if _, err = config.Credentials.Retrieve(t.Context()); location.ReasonOf(err) != tc.reason {
			t.Errorf("%s: reason %q, want %q: %v", name, location.ReasonOf(err), tc.reason, err)
		}
	}
}

func TestIdentityErrors(t *testing.T) {
	alone(t)

	server := newTokens(t, httptest.NewServer)
	server.refusal = "AccessDenied"
	profile := typed(map[string]string{"aws_access_key_id": "AKIA", "aws_secret_access_key": "s", "role": otherRole, "aws_sts_endpoint": server.URL})

	store, err := location.Open(t.Context(), profile)
	if err != nil {
		t.Fatal(err)
	}

	err = store.List(t.Context(), "x", func(location.Object) error { return nil })
	for _, part := range []string{"listing", `assuming the role "` + otherRole + `": AccessDenied it says no (HTTP 403)`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}

	if reason, hint := location.Explain(err); reason != location.AccessDenied || !strings.Contains(hint, "trust policy") {
		t.Errorf("%s %s", reason, hint)
	}

	podIdentity(t)

	server.refusal = "InvalidIdentityToken"
	if err := retrieve(t.Context(), typed(map[string]string{"aws_sts_endpoint": server.URL})); !strings.Contains(err.Error(), podRole) || location.ReasonOf(err) != location.WrongKey {
		t.Errorf("%v", err)
	}

	alone(t)

	err = retrieve(t.Context(), &params.Profile{})

	var identity *location.IdentityError
	if !errors.As(err, &identity) || identity.Reason != location.WrongKey || !strings.Contains(identity.Hint, "--service-account") {
		t.Errorf("nobody: %v", err)
	}

	// Nobody, on a node that is none of EC2's: the store's own attempts do not multiply the search.
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")

	store, err = location.Open(t.Context(), typed(nil))
	if err != nil {
		t.Fatal(err)
	}

	_, err = store.Stat(t.Context(), "x")
	if reason, hint := location.Explain(err); reason != location.WrongKey || !strings.Contains(hint, "--service-account") || strings.Contains(err.Error(), "attempts, 8") {
		t.Errorf("no EC2: %s, %s: %v", reason, hint, err)
	}

	if _, err := location.AWSConfig(t.Context(), typed(map[string]string{"aws_sts_endpoint": "ftp://x"}), "eu-test-1", nil); err == nil || !strings.Contains(err.Error(), "aws_sts_endpoint") {
		t.Errorf("endpoint: %v", err)
	}
}

func retrieve(ctx context.Context, profile *params.Profile) error {
	config, err := location.AWSConfig(ctx, profile, "eu-test-1", nil)
	if err == nil {
		_, err = config.Credentials.Retrieve(ctx)
	}

	return err
}
