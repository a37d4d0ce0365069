package kopia

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/content"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// Server is access to a kopia repository server, whose repository is then used through it.
type Server struct {
	// URL of the server: https://host:port.
	URL string `json:"url"`
	// Fingerprint is the hex SHA-256 of the server's certificate (DER); no other certificate is accepted.
	Fingerprint string `json:"fingerprint"`
	// User, Host and Password are a user of the server: it knows him as User@Host, and shows him the snapshots of that source only.
	User     string `json:"user"`
	Host     string `json:"host"`
	Password string `json:"password"`
	// ContentCacheMB and MetadataCacheMB bound the client's caches on disk; 0 means the default.
	ContentCacheMB  int `json:"contentCacheMB,omitempty"`
	MetadataCacheMB int `json:"metadataCacheMB,omitempty"`
}

// Account is the user as the server knows him.
func (s *Server) Account() string { return s.User + "@" + s.Host }

// ServerOf is access to a resolved repository server (COMPAT §4.29) as its user of that hostname; an empty one means the first, in
// order, of those that have a password.
func ServerOf(rs *params.RepositoryServer, hostname string) (*Server, error) {
	bad := func(hint, format string, args ...any) error {
		return &location.Error{
			Op: "using RepositoryServer", URL: strings.TrimPrefix(rs.Namespace+"/"+rs.Name, "/"), Reason: location.BadProfile, Hint: hint, Err: fmt.Errorf(format, args...),
		}
	}

	users := rs.Credentials.ServerUserAccess
	hostnames := slices.Sorted(maps.Keys(users.Data))

	if hostname == "" && len(hostnames) > 0 {
		hostname = hostnames[0]
	}

	password, known := users.Data[hostname]
	if !known || len(password) == 0 {
		return nil, bad("correct repositoryServerUserHostname, or add the hostname and its password to the Secret",
			"Secret %q has no password for the hostname %q; it has %s", users.Namespace+"/"+users.Name, hostname, strings.Join(hostnames, ", "))
	}

	print, err := Fingerprint(rs.Credentials.ServerTLS.Data["tls.crt"])
	if err != nil {
		return nil, bad("put the server's certificate there, as PEM", "Secret %q, key tls.crt: %w", rs.Credentials.ServerTLS.Namespace+"/"+rs.Credentials.ServerTLS.Name, err)
	}

	return &Server{
		URL: rs.Address, Fingerprint: print, User: rs.Username, Host: hostname, Password: string(password),
		ContentCacheMB: rs.ContentCacheMB, MetadataCacheMB: rs.MetadataCacheMB,
	}, nil
}

// ServerOfProfile is access to the server that a profile with a location of type kopia names (COMPAT §1.5).
func ServerOfProfile(p *params.Profile) (*Server, error) {
	access := p.Credential.KopiaServerSecret
	if access == nil {
		return nil, &location.Error{
			Op: "using profile", URL: p.Name, Reason: location.BadProfile, Hint: "give it a credential of type kopia", Err: errors.New("its location is a kopia server, and it has no credential for one"),
		}
	}

	print, err := Fingerprint([]byte(access.Cert))
	if err != nil {
		return nil, &location.Error{Op: "using profile", URL: p.Name, Reason: location.BadProfile, Hint: "put the server's certificate there, as PEM", Err: fmt.Errorf("credential.kopiaServerSecret.cert: %w", err)}
	}

	// Megabytes, by upstream's names.
	return &Server{
		URL: p.Location.Endpoint, Fingerprint: print, User: access.Username, Host: access.Hostname, Password: access.Password,
		ContentCacheMB: access.ConnectOptions["dataStoreGeneralContentCacheSize"], MetadataCacheMB: access.ConnectOptions["dataStoreGeneralMetadataCacheSize"],
	}, nil
}

// Fingerprint is the hex SHA-256 of the first certificate in PEM (tls.crt of a TLS Secret).
func Fingerprint(certificate []byte) (string, error) {
	for rest := certificate; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return "", errors.New("there is no PEM certificate in it")
		}

		if block.Type != "CERTIFICATE" {
			continue
		}

		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", err
		}

		return fingerprint(block.Bytes), nil
	}
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)

	return hex.EncodeToString(sum[:])
}

// probe reaches the server and compares its certificate; it does not log in. kopia's own client would say neither which of the
// two was wrong, nor so within a bound (limit).
func (s *Server) probe(ctx context.Context, limit time.Duration) error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" {
		return &location.Error{Reason: location.BadProfile, Hint: "write it as https://HOST:PORT", Err: fmt.Errorf("the address %q is no server's", s.URL)}
	}

	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	dialer := &tls.Dialer{Config: &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // the certificate is pinned
		MinVersion:         tls.VersionTLS12,
		VerifyConnection: func(state tls.ConnectionState) error {
			return s.pinned(state.PeerCertificates[0].Raw)
		},
	}}

	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), u.Port()))
	if err != nil {
		return err
	}

	return conn.Close()
}

func (s *Server) pinned(der []byte) error {
	if found := fingerprint(der); !strings.EqualFold(found, s.Fingerprint) {
		return &location.Error{
			Reason: location.TLS, Hint: "take the tls.crt that the server runs with; if nobody has changed it, somebody else answers at this address",
			Err: fmt.Errorf("the server's certificate has the fingerprint %s, expected %s", found, s.Fingerprint),
		}
	}

	return nil
}

// openServer opens the repository of options.Server. It must exist: a server has one.
func openServer(ctx context.Context, options Options) (*Repository, error) {
	s := options.Server
	r := &Repository{options: options, place: s.URL, sync: func() error { return nil }}

	if err := s.probe(ctx, options.bounds().answer); err != nil {
		return nil, r.fail("opening", err)
	}

	var err error
	if r.scratch, err = os.MkdirTemp(options.Scratch, "kopia-"); err != nil {
		return nil, fmt.Errorf("making a scratch directory: %w", err)
	}

	text, err := json.Marshal(repo.LocalConfig{
		APIServer:     &repo.APIServerInfo{BaseURL: s.URL, TrustedServerCertificateFingerprint: strings.ToLower(s.Fingerprint)},
		Caching:       s.caching(r.scratch),
		ClientOptions: repo.ClientOptions{Username: s.User, Hostname: s.Host, Description: r.place},
	})
	if err != nil {
		return nil, r.fail("opening", err)
	}

	if err := os.WriteFile(r.config(), text, 0o600); err != nil {
		return nil, errors.Join(r.fail("opening", err), r.Close(ctx))
	}

	r.rep, err = r.login(ctx)
	if err != nil {
		return nil, errors.Join(r.fail("opening", s.refused(err)), r.Close(ctx))
	}

	return r, nil
}

// login is bounded: a server that accepts connections and then says nothing would hold kopia's client for ever.
func (r *Repository) login(ctx context.Context) (repo.Repository, error) {
	type result struct {
		rep repo.Repository
		err error
	}

	ended := make(chan result, 1)

	go func() { // ends with the connection, at the latest with this process
		rep, err := repo.Open(ctx, r.config(), r.options.Server.Password, &repo.Options{DisableRepositoryLog: true, OnFatalError: r.setFatal})
		ended <- result{rep, err}
	}()

	limit := time.NewTimer(r.options.bounds().login)
	defer limit.Stop()

	select {
	case opened := <-ended:
		return opened.rep, opened.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-limit.C:
		return nil, silent(r.options.bounds().login)
	}
}

func (s *Server) caching(scratch string) *content.CachingOptions {
	return &content.CachingOptions{
		CacheDirectory:         filepath.Join(scratch, "cache"),
		ContentCacheSizeBytes:  megabytes(s.ContentCacheMB, 64),
		MetadataCacheSizeBytes: megabytes(s.MetadataCacheMB, 512),
	}
}

func megabytes(given, otherwise int) int64 {
	if given <= 0 {
		given = otherwise
	}

	return int64(given) << 20
}

// refused words what a server answers to a user that it does not know. kopia passes the status on as text.
func (s *Server) refused(err error) error {
	if !strings.Contains(err.Error(), "PermissionDenied") {
		return err
	}

	return &location.Error{
		Reason: location.WrongKey, Hint: "check the user's name, his hostname (repositoryServerUserHostname) and his password; the server must have this user (kopia server user list)",
		Err: fmt.Errorf("the server does not let %q in: its user or password is wrong", s.Account()),
	}
}
