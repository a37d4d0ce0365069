package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var keys = aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "s3cret/+", SessionToken: "t0ken=="}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// The example of AWS's documentation ("Signature Version 4 signing process", GET with query parameters of IAM).
func TestTheExampleOfTheDocumentation(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, "+
		"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
	s, err := Parse(r)
	if err != nil || s.KeyID != "AKIDEXAMPLE" || s.Region != "us-east-1" || s.Service != "iam" {
		t.Fatalf("%+v %v", s, err)
	}
	at := time.Date(2015, 8, 30, 12, 40, 0, 0, time.UTC)
	if err := s.Check(r, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", hash(""), at); err != nil {
		t.Error(err)
	}
	if err := s.Check(r, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", hash(""), at.Add(time.Hour)); !errors.Is(err, ErrSkewed) {
		t.Errorf("an hour later: %v", err)
	}
}

// What AWS's SDK signs goes over the network and is checked there, whatever is in path, query and headers.
func TestWhatTheSDKSigns(t *testing.T) {
	for name, test := range map[string]struct {
		method, path, body, service string
		headers                     map[string]string
		change                      func(*http.Request)
		want                        error
	}{
		"form":        {method: "POST", path: "/", body: "Action=X&Version=1", service: "rds", headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		"object":      {method: "PUT", path: "/bucket/odd%20name/%24%28HOME%29%2B%C3%BC%2520%27/x//y", body: "abc", service: "s3"},
		"query":       {method: "GET", path: "/bucket?list-type=2&prefix=a%2Fb%20c%2B&delimiter=%2F&acl", service: "s3"},
		"path of rds": {method: "GET", path: "/v1/a%20b", service: "rds"},
		"headers":     {method: "GET", path: "/", service: "sts", headers: map[string]string{"X-Amz-Meta-A": "  two   blanks  ", "X-Amz-Meta-B": "ü"}},
		"body":        {method: "POST", path: "/", body: "Action=X", service: "rds", change: func(r *http.Request) { swap(r, "Action=Y") }, want: ErrWrong},
		"path":        {method: "GET", path: "/bucket/a", service: "s3", change: func(r *http.Request) { r.URL.Path = "/bucket/b" }, want: ErrWrong},
		"parameter":   {method: "GET", path: "/bucket?prefix=a", service: "s3", change: func(r *http.Request) { r.URL.RawQuery = "prefix=b" }, want: ErrWrong},
		"method":      {method: "GET", path: "/bucket/a", service: "s3", change: func(r *http.Request) { r.Method = "DELETE" }, want: ErrWrong},
		"header":      {method: "GET", path: "/", service: "sts", headers: map[string]string{"X-Amz-Meta-A": "a"}, change: func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }, want: ErrWrong},
		"host":        {method: "GET", path: "/", service: "sts", change: func(r *http.Request) { r.Host = "other" }, want: ErrWrong},
		"token added": {method: "GET", path: "/", service: "sts", change: func(r *http.Request) { unsign(r, "x-amz-security-token;") }, want: ErrIncomplete},
		"token":       {method: "GET", path: "/", service: "sts", change: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "other") }, want: ErrWrong},
		"time":        {method: "GET", path: "/", service: "sts", change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, want: ErrIncomplete},
		"signature":   {method: "GET", path: "/", service: "sts", change: func(r *http.Request) { r.Header.Set("Authorization", r.Header.Get("Authorization")+"0") }, want: ErrWrong},
		"unsigned":    {method: "GET", path: "/", service: "sts", change: func(r *http.Request) { r.Header.Del("Authorization") }, want: ErrMissing},
		"other":       {method: "GET", path: "/", service: "sts", change: func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, want: ErrIncomplete},
		"scope": {method: "GET", path: "/", service: "sts", change: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/sts/", "/ec2/", 1))
		}, want: ErrWrong},
	} {
		var got error
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if test.change != nil {
				test.change(r)
			}
			body, _ := io.ReadAll(r.Body)
			s, err := Parse(r)
			if err == nil {
				err = s.Check(r, keys.SecretAccessKey, hash(string(body)), time.Now())
			}
			got = err
		}))
		r, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range test.headers {
			r.Header.Set(key, value)
		}
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = test.service == "s3" })
		if err := signer.SignHTTP(context.Background(), keys, r, hash(test.body), test.service, "eu-test-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		server.Close()
		if !errors.Is(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func swap(r *http.Request, body string) { r.Body = io.NopCloser(bytes.NewReader([]byte(body))) }

// unsign takes a header out of those that are signed.
func unsign(r *http.Request, header string) {
	r.Header.Set("Authorization", strings.Replace(strings.Replace(r.Header.Get("Authorization"), ";"+strings.TrimSuffix(header, ";"), "", 1), header, "", 1))
}
