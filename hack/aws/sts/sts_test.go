package sts

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/s3"
)

const (
	backup = "arn:aws:iam::000000000001:role/backup"
	upload = "arn:aws:iam::000000000001:role/upload"
	pods   = "arn:aws:iam::000000000001:role/pods"
)

type stand struct {
	dir, sts, gate string
}

func start(t *testing.T) stand {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	service, err := model.Load(filepath.Join(strings.TrimSpace(string(out)), "models/apis/sts/2011-06-15/api-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keys := desk.NewKeyring("AKIAMAIN:main-secret", "AKIALOW:low-secret:sts")
	server := httptest.NewServer(New(service, dir, keys, backup+" AKIAMAIN AKIALOW", upload+" "+backup, pods+" system:serviceaccount:ns:app"))
	t.Cleanup(server.Close)
	// Behind the gate: one that knows nothing but its own key.
	own := desk.NewKeyring("OWN:own-secret")
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key, err := own.Check(r); err != nil || r.Header.Get("X-Amz-Security-Token") != "" {
			t.Errorf("behind the gate came %q: %v", key.ID, err)
		}
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(behind.Close)
	gate, err := s3.New(dir, behind.URL, "OWN", "own-secret", keys)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(gate)
	t.Cleanup(front.Close)
	return stand{dir: dir, sts: server.URL, gate: front.URL}
}

func (s stand) client(keys aws.Credentials) *sts.Client {
	return sts.New(sts.Options{
		Region: "eu-test-1", BaseEndpoint: &s.sts, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
	})
}

func (s stand) assume(t *testing.T, from aws.Credentials, role string) (aws.Credentials, error) {
	t.Helper()
	out, err := s.client(from).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("test")})
	if err != nil {
		return aws.Credentials{}, err
	}
	return aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: *out.Credentials.SessionToken}, nil
}

func (s stand) get(ctx context.Context, keys aws.Credentials, key string) error {
	client := awss3.New(awss3.Options{
		Region: "eu-test-1", BaseEndpoint: &s.gate, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
	})
	out, err := client.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("b"), Key: &key})
	if err != nil {
		return err
	}
	defer func() { _ = out.Body.Close() }()
	if path, err := io.ReadAll(out.Body); string(path) != "/b/"+key || err != nil {
		return errors.New("asked for " + string(path))
	}
	return nil
}

func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatal(err)
	}
	return api.ErrorCode()
}

var (
	mainKeys = aws.Credentials{AccessKeyID: "AKIAMAIN", SecretAccessKey: "main-secret"}
	lowKeys  = aws.Credentials{AccessKeyID: "AKIALOW", SecretAccessKey: "low-secret"}
)

func TestRoles(t *testing.T) {
	s := start(t)
	session, err := s.assume(t, lowKeys, backup)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := s.client(session).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *identity.Arn != "arn:aws:sts::000000000001:assumed-role/backup/test" {
		t.Errorf("%v, %v", identity, err)
	}
	if _, err := s.assume(t, session, upload); err != nil { // a role by a role
		t.Error(err)
	}
	forged, stolen := session, session
	forged.SecretAccessKey = "another"
	stolen.SessionToken = "another"
	for name, test := range map[string]struct {
		keys aws.Credentials
		role string
		want string
	}{
		"not trusted":  {lowKeys, upload, "AccessDenied"},
		"no such role": {lowKeys, "arn:aws:iam::000000000001:role/none", "AccessDenied"},
		"unknown key":  {aws.Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "x"}, backup, "InvalidClientTokenId"},
		"wrong secret": {aws.Credentials{AccessKeyID: "AKIALOW", SecretAccessKey: "x"}, backup, "SignatureDoesNotMatch"},
		"forged":       {forged, upload, "SignatureDoesNotMatch"},
		"wrong token":  {stolen, upload, "InvalidClientTokenId"},
	} {
		_, err := s.assume(t, test.keys, test.role)
		if got := code(t, err); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if _, err := s.client(session).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(upload), RoleSessionName: aws.String("test"), DurationSeconds: aws.Int32(7200)}); code(t, err) != "ValidationError" {
		t.Errorf("two hours of a chained role: %v", err)
	}
}

func token(claims map[string]any) string {
	data, _ := json.Marshal(claims)
	return "e30." + base64.RawURLEncoding.EncodeToString(data) + ".c2ln"
}

func TestWebIdentity(t *testing.T) {
	s := start(t)
	later, before := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
	ours := []string{"sts.amazonaws.com"}
	for name, test := range map[string]struct {
		token, want string
	}{
		"good":             {token(map[string]any{"sub": "system:serviceaccount:ns:app", "aud": ours, "exp": later}), ""},
		"another account":  {token(map[string]any{"sub": "system:serviceaccount:ns:default", "aud": ours, "exp": later}), "AccessDenied"},
		"another audience": {token(map[string]any{"sub": "system:serviceaccount:ns:app", "aud": []string{"vault"}, "exp": later}), "InvalidIdentityToken"},
		"expired":          {token(map[string]any{"sub": "system:serviceaccount:ns:app", "aud": ours, "exp": before}), "ExpiredTokenException"},
		"no token":         {"nonsense", "InvalidIdentityToken"},
	} {
		anonymous := sts.New(sts.Options{Region: "eu-test-1", BaseEndpoint: &s.sts, RetryMaxAttempts: 1})
		out, err := anonymous.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String(pods), RoleSessionName: aws.String("test"), WebIdentityToken: aws.String(test.token),
		})
		if got := code(t, err); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if err == nil && (*out.SubjectFromWebIdentityToken != "system:serviceaccount:ns:app" || out.Credentials == nil) {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

func TestGate(t *testing.T) {
	s := start(t)
	session, err := s.assume(t, lowKeys, backup)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "odd name/$(HOME)+ü%20'", "x//y"} {
		if err := s.get(t.Context(), session, key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	forged, bare := session, session
	forged.SecretAccessKey = "another"
	bare.SessionToken = ""
	if err := os.WriteFile(filepath.Join(s.dir, "session"), []byte("1ns\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gone, err := s.assume(t, lowKeys, backup)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		keys aws.Credentials
		want string
	}{
		"main key":      {mainKeys, ""},
		"only for STS":  {lowKeys, "AccessDenied"},
		"forged":        {forged, "SignatureDoesNotMatch"},
		"without token": {bare, "InvalidToken"},
		"expired":       {gone, "ExpiredToken"},
		"unknown":       {aws.Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "x"}, "InvalidAccessKeyId"},
	} {
		if got := code(t, s.get(t.Context(), test.keys, "a")); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	objects, err := os.ReadFile(filepath.Join(s.dir, "objects"))
	if err != nil || !strings.HasPrefix(string(objects), "arn:aws:sts::000000000001:assumed-role/backup/test GET\n") {
		t.Errorf("noted %q, %v", objects, err)
	}
}
