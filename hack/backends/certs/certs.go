// Package certs makes a certificate authority and one server certificate for the backends of the test bed.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	lifetime = 365 * 24 * time.Hour
	// renewal is how long before its end a certificate is no longer good enough.
	renewal = 30 * 24 * time.Hour
)

// Bundle is what a server and its clients need, in PEM.
type Bundle struct {
	// CA is the authority's certificate, for clients.
	CA []byte
	// Cert and Key are the server's. The authority's key is not kept: a new certificate comes with a new authority.
	Cert, Key []byte
}

// New makes an authority and a certificate for names, each a DNS name or an IP address.
func New(now time.Time, names ...string) (Bundle, error) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubectl-kanister test bed"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, n)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Bundle{}, fmt.Errorf("making key of authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Bundle{}, fmt.Errorf("making key: %w", err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return Bundle{}, fmt.Errorf("signing authority: %w", err)
	}
	// The parsed form has the key identifier that the server's certificate refers to.
	if ca, err = x509.ParseCertificate(caDER); err != nil {
		return Bundle{}, fmt.Errorf("reading authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, server, ca, key.Public(), caKey)
	if err != nil {
		return Bundle{}, fmt.Errorf("signing certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Bundle{}, fmt.Errorf("encoding key: %w", err)
	}
	return Bundle{
		CA:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

// Check says why the bundle does not serve all names for another month, nil when it does.
func (b Bundle) Check(now time.Time, names ...string) error {
	block, _ := pem.Decode(b.Cert)
	if block == nil {
		return errors.New("there is no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("reading certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.CA)
	for _, n := range names {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: n, CurrentTime: now.Add(renewal)}); err != nil {
			return fmt.Errorf("verifying certificate: %w", err)
		}
	}
	return nil
}
