package desk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Account is the one that all identities belong to.
const Account = "000000000001"

// Reasons for which a request is refused before it is looked at.
var (
	ErrUnsigned = errors.New("the request is not signed")
	ErrStranger = errors.New("nobody knows the key")
	ErrForged   = errors.New("the signature is not that of the key")
	ErrToken    = errors.New("the session token is not that of the key")
	ErrExpired  = errors.New("the key has expired")
)

// Key is what an identity signs with.
type Key struct {
	ID string
	// Secret with which requests must be signed; empty: the signature is not looked at.
	Secret string
	// Token and Expires are of temporary keys.
	Token   string
	Expires time.Time
	// ARN of who has it.
	ARN string
	// Trusted is how trust policies name who has it: by the key's id, or the role's ARN.
	Trusted string
	// Only is the one service that may be asked with it; empty: all.
	Only string
}

// Keyring knows all keys.
type Keyring struct {
	mu   sync.Mutex
	keys map[string]Key
}

// NewKeyring has keys that are there from the beginning: each is ID, ID:SECRET or ID:SECRET:SERVICE.
func NewKeyring(words ...string) *Keyring {
	k := &Keyring{keys: map[string]Key{}}
	for _, word := range words {
		parts := append(strings.SplitN(word, ":", 3), "", "")
		k.keys[parts[0]] = Key{
			ID: parts[0], Secret: parts[1], Only: parts[2], Trusted: parts[0], ARN: fmt.Sprintf("arn:aws:iam::%s:user/%s", Account, parts[0]),
		}
	}
	return k
}

// Issue makes a temporary key for a session of a role.
func (k *Keyring) Issue(role, session string, expires time.Time) Key {
	name := role[strings.LastIndex(role, "/")+1:]
	key := Key{
		ID: "ASIA" + strings.ToUpper(random(8)), Secret: random(20), Token: "session-" + random(60), Expires: expires,
		ARN: fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", Account, name, session), Trusted: role,
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[key.ID] = key
	return key
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Check tells whose request it is, or which of the errors above holds. It reads the body and puts it back, unless the request says
// itself what its body's hash is.
func (k *Keyring) Check(r *http.Request) (Key, error) {
	id, region, service := ServiceOf(r)
	if id == "" {
		return Key{}, ErrUnsigned
	}
	k.mu.Lock()
	key, known := k.keys[id]
	k.mu.Unlock()
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return Key{}, fmt.Errorf("reading the request: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		sum := sha256.Sum256(body)
		payload = hex.EncodeToString(sum[:])
	}
	switch {
	case !known:
		return Key{}, ErrStranger
	case key.Token != r.Header.Get("X-Amz-Security-Token"):
		return Key{}, ErrToken
	case key.Secret != "" && !signedWith(key, r, payload, region, service):
		return Key{}, ErrForged
	case !key.Expires.IsZero() && time.Now().After(key.Expires):
		return Key{}, ErrExpired
	}
	return key, nil
}

// signedWith signs the request again and compares.
func signedWith(key Key, r *http.Request, payload, region, service string) bool {
	authorization := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(authorization, "SignedHeaders=")
	list, _, _ := strings.Cut(rest, ",")
	names := strings.Split(list, ";")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || !slices.Contains(names, "host") {
		return false
	}
	again := &http.Request{
		Method: r.Method, Host: r.Host, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: r.Host, Path: cmp.Or(r.URL.Path, "/"), RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery},
	}
	for _, name := range names {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	err = Sign(again, aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret, SessionToken: key.Token}, payload, service, region, at)
	return err == nil && again.Header.Get("Authorization") == authorization
}

// Sign signs a request as AWS's clients do.
func Sign(r *http.Request, keys aws.Credentials, payload, service, region string, at time.Time) error {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	return signer.SignHTTP(context.WithoutCancel(r.Context()), keys, r, payload, service, region, at)
}
