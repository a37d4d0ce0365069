package cloud

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Explain makes an error of a service one for the reader: its code is the reason, and the hint names the action that an AWS
// identity lacks, or what else to do. what says what was done: "deleting snapshot x".
func Explain(what string, err error) error {
	var (
		api      smithy.APIError
		done     *record.Failure
		identity *location.IdentityError
	)

	switch {
	case err == nil || errors.As(err, &done):
		return err
	case errors.As(err, &identity): // the service itself has not been asked
		return &record.Failure{Reason: string(identity.Reason), Message: what + ": " + identity.Error(), Hint: identity.Hint}
	case errors.As(err, &api):
		f := &record.Failure{Reason: api.ErrorCode(), Message: what + ": " + readable(api.ErrorMessage())}
		if api.ErrorMessage() == "" {
			f.Message = what + ": " + api.ErrorCode()
		}

		f.Hint = hint(api.ErrorCode(), action(err))

		return f
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// ExplainLasting leaves errors that may pass as they are, so that a wait can tell them.
func ExplainLasting(what string, err error) error {
	if Passing(err) {
		return err
	}

	return Explain(what, err)
}

// readable cuts off what only `aws sts decode-authorization-message` can read.
func readable(message string) string {
	text, _, _ := strings.Cut(message, "Encoded authorization failure message")

	return strings.TrimSpace(text)
}

// action is the IAM action of the request that failed: "ec2:CreateSnapshot".
func action(err error) string {
	var operation *smithy.OperationError
	if !errors.As(err, &operation) {
		return ""
	}

	return strings.ToLower(operation.ServiceID) + ":" + operation.OperationName
}

func hint(code, action string) string {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(code, part) })
	}

	switch {
	case has("AccessDenied", "Unauthorized"):
		if action == "" {
			return "let the AWS identity do what the message names"
		}

		if strings.HasPrefix(action, "ec2:Create") {
			action += " and ec2:CreateTags"
		}

		return "allow the AWS identity the action " + action
	case has("InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "AuthFailure", "RequestExpired", "UnrecognizedClient"):
		return "correct the AWS credentials of the profile or of credentialsSecret"
	case has("QuotaExceeded", "LimitExceeded", "MaxIOPS"):
		return "delete what is not needed, or ask AWS for a higher quota"
	default:
		return ""
	}
}

// Passing errors may be gone at the next try.
func Passing(err error) bool {
	var (
		api      smithy.APIError
		known    *record.Failure
		identity *location.IdentityError
	)

	switch {
	case err == nil:
		return false
	case errors.As(err, &identity): // nobody gives the run an identity while it waits
		return identity.Reason != location.WrongKey && identity.Reason != location.AccessDenied
	case errors.As(err, &api):
		return api.ErrorFault() == smithy.FaultServer || HasCode(err, "Throttl", "RequestLimit", "InternalError", "InternalFailure", "Unavailable")
	case errors.As(err, &known):
		return false
	default:
		return true
	}
}

// Message is what the service itself says, without what the SDK puts around it.
func Message(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorMessage() != "" {
		return readable(api.ErrorMessage())
	}

	return err.Error()
}

// HasCode tells whether the service's error code contains one of parts.
func HasCode(err error, parts ...string) bool {
	var api smithy.APIError

	return errors.As(err, &api) && slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(api.ErrorCode(), part) })
}
