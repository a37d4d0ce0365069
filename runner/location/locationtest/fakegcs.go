package locationtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// GCS is a fake-gcs-server process, which speaks the API of Google Cloud Storage and asks for no credentials.
type GCS struct {
	Endpoint string // https://127.0.0.1:port, or http://
	CA       string // PEM; empty for plain http
	dir      string
}

// FakeGCS starts a server over TLS and stops it when the test ends. Buckets are directories: see Bucket.
func FakeGCS(tb testing.TB) *GCS { return startGCS(tb, true) }

// FakeGCSPlain starts a server over plain http.
func FakeGCSPlain(tb testing.TB) *GCS { return startGCS(tb, false) }

func startGCS(tb testing.TB, encrypted bool) *GCS {
	tb.Helper()

	binary := Binary(tb, "fake-gcs-server-v1.56.1", "hack/image/build/fakegcs", "github.com/fsouza/fake-gcs-server")
	work := tb.TempDir()
	s := &GCS{dir: filepath.Join(work, "data")}

	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		tb.Fatal(err)
	}

	address := freeAddress(tb)
	host, port := addressParts(tb, address)
	// Objects are read at HOST/BUCKET/OBJECT, uploads go on at the URL that the server gives.
	args := []string{"-host", host, "-backend", "filesystem", "-filesystem-root", s.dir, "-public-host", address, "-log-level", "warn"}

	if encrypted {
		s.CA = certificate(tb, work)
		s.Endpoint = "https://" + address
		args = append(args, "-scheme", "https", "-port", port, "-cert-location", filepath.Join(work, "tls.crt"), "-private-key-location", filepath.Join(work, "tls.key"))
	} else {
		s.Endpoint = "http://" + address
		args = append(args, "-scheme", "http", "-port", port)
	}

	serve(tb, work, address, binary, append(args, "-external-url", s.Endpoint)...)

	return s
}

// Bucket makes a bucket.
func (s *GCS) Bucket(tb testing.TB, name string) {
	tb.Helper()

	if err := os.MkdirAll(filepath.Join(s.dir, name), 0o755); err != nil {
		tb.Fatal(err)
	}
}

// Profile is one that reaches bucket on the server with the key of a service account, with the CA given.
func (s *GCS) Profile(bucket, prefix, key string) *params.Profile {
	return &params.Profile{
		Name:       "test",
		Location:   blueprint.Location{Type: blueprint.LocationGCS, Bucket: bucket, Endpoint: s.Endpoint, Prefix: prefix},
		Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "project", Secret: key}},
		CABundle:   s.CA,
	}
}
