package location_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
)

// TestGCSConforms: over TLS with the token of a service account, and without both.
func TestGCSConforms(t *testing.T) {
	tokens := newTokenServer(t)

	for bucket, start := range map[string]func(testing.TB) *locationtest.GCS{
		"prefixed": locationtest.FakeGCS, "bare": locationtest.FakeGCSPlain,
	} {
		t.Run(bucket, func(t *testing.T) {
			s := start(t)
			s.Bucket(t, bucket)

			store, err := location.Open(t.Context(), s.Profile(bucket, prefixes[bucket], tokens.key(tokens.private)))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close() // nothing waits for it

			locationtest.Conformance(t, store)
		})
	}

	if tokens.given == 0 {
		t.Error("nobody asked for a token")
	}
}

// TestGCSSaysWhy: reasons of failures that a user can mend.
func TestGCSSaysWhy(t *testing.T) {
	tokens := newTokenServer(t)
	server := locationtest.FakeGCS(t)
	server.Bucket(t, "there")

	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}

	for name, test := range map[string]struct {
		bucket, key string
		want        location.Reason
	}{
		"works":            {"there", tokens.key(tokens.private), ""},
		"no bucket":        {"nowhere", tokens.key(tokens.private), location.NoBucket},
		"another's key":    {"there", tokens.key(other), location.WrongKey},
		"no JSON":          {"there", "AKIA", location.BadProfile},
		"no private key":   {"there", strings.ReplaceAll(tokens.key(tokens.private), "BEGIN", "START"), location.BadProfile},
		"empty":            {"there", " ", location.BadProfile},
		"not of a service": {"there", `{"type": "authorized_user", "client_id": "x", "client_secret": "y", "refresh_token": "z"}`, location.BadProfile},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := location.Open(t.Context(), server.Profile(test.bucket, "", test.key))
			if err == nil {
				_, err = location.Check(t.Context(), store)
			}

			if got := location.ReasonOf(err); got != test.want {
				t.Errorf("reason %q of %v, want %q", got, err, test.want)
			}

			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY") {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
}

// tokenServer gives tokens to one service account, as Google's does.
type tokenServer struct {
	url     string
	private *rsa.PrivateKey
	given   int
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()

	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}

	s := &tokenServer{private: private}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")

		assertion := r.FormValue("assertion")
		signed, signature, _ := cutLast(assertion, ".")
		raw, err := base64.RawURLEncoding.DecodeString(signature)
		sum := sha256.Sum256([]byte(signed))

		if err == nil {
			err = rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, sum[:], raw)
		}

		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}`)

			return
		}

		s.given++

		fmt.Fprint(w, `{"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}`)
	}))
	t.Cleanup(server.Close)

	s.url = server.URL

	return s
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}

	return text[:at], text[at+len(separator):], true
}

// key is the JSON of the service account, with a private key that may be another's.
func (s *tokenServer) key(private *rsa.PrivateKey) string {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}

	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "project", "client_email": "backup@project.iam.example.com", "token_uri": s.url,
		"private_key_id": "1", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		panic(err)
	}

	return string(text)
}
