package desk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/sigv4"
)

// Account is the one that all identities belong to.
const Account = "000000000001"

// Reasons for which a request is refused before it is looked at, beside those of package sigv4.
var (
	ErrStranger = errors.New("nobody knows the key")
	ErrToken    = errors.New("the session token is not that of the key")
	ErrExpired  = errors.New("the key has expired")
)

// Key is what an identity signs with.
type Key struct {
	ID string
	// Secret with which requests must be signed.
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

// NewKeyring has keys that are there from the beginning: each is ID:SECRET or ID:SECRET:SERVICE.
func NewKeyring(words ...string) (*Keyring, error) {
	k := &Keyring{keys: map[string]Key{}}
	for _, word := range words {
		parts := append(strings.SplitN(word, ":", 3), "", "")
		if parts[0] == "" || parts[1] == "" {
			return nil, fmt.Errorf("reading KEY_IDS: %q is neither ID:SECRET nor ID:SECRET:SERVICE", word)
		}
		k.keys[parts[0]] = Key{
			ID: parts[0], Secret: parts[1], Only: parts[2], Trusted: parts[0], ARN: fmt.Sprintf("arn:aws:iam::%s:user/%s", Account, parts[0]),
		}
	}
	return k, nil
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

// Check tells whose request it is, or which of the errors above or of package sigv4 holds. It reads the body and puts it back, unless the
// request is for S3, where it says itself what its body's hash is, and who keeps the object checks that.
func (k *Keyring) Check(r *http.Request) (Key, error) {
	signature, err := sigv4.Parse(r)
	if err != nil {
		return Key{}, err
	}
	k.mu.Lock()
	key, known := k.keys[signature.KeyID]
	k.mu.Unlock()
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if signature.Service != "s3" {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
		if err != nil {
			return Key{}, fmt.Errorf("reading the request: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		payload = hashOf(string(body))
	}
	switch {
	case !known:
		return Key{}, ErrStranger
	case key.Token != signature.Token:
		return Key{}, ErrToken
	}
	now := time.Now()
	if err := signature.Check(r, key.Secret, payload, now); err != nil {
		return Key{}, err
	}
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return Key{}, ErrExpired
	}
	return key, nil
}

// Sign signs a request as AWS's clients do.
func Sign(r *http.Request, keys aws.Credentials, payload, service, region string, at time.Time) error {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	return signer.SignHTTP(context.WithoutCancel(r.Context()), keys, r, payload, service, region, at)
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}
