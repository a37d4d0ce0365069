// Package kubeops holds KubeOps, which creates, deletes and patches Kubernetes objects.
package kubeops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// KubeOps creates, deletes or patches objects (COMPAT §4.25).
type KubeOps struct{ spec.Function }

var _ = functions.Register(KubeOps{spec.Must("KubeOps")})

// fieldManager is upstream's, so that who looks at managedFields finds what he knows.
const fieldManager = "kanister-create"

type kubeOpsArgs struct {
	Operation       string         `mapstructure:"operation"`
	Namespace       string         `mapstructure:"namespace"`
	Spec            string         `mapstructure:"spec"`
	ObjectReference map[string]any `mapstructure:"objectReference"`
	Timeout         string         `mapstructure:"timeout"`
}

// call is one phase at work.
type call struct {
	*functions.Run

	args      kubeOpsArgs
	resources *document.Resources
}

// object is one object of the cluster that the phase is about.
type object struct {
	document.Resource

	namespace, name string
}

func (o object) String() string {
	if o.namespace == "" {
		return fmt.Sprintf("%s %q", o.Resource, o.name)
	}

	return fmt.Sprintf("%s %q in namespace %q", o.Resource, o.name, o.namespace)
}

// command is a kubectl command about the object.
func (o object) command(verb string) string {
	text := fmt.Sprintf("kubectl %s %s %s", verb, o.Resource, o.name)
	if o.namespace != "" {
		text += " -n " + o.namespace
	}

	return text
}

// outputs of the phase (COMPAT §4.25). They are texts; the namespace of an object of the cluster is absent.
func (o object) outputs() map[string]any {
	outputs := map[string]any{
		"apiVersion": o.Version, "group": o.Group, "resource": o.Resource.Resource, "kind": o.Kind, "name": o.name,
	}
	if o.namespace != "" {
		outputs["namespace"] = o.namespace
	}

	return outputs
}

// Exec implements functions.Func.
func (f KubeOps) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	c := call{Run: run, args: kubeOpsArgs{Timeout: "15m"}, resources: document.NewResources(run.Kube.Clientset.Discovery())}
	if err := functions.Decode(f.Function, args, &c.args); err != nil {
		return nil, err
	}

	switch strings.ToLower(c.args.Operation) {
	case "create":
		return c.create(ctx)
	case "delete":
		return c.delete(ctx)
	case "patch":
		return c.patch(ctx)
	default:
		return nil, fmt.Errorf("reading argument %q: %q is none of create, delete, patch", "operation", c.args.Operation)
	}
}

// referred is the object that objectReference names.
func (c call) referred(ctx context.Context) (object, error) {
	reference, err := document.Reference(c.args.ObjectReference, func(_, text string) (string, error) { return text, nil })
	if err == nil {
		err = document.Check(reference)
	}

	if err != nil {
		return object{}, fmt.Errorf("reading argument %q: %w", "objectReference", err)
	}

	resource, err := c.resource(ctx, func(ctx context.Context) (document.Resource, error) { return c.resources.OfReference(ctx, reference) })
	if err != nil {
		return object{}, fmt.Errorf("reading argument %q: %w", "objectReference", err)
	}

	return object{Resource: resource, name: reference.Name, namespace: resource.Namespace(reference.Namespace, c.args.Namespace)}, nil
}

// resource asks the cluster by find, again while the API server is away.
func (c call) resource(ctx context.Context, find func(context.Context) (document.Resource, error)) (document.Resource, error) {
	var found document.Resource

	err := c.Kube.Retry(ctx, func(ctx context.Context) (err error) {
		found, err = find(ctx)

		return err
	})

	var unknown *document.UnknownError
	if errors.As(err, &unknown) {
		return found, &kube.Error{Reason: kube.ReasonNotFound, Message: unknown.Error(), Hint: "kubectl api-resources -o wide"}
	}

	return found, err
}

func (c call) client(o object) dynamic.ResourceInterface {
	if o.namespace == "" {
		return c.Kube.Dynamic.Resource(o.GroupVersionResource)
	}

	return c.Kube.Dynamic.Resource(o.GroupVersionResource).Namespace(o.namespace)
}

func (c call) timeout() (time.Duration, error) {
	limit, err := time.ParseDuration(strings.TrimSpace(c.args.Timeout))
	if err != nil || limit <= 0 {
		return 0, fmt.Errorf("reading argument %q: %q is no duration greater than zero, such as 5m", "timeout", c.args.Timeout)
	}

	return limit, nil
}

// explain adds to an error of the API what is to be done.
func explain(doing string, o object, err error) error {
	e := &kube.Error{Reason: string(apierrors.ReasonForError(err)), Message: doing + " " + o.String(), Err: err}
	text := err.Error()

	switch {
	case apierrors.IsNotFound(err) && o.namespace != "" && strings.Contains(text, fmt.Sprintf("namespaces %q not found", o.namespace)):
		e.Reason, e.Hint = kube.ReasonNamespace, "kubectl get namespace "+o.namespace
	case apierrors.IsNotFound(err):
		e.Reason, e.Hint = kube.ReasonNotFound, o.command("get")
	case strings.Contains(text, "violates PodSecurity"):
		e.Reason = kube.ReasonPodSecurity
		e.Hint = "the object asks for more than the namespace's pod-security level allows"
	case strings.Contains(text, "admission webhook"), strings.Contains(text, "ValidatingAdmissionPolicy"):
		e.Reason = kube.ReasonAdmission
	case apierrors.IsForbidden(err) && strings.Contains(text, "is attempting to grant RBAC permissions not currently held"):
		e.Reason = kube.ReasonAccessDenied
		e.Hint = "a ServiceAccount cannot grant more than it holds: use --service-account with one that holds these permissions"
	case apierrors.IsForbidden(err) && strings.Contains(text, "cannot "):
		e.Reason = kube.ReasonAccessDenied
		e.Hint = "the run's ServiceAccount lacks this permission: `kubectl kanister … --dry-run` shows what was worked out; --service-account uses one of your own"
	case apierrors.IsForbidden(err) && strings.Contains(text, "quota"):
		e.Reason = kube.ReasonQuota
	}

	return e
}
