// Package s3 is a gate before an S3 server that knows no temporary keys: it checks who asks, and passes the request on signed with
// the server's own keys.
package s3

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/desk"
	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/sigv4"
)

// region in which the server behind the gate thinks it is; it is asked with any.
const region = "us-east-1"

// Gate passes requests on. It notes who asked in the file "objects" of its directory: the key's owner and the method, one per line.
type Gate struct {
	keys  *desk.Keyring
	own   aws.Credentials
	dir   string
	proxy *httputil.ReverseProxy
	mu    sync.Mutex
}

// New makes the gate before the server at endpoint, which knows the key id with secret.
func New(dir, endpoint, id, secret string, keys *desk.Keyring) (*Gate, error) {
	server, err := url.Parse(endpoint)
	if err != nil || server.Host == "" {
		return nil, fmt.Errorf("reading S3_ENDPOINT: %q is no URL", endpoint)
	}
	g := &Gate{keys: keys, dir: dir, own: aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}}
	g.proxy = &httputil.ReverseProxy{
		Transport: g,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = server.Scheme, server.Host, server.Host
			for _, name := range []string{"Authorization", "X-Amz-Security-Token", "X-Amz-Date"} {
				r.Out.Header.Del(name)
			}
		},
	}
	return g, nil
}

// transport leaves bodies as they are, and headers too.
var transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 32}

// RoundTrip signs with the server's own key.
func (g *Gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := desk.Sign(r, g.own, r.Header.Get("X-Amz-Content-Sha256"), "s3", region, time.Now()); err != nil {
		return nil, err
	}
	return transport.RoundTrip(r)
}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, err := g.keys.Check(r)
	g.note(key, r.Method)
	switch {
	case errors.Is(err, desk.ErrExpired):
		refuse(w, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
	case errors.Is(err, desk.ErrToken):
		refuse(w, http.StatusBadRequest, "InvalidToken", "The provided token is malformed or otherwise invalid.")
	case errors.Is(err, sigv4.ErrMissing):
		refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied")
	case errors.Is(err, sigv4.ErrIncomplete):
		refuse(w, http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed.")
	case errors.Is(err, sigv4.ErrSkewed):
		refuse(w, http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	case errors.Is(err, sigv4.ErrWrong):
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	case err != nil:
		refuse(w, http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	case key.Only != "" && key.Only != "s3":
		refuse(w, http.StatusForbidden, "AccessDenied", "User: "+key.ARN+" is not authorized to perform this action")
	default:
		g.proxy.ServeHTTP(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

func (g *Gate) note(key desk.Key, method string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(g.dir, "objects"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = f.Close() }()
	fmt.Fprintf(f, "%s %s\n", key.ARN, method)
}
