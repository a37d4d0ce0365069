package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Reasons of an Error: one machine word each, as they appear in record.Failure.Reason.
const (
	ReasonAccessDenied     = "AccessDenied"
	ReasonAdmission        = "AdmissionRefused"
	ReasonPodSecurity      = "PodSecurity"
	ReasonQuota            = "QuotaExceeded"
	ReasonServiceAccount   = "ServiceAccountMissing"
	ReasonNamespace        = "NamespaceMissing"
	ReasonInvalid          = "InvalidPod"
	ReasonImagePull        = "ImagePull"
	ReasonContainerConfig  = "ContainerConfig"
	ReasonContainerStart   = "ContainerStart"
	ReasonUnschedulable    = "Unschedulable"
	ReasonStartTimeout     = "StartTimeout"
	ReasonExit             = "ExitCode"
	ReasonOOMKilled        = "OOMKilled"
	ReasonEvicted          = "Evicted"
	ReasonPreempted        = "Preempted"
	ReasonDeadline         = "DeadlineExceeded"
	ReasonNodeLost         = "NodeLost"
	ReasonPodDeleted       = "PodDeleted"
	ReasonPodMissing       = "PodMissing"
	ReasonContainerMissing = "ContainerMissing"
	ReasonInterrupted      = "Interrupted"
	ReasonConnectionLost   = "ConnectionLost"
	ReasonUnreachable      = "APIServerUnreachable"
	ReasonTimeout          = "Timeout"
	ReasonOutput           = "InvalidOutput"
	ReasonTooLong          = "ArgumentTooLong"
	ReasonNoShell          = "NoShell"
	ReasonNotFound         = "NotFound"
)

// Error is what went wrong with a pod or another object of the cluster, complete enough for a reader at 3 a.m.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// Message says what happened, naming the object; it does not repeat the other members.
	Message string
	// Pod is the pod concerned, if any.
	Pod *record.PodRef
	// Exit is the exit code of the container or command, if it ended by itself.
	Exit *int
	// LastLogs are the last lines of the container or of the command's output, oldest first.
	LastLogs []string
	// Events are the pod's warning events, oldest first.
	Events []string
	// Hint is the next command to type or the thing to change.
	Hint string
	// Err is the cause, if there is one.
	Err error
}

// Error gives message and cause in one line.
func (e *Error) Error() string {
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		return e.Message + ": " + e.Err.Error()
	}

	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// As gives the error as a *record.Failure, which is what the engine looks for.
func (e *Error) As(target any) bool {
	failure, ok := target.(**record.Failure)
	if ok {
		f := e.Failure()
		*failure = &f
	}

	return ok
}

// Failure is the error as the run record holds it.
func (e *Error) Failure() record.Failure {
	return record.Failure{
		Message: e.Error(), Reason: e.Reason, Pod: e.Pod, Exit: e.Exit,
		LastLogs: slices.Clone(e.LastLogs), Events: slices.Clone(e.Events), Hint: e.Hint,
	}
}

// IsReason tells whether err is, or wraps, an Error of this reason.
func IsReason(err error, reason string) bool {
	var e *Error

	return errors.As(err, &e) && e.Reason == reason
}

// createError explains why the API server refused to create a pod or one of its companions.
func createError(kind, namespace, name string, err error) error {
	e := &Error{Message: fmt.Sprintf("creating %s %q in namespace %q", kind, name, namespace), Err: err}
	text := err.Error()

	switch {
	case strings.Contains(text, "violates PodSecurity"):
		e.Reason = ReasonPodSecurity
		e.Hint = "the blueprint asks for more than the namespace's pod-security level allows: see podOverride, or the namespace's label pod-security.kubernetes.io/enforce"
	case strings.Contains(text, "exceeded quota"), strings.Contains(text, "failed quota"):
		e.Reason = ReasonQuota
		e.Hint = "kubectl describe resourcequota -n " + namespace + "; give the pod requests and limits by podOverride if the quota demands them"
	case strings.Contains(text, "error looking up service account"):
		e.Reason = ReasonServiceAccount
		e.Hint = "kubectl get serviceaccounts -n " + namespace
	case strings.Contains(text, "admission webhook"), strings.Contains(text, "ValidatingAdmissionPolicy"):
		e.Reason = ReasonAdmission
	case apierrors.IsForbidden(err) && strings.Contains(text, "cannot "):
		e.Reason = ReasonAccessDenied
		e.Hint = "give the run's ServiceAccount this right, or let the plugin make one: run it without --service-account"
	case apierrors.IsForbidden(err):
		e.Reason = ReasonAdmission
	case apierrors.IsNotFound(err) && strings.Contains(text, "namespaces"):
		e.Reason = ReasonNamespace
		e.Hint = "kubectl get namespace " + namespace
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		e.Reason = ReasonInvalid
	default:
		e.Reason = apiReason(err)
	}

	return e
}

// apiReason is the Reason for an API error of any request.
func apiReason(err error) string {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return ReasonAccessDenied
	case apierrors.IsNotFound(err):
		return ReasonNotFound
	case transient(err):
		return ReasonUnreachable
	default:
		return string(apierrors.ReasonForError(err))
	}
}
