package location

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// fallbackRegion signs requests to stores that have no regions (COMPAT §5.1).
const fallbackRegion = "us-east-1"

// S3 is a client bound to the endpoint and keys of a profile.
type S3 struct {
	*s3.Client
	// Encrypted tells that requests go over TLS, so that payloads need no second hash in the signature.
	Encrypted bool
	// upload are options for requests with a body: over TLS the payload stays unsigned, because TLS and the CRC protect it already
	// and SHA-256 would cost as much CPU as everything else.
	upload []func(*s3.Options)
	// complete are options for the request that makes an object of its parts.
	complete []func(*s3.Options)
}

// completion is what a store gets to do that: some copy all of them before they answer.
const completion = time.Hour

// NewS3 makes the client for an s3Compliant profile: path style for custom endpoints, the profile's CA bundle beside the system's
// roots, region as given, else detected (AWS) or us-east-1. It makes no request except to detect a region.
func NewS3(ctx context.Context, profile *params.Profile, options ...Option) (*S3, error) {
	return newS3(ctx, profile, apply(options))
}

func newS3(ctx context.Context, profile *params.Profile, s settings) (*S3, error) {
	l := profile.Location
	if l.Bucket == "" {
		return nil, badProfile("location.bucket", "is empty")
	}

	endpoint, err := endpointURL("location.endpoint", l.Endpoint)
	if err != nil {
		return nil, err
	}

	configure, err := transportOptions(profile)
	if err != nil {
		return nil, err
	}

	client := awshttp.NewBuildableClient().WithTransportOptions(configure)

	region := l.Region
	if region == "" || region == "auto" && endpoint == "" {
		region = detectRegion(ctx, configure, endpoint, l.Bucket)
	}

	config, err := AWSConfig(ctx, profile, region, client)
	if err != nil {
		return nil, err
	}

	made := &S3{Encrypted: endpoint == "" || strings.HasPrefix(endpoint, "https://")}
	made.Client = s3.NewFromConfig(config, func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
			o.UsePathStyle = true
		}
		// Checksums are computed where we want them; stores older than 2025 refuse the SDK's default trailers.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = s.attempts
			r.MaxBackoff = 10 * time.Second
			r.Retryables = append([]retry.IsErrorRetryable{hopeless}, r.Retryables...)
		})
	})

	patient := client.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = completion })
	made.complete = []func(*s3.Options){func(o *s3.Options) { o.HTTPClient = patient }}

	if made.Encrypted {
		made.upload = []func(*s3.Options){s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)}
	}

	return made, nil
}

// Upload are the options to give with every request that has a body.
func (c *S3) Upload() []func(*s3.Options) { return c.upload }

// Why is the error of a HEAD in words: its answer has no body, so that an expired key looks like a bad request, and a missing bucket
// like a missing object. The object is asked for where the answer can say. bare is the result if that succeeds.
func (c *S3) Why(ctx context.Context, bucket, key string, bare error) error {
	output, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, Range: aws.String("bytes=0-0")})
	if err != nil {
		return err
	}

	_ = output.Body.Close() // one byte that nobody reads

	return bare
}

// hopeless are failures that the SDK would retry (it takes every transport error for transient) but that no retry cures: a wrong
// certificate or name is told at once and not after a minute. So is an identity that nobody has or admits.
var hopeless = retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
	var (
		dns      *net.DNSError
		identity *IdentityError
	)

	reason, _ := classifyNetwork(err)
	if reason == TLS || errors.As(err, &dns) && dns.IsNotFound ||
		errors.As(err, &identity) && (identity.Reason == WrongKey || identity.Reason == AccessDenied) {
		return aws.FalseTernary
	}

	return aws.UnknownTernary
})

// endpointURL reads the URL of a service; field is where it stands.
func endpointURL(field, endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}

	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}

	u, err := url.Parse(strings.TrimRight(endpoint, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", badProfile(field, fmt.Sprintf("%q is not a URL like https://host:port", endpoint))
	}

	if u.User != nil {
		return "", badProfile(field, "holds a user name or password; credentials belong into the Secret")
	}

	return u.String(), nil
}

// HTTPClient makes a client that trusts the profile's CA bundle beside the system's roots, or nothing in particular if the
// profile says skipSSLVerify.
func HTTPClient(profile *params.Profile) (*http.Client, error) {
	configure, err := transportOptions(profile)
	if err != nil {
		return nil, err
	}

	transport := &http.Transport{}
	configure(transport)

	return &http.Client{Transport: transport}, nil
}

// transportOptions set up a transport for profile. They are a function because the AWS SDK wants to build its client itself: it
// adds AWS_CA_BUNDLE.
func transportOptions(profile *params.Profile) (func(*http.Transport), error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}

	if profile.CABundle != "" && !roots.AppendCertsFromPEM([]byte(profile.CABundle)) {
		return nil, badProfile("caBundle", "holds no PEM certificate")
	}

	return func(t *http.Transport) {
		t.Proxy = http.ProxyFromEnvironment
		t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
		t.TLSClientConfig = &tls.Config{RootCAs: roots, InsecureSkipVerify: profile.SkipSSLVerify, MinVersion: tls.VersionTLS12} // asked for by the profile
		t.TLSHandshakeTimeout = 10 * time.Second
		t.ResponseHeaderTimeout = 2 * time.Minute // a store that hangs must not hang the run: the request is retried
		t.ExpectContinueTimeout = time.Second
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 64, 32
		t.IdleConnTimeout = 90 * time.Second
		t.ForceAttemptHTTP2 = false // one connection per upload: a single HTTP/2 window is slower
		t.WriteBufferSize, t.ReadBufferSize = 64<<10, 64<<10
	}, nil
}

// detectRegion asks AWS where the bucket lives: it answers even without credentials. Anything else gets the fallback.
func detectRegion(ctx context.Context, configure func(*http.Transport), endpoint, bucket string) string {
	if endpoint != "" {
		return fallbackRegion
	}

	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://s3.amazonaws.com/"+url.PathEscape(bucket), nil)
	if err != nil {
		return fallbackRegion
	}

	transport := &http.Transport{}
	configure(transport)

	defer transport.CloseIdleConnections()

	response, err := transport.RoundTrip(request) // not a client: the answer is in the redirect itself
	if err != nil {
		return fallbackRegion
	}
	defer response.Body.Close() // a HEAD has no body

	if region := response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return region
	}

	return fallbackRegion
}
