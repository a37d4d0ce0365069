package sts

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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
	keys, errKeys := desk.NewKeyring("AKIAMAIN:main-secret", "AKIALOW:low-secret:sts")
	own, errOwn := desk.NewKeyring("OWN:own-secret")
	provider, err := NewProvider(issuer, jwks(t))
	if err := errors.Join(errKeys, errOwn, err); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(service, dir, keys, provider, backup+" AKIAMAIN AKIALOW", upload+" "+backup, pods+" system:serviceaccount:ns:app"))
	t.Cleanup(server.Close)
	// Behind the gate: one that knows nothing but its own key.
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

const issuer = "https://kubernetes.default.svc.cluster.local"

// Keys of the cluster, and one that calls itself like its.
var clusterRSA, clusterEC, stranger = rsaKey(), ecKey(), ecKey()

func rsaKey() *rsa.PrivateKey {
	key, _ := rsa.GenerateKey(rand.Reader, 2048) // never fails
	return key
}

func ecKey() *ecdsa.PrivateKey {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails
	return key
}

// jwks is as an API server publishes it.
func jwks(t *testing.T) string {
	t.Helper()
	point, err := clusterEC.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"use":"sig","kty":"RSA","kid":"r","alg":"RS256","n":%q,"e":"AQAB"},{"use":"sig","kty":"EC","kid":"e","crv":"P-256","alg":"ES256","x":%q,"y":%q}]}`,
		encode(clusterRSA.N.Bytes()), encode(point[1:33]), encode(point[33:]))
}

// token signs claims.
func token(t *testing.T, signer crypto.Signer, kid string, claims map[string]any) string {
	t.Helper()
	header := map[string]any{"alg": "RS256", "kid": kid}
	ec, isEC := signer.(*ecdsa.PrivateKey)
	if isEC {
		header["alg"] = "ES256"
	}
	text := ""
	for _, part := range []map[string]any{header, claims} {
		data, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		text += base64.RawURLEncoding.EncodeToString(data) + "."
	}
	sum := sha256.Sum256([]byte(strings.TrimSuffix(text, ".")))
	var signature []byte
	if isEC {
		r, s, err := ecdsa.Sign(rand.Reader, ec, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	} else {
		var err error
		if signature, err = signer.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	return text + base64.RawURLEncoding.EncodeToString(signature)
}

func TestWebIdentity(t *testing.T) {
	s := start(t)
	claims := func(changes ...any) map[string]any {
		all := map[string]any{"iss": issuer, "sub": "system:serviceaccount:ns:app", "aud": []string{"sts.amazonaws.com"}, "exp": time.Now().Add(time.Hour).Unix()}
		for i := 0; i < len(changes); i += 2 {
			all[changes[i].(string)] = changes[i+1]
		}
		return all
	}
	good := token(t, clusterEC, "e", claims())
	parts := strings.Split(token(t, clusterEC, "e", claims("sub", "system:serviceaccount:ns:default")), ".")
	parts[1] = strings.Split(good, ".")[1]
	for name, test := range map[string]struct {
		token, want string
	}{
		"ES256":            {good, ""},
		"RS256":            {token(t, clusterRSA, "r", claims()), ""},
		"another account":  {token(t, clusterEC, "e", claims("sub", "system:serviceaccount:ns:default")), "AccessDenied"},
		"another audience": {token(t, clusterEC, "e", claims("aud", []string{"vault"})), "InvalidIdentityToken"},
		"another issuer":   {token(t, clusterEC, "e", claims("iss", "https://example.com")), "InvalidIdentityToken"},
		"expired":          {token(t, clusterEC, "e", claims("exp", time.Now().Add(-time.Hour).Unix())), "ExpiredTokenException"},
		"another's key":    {token(t, stranger, "e", claims()), "InvalidIdentityToken"},
		"unknown key":      {token(t, stranger, "s", claims()), "InvalidIdentityToken"},
		"changed":          {strings.Join(parts, "."), "InvalidIdentityToken"},
		"not signed":       {strings.Join(strings.Split(good, ".")[:2], ".") + ".", "InvalidIdentityToken"},
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
