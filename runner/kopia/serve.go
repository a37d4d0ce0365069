package kopia

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/kopia/kopia/cli"
)

const (
	// serveStart bounds the start of a server: it opens the repository, which derives a key and reads the index.
	serveStart = 2 * time.Minute
	// serveStop bounds its end: connections that clients have left open would hold it.
	serveStop = 10 * time.Second
	// certificateLife is longer than any run.
	certificateLife = 30 * 24 * time.Hour
)

// Serving is a repository server in this process.
type Serving struct {
	// Access for the one user that the server has, at Server.URL as reached from Options of Serve.
	Access Server

	repository *Repository
	interrupt  func(os.Signal)
	ended      chan struct{}
	stop       context.CancelFunc
	log        lastLines

	mu  sync.Mutex
	err error
}

// Serve serves the repository of options to one user, namespace's, until Close: he makes the same snapshots as a backup that opens the
// repository itself, and never holds a key of the store. address is the host (no port) that clients will use; the port is any free one.
// The repository is created if there is none. User, password and certificate are made for this server and forgotten with it; nothing
// of them is stored in the repository.
//
// kopia's server is internal to it; its command line, as a library, is the way to it.
func Serve(ctx context.Context, options Options, address, namespace string) (*Serving, error) {
	r, err := ready(ctx, options)
	if err != nil {
		return nil, err
	}

	s, err := serve(ctx, r, address, namespace)
	if err != nil {
		return nil, errors.Join(r.fail("serving", err), r.Close(ctx))
	}

	return s, nil
}

// ready makes sure that the repository exists and is described by a configuration file, and leaves it closed.
func ready(ctx context.Context, options Options) (*Repository, error) {
	r, err := OpenOrCreate(ctx, options) // tells a wrong password, and creates wholly or not at all
	if err != nil {
		return nil, err
	}

	if err := r.Close(ctx); err != nil {
		return nil, r.fail("opening", err)
	}

	if r, err = prepare(ctx, options); err != nil {
		return nil, err
	}

	if err = r.find(ctx); err == nil {
		err = r.configure(ctx)
	}

	if err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}

	return r, nil
}

func serve(ctx context.Context, r *Repository, address, namespace string) (*Serving, error) {
	certificate, key, print, err := selfSigned(address)
	if err != nil {
		return nil, err
	}

	files := map[string][]byte{"tls.crt": certificate, "tls.key": key}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(r.scratch, name), content, 0o600); err != nil {
			return nil, err
		}
	}

	s := &Serving{
		Access:     Server{Fingerprint: print, User: User, Host: namespace, Password: rand.Text()},
		repository: r, ended: make(chan struct{}),
	}

	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	app := cli.NewApp()
	program := kingpin.New("kopia", "").Terminate(nil)

	stdout, stderr, wait, interrupt := app.RunSubcommand(ctx, program, strings.NewReader(""), []string{
		"server", "start", "--address=https://0.0.0.0:0", "--config-file=" + r.config(), "--password=" + r.options.Password,
		"--tls-cert-file=" + filepath.Join(r.scratch, "tls.crt"), "--tls-key-file=" + filepath.Join(r.scratch, "tls.key"),
		"--server-username=" + s.Access.Account(), "--server-password=" + s.Access.Password,
		"--no-ui", "--no-control-api", "--no-persistent-logs", "--disable-repository-log", "--upgrade-no-block",
		"--error-notifications=never",
	})
	s.interrupt = interrupt

	started := make(chan string, 1)

	// Both end with the server, which closes its pipes.
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	go s.read(stderr, started)
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		defer close(s.ended)

		s.err = wait()
	}()

	limit := time.NewTimer(serveStart)
	defer limit.Stop()

	select {
	case port := <-started:
		s.Access.URL = "https://" + net.JoinHostPort(address, port)

		return s, nil
	case <-s.ended:
		return nil, errors.Join(errors.New("the repository server did not start: "+s.log.text()), s.err)
	case <-limit.C:
		s.halt()

		return nil, fmt.Errorf("the repository server did not start within %s: %s", serveStart, s.log.text())
	}
}

// read waits for the address, and keeps the last lines in case the server fails.
func (s *Serving) read(stderr io.Reader, started chan<- string) {
	lines := bufio.NewReader(stderr)

	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}

		s.log.add(strings.TrimSpace(line))

		if address, found := strings.CutPrefix(line, "SERVER ADDRESS: https://"); found {
			if _, port, err := net.SplitHostPort(strings.TrimSpace(address)); err == nil {
				started <- port
			}
		}
	}
}

// Close ends the server and the connections to the store. The context may be over.
func (s *Serving) Close(ctx context.Context) error {
	s.halt()

	return errors.Join(s.repository.sync(), s.repository.Close(ctx))
}

func (s *Serving) halt() {
	select {
	case <-s.ended:
	default:
		s.interrupt(os.Interrupt)

		select {
		case <-s.ended:
		case <-time.After(serveStop):
		}
	}

	s.stop()
}

// selfSigned makes a certificate that only its fingerprint vouches for.
func selfSigned(host string) (certificate, key []byte, print string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, "", err
	}

	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, "", err
	}

	now := time.Now() //nolint:forbidigo // of a certificate that clients compare with their own clocks
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "kubectl-kanister"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}

	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}

	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, "", err
	}

	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, "", err
	}

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
		fingerprint(der), nil
}

// lastLines are what the server said last.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *lastLines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if line != "" {
		l.lines = append(l.lines[max(0, len(l.lines)-4):], line)
	}
}

func (l *lastLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()

	return strings.Join(l.lines, "; ")
}
