package location

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// IdentityError says that there are no credentials to ask a service with: AWS's STS has refused, or there is nobody to be.
type IdentityError struct {
	// Op is what was tried: "assuming the role", "getting the AWS credentials of the pod itself".
	Op string
	// Role is the ARN of the role that was wanted; "" for none.
	Role   string
	Reason Reason
	Hint   string
	Err    error
}

// Error names the role and what STS says.
func (e *IdentityError) Error() string {
	text := e.Op
	if e.Role != "" {
		text += fmt.Sprintf(" %q", e.Role)
	}

	return text + ": " + shorten(e.Err).Error()
}

// Unwrap gives the cause.
func (e *IdentityError) Unwrap() error { return e.Err }

// explained is a provider of credentials whose errors say what was wanted.
type explained struct {
	inner      aws.CredentialsProvider
	what, role string
}

// Retrieve implements aws.CredentialsProvider.
func (p *explained) Retrieve(ctx context.Context) (aws.Credentials, error) {
	keys, err := p.inner.Retrieve(ctx)

	var known *IdentityError
	if err == nil || errors.As(err, &known) {
		return keys, err
	}

	e := &IdentityError{Op: p.what, Role: p.role, Err: err}
	e.Reason, e.Hint = identityReason(err)

	return keys, e
}

// identityReason classifies errors of STS and of the SDK's search for credentials.
func identityReason(err error) (Reason, string) {
	var api smithy.APIError

	// The node's own credentials are the last that the SDK looks for: nobody has given any.
	if strings.Contains(err.Error(), "no EC2 IMDS role found") {
		return WrongKey, hintNobody
	}

	if !errors.As(err, &api) {
		switch reason, hint := classify(err); reason {
		case DNS, Unreachable, TLS:
			return reason, hintSTS
		case Cancelled, AccessDenied:
			return reason, hint
		default:
			return WrongKey, hintNobody
		}
	}

	switch api.ErrorCode() {
	case "AccessDenied":
		return AccessDenied, "the role's trust policy has to admit this identity, which itself needs sts:AssumeRole; for a web identity the trust policy names system:serviceaccount:NAMESPACE:NAME"
	case "InvalidIdentityToken", "IDPRejectedClaim", "IDPCommunicationError":
		return WrongKey, "IAM has to know the cluster's OIDC issuer as an identity provider, with the audience of the pod's token"
	}

	return classify(err)
}

const hintNobody = "give the profile keys, or let the run use a ServiceAccount that has an AWS identity (--service-account)"

const hintSTS = "the pods have to reach AWS's STS in the profile's region, or one that aws_sts_endpoint in the credentials Secret names"
