package location

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"gocloud.dev/gcerrors"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"
)

// Reason says in one machine-readable word why a location did not answer as it should.
type Reason string

// Reasons. They appear in records (Failure.Reason), in `profile check` and in exit messages: do not rename.
const (
	BadProfile    Reason = "BadProfile"    // the profile itself is wrong
	WrongKey      Reason = "WrongKey"      // unknown key id, wrong secret, expired token
	AccessDenied  Reason = "AccessDenied"  // known key, not allowed
	NoBucket      Reason = "NoBucket"      // bucket, container or directory missing
	NotFound      Reason = "NotFound"      // object missing
	WrongRegion   Reason = "WrongRegion"   // bucket lives elsewhere
	TLS           Reason = "TLS"           // certificate not trusted, wrong name, plain http on a TLS port
	DNS           Reason = "DNS"           // the endpoint's name does not resolve
	Unreachable   Reason = "Unreachable"   // refused, no route, timeout
	ClockSkew     Reason = "ClockSkew"     // this machine's clock differs from the store's
	NoSpace       Reason = "NoSpace"       // store or volume full, quota used up
	ReadOnly      Reason = "ReadOnly"      // volume mounted read-only, object locked
	Throttled     Reason = "Throttled"     // too many requests, still after retries
	ServerError   Reason = "ServerError"   // 5xx, still after retries
	WrongPassword Reason = "WrongPassword" // repository password (package kopia)
	Corrupt       Reason = "Corrupt"       // what was read is not what was written
	Exists        Reason = "Exists"
	Cancelled     Reason = "Cancelled"
	Unknown       Reason = "Unknown"
)

// Error is a failure of a location.
type Error struct {
	Op     string // "putting object", "opening the location of profile …"
	URL    string // the object or bucket, without secrets
	Reason Reason
	Hint   string // what to look at, in words; may be empty
	Err    error
}

// Error gives operation, place and cause; the hint is not part of it.
func (e *Error) Error() string {
	text := ""
	if e.Op != "" {
		text = e.Op
		if e.URL != "" {
			text += fmt.Sprintf(" %q", e.URL)
		}

		text += ": "
	}

	return text + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Explain gives the reason of any error of this package, and what to do about it in words.
func Explain(err error) (Reason, string) {
	if err == nil {
		return "", ""
	}

	var e *Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason, e.Hint
	}

	return classify(err)
}

// ReasonOf is Explain without the hint; "" for nil.
func ReasonOf(err error) Reason {
	reason, _ := Explain(err)

	return reason
}

func wrap(op, url string, err error) error {
	if err == nil {
		return nil
	}

	var e *Error
	if errors.As(err, &e) {
		if e.Op == "" {
			return &Error{Op: op, URL: url, Reason: e.Reason, Hint: e.Hint, Err: e.Err}
		}

		return err
	}

	reason, hint := classify(err)
	if reason == NotFound && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w (%w)", ErrNotFound, err)
	}

	return &Error{Op: op, URL: url, Reason: reason, Hint: hint, Err: shorten(err)}
}

// shorten keeps the first line of an SDK's message; the chain stays intact.
func shorten(err error) error {
	text := err.Error()

	var (
		api      smithy.APIError
		azure    *azcore.ResponseError
		identity *IdentityError
	)

	switch {
	case errors.As(err, &identity):
		text = identity.Error()
	case errors.As(err, &api):
		text = strings.TrimSpace(api.ErrorCode() + " " + api.ErrorMessage())
		if status := HTTPStatus(err); status != 0 {
			text += fmt.Sprintf(" (HTTP %d)", status)
		}
	case errors.As(err, &azure): // its own text is the whole answer
		text = strings.TrimSpace(fmt.Sprintf("%s (HTTP %d)", azure.ErrorCode, azure.StatusCode))
	}

	if first, _, more := strings.Cut(text, "\n"); more {
		text = first
	}

	return &short{text: text, err: err}
}

type short struct {
	text string
	err  error
}

func (s *short) Error() string { return s.text }
func (s *short) Unwrap() error { return s.err }

// HTTPStatus is the status of the answer that an error is about; 0 if there was none.
func HTTPStatus(err error) int {
	var aws *smithyhttp.ResponseError
	if errors.As(err, &aws) {
		return aws.HTTPStatusCode()
	}

	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		return azure.StatusCode
	}

	var google *googleapi.Error
	if errors.As(err, &google) {
		return google.Code
	}

	return 0
}

func classify(err error) (Reason, string) {
	switch {
	case errors.Is(err, context.Canceled):
		return Cancelled, ""
	case errors.Is(err, ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return NotFound, ""
	case errors.Is(err, ErrExists):
		return Exists, ""
	}

	var identity *IdentityError
	if errors.As(err, &identity) {
		return identity.Reason, identity.Hint
	}

	var token *oauth2.RetrieveError
	if errors.As(err, &token) && token.Response != nil && token.Response.StatusCode < http.StatusInternalServerError {
		return WrongKey, hintWrongAccount
	}

	if reason, hint := classifyCode(err); reason != "" {
		return reason, hint
	}

	if reason, hint := classifyNetwork(err); reason != "" {
		return reason, hint
	}

	if reason, hint := classifyFile(err); reason != "" {
		return reason, hint
	}

	if reason, hint := classifyStatus(err); reason != "" {
		return reason, hint
	}

	switch gcerrors.Code(err) { // the rest says nothing that the status did not
	case gcerrors.NotFound:
		return NotFound, ""
	case gcerrors.PermissionDenied:
		return AccessDenied, hintDenied
	case gcerrors.ResourceExhausted:
		return Throttled, ""
	default:
		return Unknown, ""
	}
}

const (
	hintWrongKey     = "check access key and secret of the profile"
	hintWrongAccount = "Google does not take this key for the service account's: it may be deleted or disabled, or the clock of the node is wrong; make a new key"
	hintDenied       = "the key is known but may not do this: check the bucket's policy and the key's permissions (list, get, put, delete)"
	hintBucket       = "create the bucket, or correct location.bucket, location.region and location.endpoint of the profile"
	hintClock        = "set the clock of the node (NTP)"
	hintTLS          = "give the store's CA with --ca-bundle (or, in a laboratory only, --skip-ssl-verification); check that the endpoint's name is in its certificate"
)

// classifyCode reads the error codes of S3 and Azure, which say more than the HTTP status does.
func classifyCode(err error) (Reason, string) {
	code := ""

	var api smithy.APIError
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}

	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		code = azure.ErrorCode
	}

	switch code {
	case "InvalidAccessKeyId", "InvalidAccessKey", "SignatureDoesNotMatch", "InvalidToken", "AuthenticationFailed", "InvalidAuthenticationInfo",
		"InvalidClientTokenId", "XAdminUserNotFound", "XMinioInvalidAccessKeyId", "UnrecognizedClientException":
		return WrongKey, hintWrongKey
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return WrongKey, "the session token has expired: make a new one"
	case "AccessDenied", "AllAccessDisabled", "AccountProblem", "AuthorizationFailure", "AuthorizationPermissionMismatch", "InsufficientAccountPermissions":
		return AccessDenied, hintDenied
	case "NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound", "InvalidBucketName", "AccountNotFound":
		return NoBucket, hintBucket
	case "NoSuchKey", "BlobNotFound":
		return NotFound, ""
	case "RequestTimeTooSkewed", "RequestExpired":
		return ClockSkew, hintClock
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "BucketRegionError", "IncorrectEndpoint":
		return WrongRegion, "correct location.region of the profile"
	case "SlowDown", "ServerBusy", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded":
		return Throttled, "the store limits requests: run fewer backups at once or raise its limits"
	case "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "XMinioAdminBucketQuotaExceeded":
		return NoSpace, "free space in the store or raise its quota"
	case "ObjectLocked", "BlobImmutableDueToPolicy":
		return ReadOnly, "the object is under retention"
	case "PreconditionFailed", "ConditionNotMet", "BlobAlreadyExists":
		return Exists, ""
	}

	return "", ""
}

func classifyNetwork(err error) (Reason, string) {
	var (
		dns       *net.DNSError
		unknown   x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		recordErr tls.RecordHeaderError
		alert     tls.AlertError
		op        *net.OpError
	)

	switch {
	case errors.As(err, &dns):
		return DNS, fmt.Sprintf("the name %q does not resolve from here: check location.endpoint of the profile and the cluster's DNS", dns.Name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return TLS, "the store's certificate is out of its time: renew it, or set the clock of the node"
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &alert):
		return TLS, hintTLS
	case errors.As(err, &recordErr), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return TLS, "the endpoint speaks plain http: write http:// in location.endpoint of the profile"
	case strings.Contains(err.Error(), "HTTP request was sent to an HTTPS server"), strings.Contains(err.Error(), "malformed HTTP response"):
		return TLS, "the endpoint speaks TLS: write https:// in location.endpoint of the profile"
	case errors.Is(err, syscall.ECONNRESET):
		return Unreachable, "the connection was cut: check that location.endpoint of the profile has the right scheme (http:// or https://) and port"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &op):
		return Unreachable, "check location.endpoint of the profile, and that network policies let pods of this namespace reach it"
	}

	return "", ""
}

func classifyFile(err error) (Reason, string) {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return NoSpace, "make the volume larger or delete old backups"
	case errors.Is(err, syscall.EROFS):
		return ReadOnly, "the volume is mounted read-only"
	case errors.Is(err, fs.ErrPermission):
		return AccessDenied, "the directory belongs to another user: check the volume's owner and fsGroup"
	}

	return "", ""
}

func classifyStatus(err error) (Reason, string) {
	switch status := HTTPStatus(err); {
	case status == http.StatusUnauthorized:
		return WrongKey, hintWrongKey
	case status == http.StatusForbidden:
		return AccessDenied, hintDenied
	case status == http.StatusNotFound:
		return NotFound, ""
	case status == http.StatusMovedPermanently, status == http.StatusTemporaryRedirect:
		return WrongRegion, "correct location.region of the profile"
	case status == http.StatusPreconditionFailed:
		return Exists, ""
	case status == http.StatusTooManyRequests:
		return Throttled, ""
	case status == http.StatusInsufficientStorage:
		return NoSpace, "free space in the store"
	case status >= http.StatusInternalServerError:
		return ServerError, "see the store's own log"
	}

	return "", ""
}
