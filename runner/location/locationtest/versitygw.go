// Package locationtest holds what tests of object stores need: a real S3 server over TLS with a CA of its own, and the conformance
// suite that every location passes.
package locationtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

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

	log, err := os.Create(filepath.Join(work, "log"))
	if err != nil {
		tb.Fatal(err)
	}

	cmd := exec.Command(binary, append(args, "posix", s.Dir)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}

	s.Pid = cmd.Process.Pid

	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})

	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = connection.Close()

			return s
		}

		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			tb.Fatalf("versitygw does not listen on %s: %v\n%s", address, err, text)
		}
	}
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

// Binary returns the path of a program in the project's cache, building it from the module in dir (relative to the checkout) if
// it is not there. The same file is used by the test bed in hack/.
func Binary(tb testing.TB, name, dir, pkg string) string {
	tb.Helper()

	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}

	target := filepath.Join(cache, "kubectl-kanister", "bin", name)
	if _, err := os.Stat(target); err == nil {
		return target
	}

	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		tb.Fatal(err)
	}

	lock, err := os.OpenFile(target+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	defer lock.Close() // a lock file

	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		tb.Fatal(err)
	}

	if _, err := os.Stat(target); err == nil {
		return target
	}

	tb.Logf("building %s", name)

	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", target+".new", pkg)
	cmd.Dir = filepath.Join(checkout(tb), dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")

	if output, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building %s: %v\n%s", name, err, output)
	}

	if err := os.Rename(target+".new", target); err != nil {
		tb.Fatal(err)
	}

	return target
}

// checkout finds the root of the project above the working directory.
func checkout(tb testing.TB) string {
	tb.Helper()

	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}

	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}

	tb.Fatal("no go.mod above the working directory")

	return ""
}

func freeAddress(tb testing.TB) string {
	tb.Helper()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close() // only its number was wanted

	return l.Addr().String()
}

// certificate writes tls.crt and tls.key for 127.0.0.1 into dir and returns the CA.
func certificate(tb testing.TB, dir string) string {
	tb.Helper()

	ca, caKey, caPEM := sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, nil, nil)
	_, key, certPEM := sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "s3"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, ca, caKey)

	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}

	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for name, content := range map[string][]byte{"tls.crt": certPEM, "tls.key": keyPEM, "ca.crt": caPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}

	return string(caPEM)
}

func sign(tb testing.TB, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	tb.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}

	if parent == nil {
		parent, parentKey = template, key
	}

	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		tb.Fatal(err)
	}

	made, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(fmt.Errorf("parsing the certificate just made: %w", err))
	}

	return made, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
