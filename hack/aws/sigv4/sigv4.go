// Package sigv4 checks AWS's Signature Version 4 in the header Authorization, as AWS documents it ("Create a signed AWS API request").
// Clients in the tests are AWS's own SDK, which shares no code with it.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	stamp     = "20060102T150405Z"
	// skew is how far a request's time may be from the server's.
	skew = 15 * time.Minute
)

// Reasons why a signature is not taken. Services have different codes for them.
var (
	ErrMissing    = errors.New("the request is not signed")
	ErrIncomplete = errors.New("the signature is incomplete")
	ErrSkewed     = errors.New("the difference between the request time and the current time is too large")
	ErrWrong      = errors.New("the request signature we calculated does not match the signature you provided")
)

// Signature is what a request says of its signature. Nothing of it is checked before Check.
type Signature struct {
	KeyID, Date, Region, Service string
	// Token is the session token, if there is one.
	Token string

	headers []string
	given   string
}

// Parse reads a request's signature. Errors are of ErrMissing and ErrIncomplete.
func Parse(r *http.Request) (Signature, error) {
	text := r.Header.Get("Authorization")
	if text == "" {
		return Signature{}, ErrMissing
	}
	rest, ok := strings.CutPrefix(text, algorithm+" ")
	if !ok {
		return Signature{}, fmt.Errorf("%w: the algorithm is not %s", ErrIncomplete, algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/") // key/date/region/service/aws4_request
	if len(scope) != 5 || scope[4] != "aws4_request" || fields["SignedHeaders"] == "" || fields["Signature"] == "" {
		return Signature{}, fmt.Errorf("%w: Credential, SignedHeaders and Signature are needed", ErrIncomplete)
	}
	return Signature{
		KeyID: scope[0], Date: scope[1], Region: scope[2], Service: scope[3], Token: r.Header.Get("X-Amz-Security-Token"),
		headers: strings.Split(fields["SignedHeaders"], ";"), given: fields["Signature"],
	}, nil
}

// Check compares the signature with that of secret, for a body of this SHA-256 in hexadecimal (of S3, what X-Amz-Content-Sha256 says).
// Errors are of ErrIncomplete, ErrSkewed and ErrWrong.
func (s Signature) Check(r *http.Request, secret, body string, now time.Time) error {
	at, err := time.Parse(stamp, r.Header.Get("X-Amz-Date"))
	switch {
	case err != nil || at.Format("20060102") != s.Date:
		return fmt.Errorf("%w: X-Amz-Date is %q, the scope's date %q", ErrIncomplete, r.Header.Get("X-Amz-Date"), s.Date)
	case now.Sub(at).Abs() > skew:
		return fmt.Errorf("%w: it is of %s", ErrSkewed, at.Format(stamp))
	}
	for _, name := range []string{"host", "x-amz-date", "x-amz-security-token"} {
		if given := name == "host" || r.Header.Get(name) != ""; given && !slices.Contains(s.headers, name) {
			return fmt.Errorf("%w: the header %s is not signed", ErrIncomplete, name)
		}
	}
	canonical := s.canonical(r, body)
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{algorithm, at.Format(stamp), strings.Join([]string{s.Date, s.Region, s.Service, "aws4_request"}, "/"), hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(s.given)) {
		return fmt.Errorf("%w; the canonical string should have been %q", ErrWrong, canonical)
	}
	return nil
}

// canonical is the request as it is signed.
func (s Signature) canonical(r *http.Request, body string) string {
	path := r.URL.EscapedPath()
	if s.Service != "s3" { // whose keys may hold anything; the others sign the path encoded once more
		path = encode(path, true)
	}
	if path == "" {
		path = "/"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, path, query(r.URL.Query()))
	for _, name := range s.headers {
		fmt.Fprintf(&b, "%s:%s\n", name, header(r, name))
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(s.headers, ";"), body)
	return b.String()
}

func header(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		values = []string{r.Host}
	case name == "content-length" && len(values) == 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	trimmed := []string{}
	for _, value := range values {
		trimmed = append(trimmed, strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(trimmed, ",")
}

func query(values url.Values) string {
	pairs := []string{}
	for name, all := range values {
		for _, value := range all {
			pairs = append(pairs, encode(name, false)+"="+encode(value, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// encode is AWS's encoding of URIs: everything but letters, digits and -._~ (and slashes, if they are to stay).
func encode(text string, slashes bool) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, slashes && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
