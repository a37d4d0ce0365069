package cloud

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func refusal(service, operation, code, message string) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

func TestExplainSaysWhatToDo(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		err     error
		message string
		hint    string
	}{
		"may not": {
			refusal("EC2", "DeleteSnapshot", "UnauthorizedOperation", "You are not authorized. Encoded authorization failure message: Zm9v"),
			"doing it: You are not authorized.", "allow the AWS identity the action ec2:DeleteSnapshot",
		},
		"may not tag": {refusal("EC2", "CreateVolume", "UnauthorizedOperation", "no"), "doing it: no", "allow the AWS identity the action ec2:CreateVolume and ec2:CreateTags"},
		"rds":         {refusal("RDS", "CreateDBSnapshot", "AccessDenied", "no"), "doing it: no", "allow the AWS identity the action rds:CreateDBSnapshot"},
		"bare":        {&smithy.GenericAPIError{Code: "AccessDenied", Message: "no rds:X"}, "doing it: no rds:X", "let the AWS identity do what the message names"},
		"key":         {refusal("EC2", "DescribeVolumes", "AuthFailure", "who are you"), "doing it: who are you", "correct the AWS credentials of the profile or of credentialsSecret"},
		"quota":       {refusal("EC2", "CreateVolume", "VolumeLimitExceeded", "full"), "doing it: full", "delete what is not needed, or ask AWS for a higher quota"},
		"role": {
			&smithy.OperationError{ServiceID: "RDS", OperationName: "CreateDBSnapshot", Err: &location.IdentityError{
				Op: "assuming the role", Role: "arn:x", Reason: location.AccessDenied, Hint: "trust", Err: refusal("STS", "AssumeRole", "AccessDenied", "no"),
			}},
			`doing it: assuming the role "arn:x": AccessDenied no`, "trust",
		},
		"code only": {refusal("EC2", "CreateVolume", "Odd", ""), "doing it: Odd", ""},
	} {
		var f *record.Failure
		if err := Explain("doing it", tc.err); !errors.As(err, &f) || f.Message != tc.message || f.Hint != tc.hint {
			t.Errorf("%s: %v %+v", name, err, f)
		}
	}

	if err := Explain("doing it", nil); err != nil {
		t.Error(err)
	}

	known := &record.Failure{Reason: "Known"}
	if err := Explain("doing it", known); !errors.Is(err, error(known)) {
		t.Error(err)
	}

	if err := Explain("doing it", errors.New("broken pipe")); !strings.Contains(err.Error(), "doing it: broken pipe") {
		t.Error(err)
	}
}

func TestPassing(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"none":     {nil, false},
		"network":  {errors.New("connection reset by peer"), true},
		"throttle": {refusal("EC2", "X", "RequestLimitExceeded", ""), true},
		"server":   {&smithy.GenericAPIError{Code: "Odd", Fault: smithy.FaultServer}, true},
		"internal": {refusal("EC2", "X", "InternalError", ""), true},
		"refusal":  {refusal("EC2", "X", "UnauthorizedOperation", ""), false},
		"nobody":   {&location.IdentityError{Reason: location.WrongKey, Err: errors.New("no EC2 IMDS role found")}, false},
		"no STS":   {&location.IdentityError{Reason: location.Unreachable, Err: errors.New("i/o timeout")}, true},
		"ours":     {&record.Failure{Reason: "Timeout"}, false},
	} {
		if got := Passing(tc.err); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
