package location_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// TestCheckSaysWhy makes every mistake of `profile create` against a real server.
func TestCheckSaysWhy(t *testing.T) {
	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	_ = closed.Close()

	plain := locationtest.VersitygwPlain(t)

	for name, c := range map[string]struct {
		spoil  func(*params.Profile)
		reason location.Reason
		text   string // in the message
	}{
		"sound":          {spoil: func(*params.Profile) {}},
		"skip verify":    {spoil: func(p *params.Profile) { p.CABundle, p.SkipSSLVerify = "", true }},
		"no region":      {spoil: func(p *params.Profile) { p.Location.Region = "" }},
		"trailing slash": {spoil: func(p *params.Profile) { p.Location.Endpoint += "//" }},
		"no scheme":      {spoil: func(p *params.Profile) { p.Location.Endpoint = strings.TrimPrefix(p.Location.Endpoint, "https://") }},
		"unknown key":    {spoil: func(p *params.Profile) { p.Credential.KeyPair.ID = "nobody" }, reason: location.WrongKey},
		"wrong secret":   {spoil: func(p *params.Profile) { p.Credential.KeyPair.Secret = "wrong" }, reason: location.WrongKey},
		"no secret":      {spoil: func(p *params.Profile) { p.Credential.KeyPair.Secret = "" }, reason: location.BadProfile, text: "secret access key"},
		"no bucket":      {spoil: func(p *params.Profile) { p.Location.Bucket = "other" }, reason: location.NoBucket, text: "s3://other"},
		"empty bucket":   {spoil: func(p *params.Profile) { p.Location.Bucket = "" }, reason: location.BadProfile, text: "location.bucket"},
		"CA not trusted": {spoil: func(p *params.Profile) { p.CABundle = "" }, reason: location.TLS},
		"CA is no PEM":   {spoil: func(p *params.Profile) { p.CABundle = "x" }, reason: location.BadProfile, text: "caBundle"},
		"http to TLS port": {spoil: func(p *params.Profile) {
			p.Location.Endpoint = strings.Replace(p.Location.Endpoint, "https", "http", 1)
		}, reason: location.Unreachable},
		"https to http port": {spoil: func(p *params.Profile) { p.Location.Endpoint = strings.Replace(plain.Endpoint, "http", "https", 1) }, reason: location.TLS},
		"no such host":       {spoil: func(p *params.Profile) { p.Location.Endpoint = "https://s3.invalid" }, reason: location.DNS},
		"nobody listens":     {spoil: func(p *params.Profile) { p.Location.Endpoint = "https://" + closed.Addr().String() }, reason: location.Unreachable},
		"endpoint is no URL": {spoil: func(p *params.Profile) { p.Location.Endpoint = "ftp://x" }, reason: location.BadProfile, text: "location.endpoint"},
		"unknown type":       {spoil: func(p *params.Profile) { p.Location.Type = "tape" }, reason: location.BadProfile, text: "location.type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			profile := server.Profile("backups", "")
			c.spoil(profile)

			// A broken profile must be told within seconds, retries included.
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()

			store, err := location.Open(ctx, profile, location.Attempts(2))
			if err == nil {
				_, err = location.Check(ctx, store)
			}

			reason, hint := location.Explain(err)
			if reason != c.reason {
				t.Fatalf("reason %q, want %q: %v", reason, c.reason, err)
			}

			if err != nil && (hint == "" || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("message %q (hint %q) should contain %q and be one line", err, hint, c.text)
			}

			if err != nil && strings.Contains(err.Error(), locationtest.SecretKey) {
				t.Errorf("the message shows the secret: %q", err)
			}
		})
	}
}

// TestCodes covers answers that a test server does not give.
func TestCodes(t *testing.T) {
	for code, c := range map[string]struct {
		status int
		reason location.Reason
	}{
		"RequestTimeTooSkewed":  {403, location.ClockSkew},
		"AccessDenied":          {403, location.AccessDenied},
		"ExpiredToken":          {400, location.WrongKey},
		"PermanentRedirect":     {301, location.WrongRegion},
		"XMinioStorageFull":     {507, location.NoSpace},
		"SignatureDoesNotMatch": {403, location.WrongKey},
	} {
		t.Run(code, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(`<?xml version="1.0"?><Error><Code>` + code + `</Code><Message>because</Message></Error>`))
			}))
			defer server.Close()

			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()

			store, err := location.Open(ctx, &params.Profile{
				Location:   blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Endpoint: server.URL},
				Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "a", Secret: "b"}},
			})
			if err != nil {
				t.Fatal(err)
			}

			steps, err := location.Check(ctx, store)
			if got := location.ReasonOf(err); got != c.reason || len(steps) != 1 || steps[0].Name != "put" || steps[0].OK {
				t.Errorf("reason %q, want %q; steps %+v: %v", got, c.reason, steps, err)
			}
		})
	}
}

func TestFilestoreReasons(t *testing.T) {
	_, err := location.Open(t.Context(), locationtest.Filestore(""), location.At(filepath.Join(t.TempDir(), "absent")))
	if got := location.ReasonOf(err); got != location.NoBucket {
		t.Errorf("reason %q: %v", got, err)
	}

	// A link out of the directory must not lead out of it.
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}

	store, err := location.Open(t.Context(), locationtest.Filestore(""), location.At(dir))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := store.Put(t.Context(), "link/x", strings.NewReader("x")); err == nil {
		t.Error("wrote through a symbolic link that leads out of the directory")
	}
}
