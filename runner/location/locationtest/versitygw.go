// Package locationtest holds what tests of object stores need: a real S3 server over TLS with a CA of its own, and the conformance
// suite that every location passes.
package locationtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// Keys of the server's only user.
const (
	AccessKey = "testaccess"
	SecretKey = "testsecret-with'quote"
)

// Server is a versitygw process. Objects are plain files: Dir/<bucket>/<key>.
type Server struct {
	Endpoint string // https://127.0.0.1:port, or http://
	CA       string // PEM; empty for plain http
	Dir      string
	Pid      int
}

// Versitygw starts a server over TLS and stops it when the test ends. Buckets are directories: see Bucket.
func Versitygw(tb testing.TB) *Server { return start(tb, true) }

// VersitygwPlain starts a server over plain http.
func VersitygwPlain(tb testing.TB) *Server { return start(tb, false) }

func start(tb testing.TB, encrypted bool) *Server {
	tb.Helper()

	binary := Binary(tb, "versitygw-v1.8.0", "hack/image/build/versitygw", "github.com/versity/versitygw/cmd/versitygw")
	work := tb.TempDir()
	s := &Server{Dir: filepath.Join(work, "data")}

	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		tb.Fatal(err)
	}

	address := freeAddress(tb)
	args := []string{"--port", address, "--access", AccessKey, "--secret", SecretKey, "--quiet", "--keep-alive"}
	s.Endpoint = "http://" + address

	if encrypted {
		s.Endpoint = "https://" + address
		s.CA = certificate(tb, work)
		args = append(args, "--cert", filepath.Join(work, "tls.crt"), "--key", filepath.Join(work, "tls.key"))
	}

	s.Pid = serve(tb, work, address, binary, append(args, "posix", s.Dir)...)

	return s
}

// Bucket makes a bucket.
func (s *Server) Bucket(tb testing.TB, name string) {
	tb.Helper()

	if err := os.MkdirAll(filepath.Join(s.Dir, name), 0o755); err != nil {
		tb.Fatal(err)
	}
}

// Profile is one that reaches bucket on the server, with the CA given.
func (s *Server) Profile(bucket, prefix string) *params.Profile {
	return &params.Profile{
		Name:     "test",
		Location: blueprint.Location{Type: blueprint.LocationS3, Bucket: bucket, Endpoint: s.Endpoint, Prefix: prefix, Region: "us-east-1"},
		Credential: params.Credential{
			Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: AccessKey, Secret: SecretKey},
		},
		CABundle: s.CA,
	}
}

// Filestore is a profile for a directory; open it with location.At.
func Filestore(prefix string) *params.Profile {
	return &params.Profile{
		Name:     "test",
		Location: blueprint.Location{Type: blueprint.LocationFilestore, ClaimName: "backups", Prefix: prefix},
	}
}
