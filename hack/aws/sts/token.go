package sts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// audience is whom a web identity's token must be for.
const audience = "sts.amazonaws.com"

// Provider is an OpenID Connect provider that IAM knows: a cluster's issuer of ServiceAccount tokens.
type Provider struct {
	issuer string
	keys   map[string]key
}

// key checks signatures of one algorithm.
type key struct {
	algorithm string
	good      func(sum, signature []byte) bool
}

// NewProvider takes the issuer and what its jwks_uri answers: keys for RS256 and ES256, as Kubernetes uses them.
func NewProvider(issuer, jwks string) (*Provider, error) {
	var set struct {
		Keys []struct{ Kty, Kid, Crv, N, E, X, Y string }
	}
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		return nil, fmt.Errorf("reading the keys of issuer %q: %w", issuer, err)
	}
	p := &Provider{issuer: issuer, keys: map[string]key{}}
	for _, one := range set.Keys {
		numbers := map[string]*big.Int{}
		for name, text := range map[string]string{"n": one.N, "e": one.E, "x": one.X, "y": one.Y} {
			data, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				return nil, fmt.Errorf("reading key %q of issuer %q: %w", one.Kid, issuer, err)
			}
			numbers[name] = new(big.Int).SetBytes(data)
		}
		switch {
		case one.Kty == "RSA":
			public := &rsa.PublicKey{N: numbers["n"], E: int(numbers["e"].Int64())}
			p.keys[one.Kid] = key{"RS256", func(sum, signature []byte) bool {
				return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum, signature) == nil
			}}
		case one.Kty == "EC" && one.Crv == "P-256":
			public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: numbers["x"], Y: numbers["y"]}
			p.keys[one.Kid] = key{"ES256", func(sum, signature []byte) bool {
				return len(signature) == 64 && ecdsa.Verify(public, sum, new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
			}}
		}
	}
	if len(p.keys) == 0 {
		return nil, fmt.Errorf("reading the keys of issuer %q: there is none for RS256 or ES256", issuer)
	}
	return p, nil
}

type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience []string `json:"aud"`
	Expires  int64    `json:"exp"`
}

var errExpired = errors.New("token expired: the token must not be expired")

// check reads a token's claims if issuer, signature and audience are right. A token that is good but old is
// errExpired.
func (p *Provider) check(token string, now time.Time) (claims, error) {
	var (
		header struct{ Alg, Kid string }
		c      claims
	)
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("the ID token provided is not a valid JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err := errors.Join(err, decode(parts[0], &header), decode(parts[1], &c)); err != nil {
		return c, fmt.Errorf("the ID token provided is not a valid JWT: %w", err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	key, known := p.keys[header.Kid]
	switch {
	case c.Issuer != p.issuer:
		return c, fmt.Errorf("no OpenIDConnect provider found in your account for %s", c.Issuer)
	case !known || header.Alg != key.algorithm:
		return c, errors.New("couldn't retrieve verification key from your identity provider")
	case !key.good(sum[:], signature):
		return c, errors.New("the ID token signature is invalid")
	case !slices.Contains(c.Audience, audience):
		return c, errors.New("incorrect token audience")
	case !now.Before(time.Unix(c.Expires, 0)):
		return c, errExpired
	}
	return c, nil
}

func decode(part string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
