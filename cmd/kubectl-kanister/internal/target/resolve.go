package target

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

// Request is what the command line says about targets.
type Request struct {
	// Args are TYPE/NAME words, or TYPE NAME…, as kubectl takes them.
	Args []string
	// Selector is a label selector (-l); Args then names the types.
	Selector string
	// Filenames are manifests whose objects are looked up in the cluster (-f).
	Filenames []string
}

// Empty tells that the request names nothing.
func (r Request) Empty() bool { return len(r.Args) == 0 && r.Selector == "" && len(r.Filenames) == 0 }

// String is the request as it was typed, for messages.
func (r Request) String() string {
	words := append([]string{}, r.Args...)
	if r.Selector != "" {
		words = append(words, "-l", r.Selector)
	}

	for _, name := range r.Filenames {
		words = append(words, "-f", name)
	}

	return strings.Join(words, " ")
}

// Resolve looks the request up in the cluster. enforce says that namespace was given on the command line, so that a manifest
// which names another one is an error. Every named object must exist; a selector must match something. Errors carry their
// exit code: Usage for what is not there, NotPermitted for what may not be read.
func Resolve(getter genericclioptions.RESTClientGetter, namespace string, enforce bool, request Request) ([]Target, error) {
	builder := resource.NewBuilder(getter).
		Unstructured().
		ContinueOnError().
		NamespaceParam(namespace).DefaultNamespace().
		FilenameParam(enforce, &resource.FilenameOptions{Filenames: request.Filenames}).
		LabelSelectorParam(request.Selector).
		RequestChunksOf(500).
		Flatten()

	if len(request.Filenames) > 0 {
		builder = builder.Latest()
	}

	if len(request.Args) > 0 {
		builder = builder.ResourceTypeOrNameArgs(false, request.Args...)
	}

	infos, err := builder.Do().Infos()
	if err != nil {
		return nil, explain(err, namespace, request)
	}

	for _, info := range infos {
		if info.Name == "" {
			kind := info.Mapping.GroupVersionKind.Kind

			return nil, exit.New(exit.Usage, fmt.Errorf("looking for the target: the %s in %s has no name", kind, strings.Join(request.Filenames, ", ")),
				map[bool]string{true: "the actions of an ActionSet are run by kubectl kanister run -f FILE"}[kind == "ActionSet"])
		}
	}

	if len(infos) == 0 {
		return nil, exit.New(exit.Usage, fmt.Errorf("looking for targets: nothing in namespace %q matches %q", namespace, request.String()),
			"kubectl get "+listTypes(request)+" -n "+namespace+" --show-labels")
	}

	return distinct(infos), nil
}

// Named are the targets that request spells out as TYPE/NAME or TYPE NAME…, without looking at them: for a user who may not.
// It is empty if anything else is asked for.
func Named(getter genericclioptions.RESTClientGetter, namespace string, request Request) []Target {
	if request.Selector != "" || len(request.Filenames) > 0 || len(request.Args) == 0 {
		return nil
	}

	infos, err := resource.NewBuilder(getter).
		Unstructured().
		NamespaceParam(namespace).DefaultNamespace().
		ResourceTypeOrNameArgs(false, request.Args...).
		Flatten().
		RequireObject(false).
		Do().Infos()
	if err != nil {
		return nil
	}

	return distinct(infos)
}

// distinct maps infos to targets and drops the second mention of an object.
func distinct(infos []*resource.Info) []Target {
	var (
		targets []Target
		seen    = map[string]bool{}
	)

	for _, info := range infos {
		t := fromInfo(info)

		key := t.Ref.Group + "/" + t.Ref.Resource + "/" + t.Ref.Namespace + "/" + t.Ref.Name
		if !seen[key] {
			seen[key] = true

			targets = append(targets, t)
		}
	}

	return targets
}

// explain gives every cause in err its words, and the whole the code of the worst: what may not be read comes before what is
// not there, because the latter cannot be trusted then.
func explain(err error, namespace string, request Request) error {
	var (
		messages []error
		code     = exit.ToolFailed
		hint     string
	)

	for _, cause := range flatten(err) {
		c, h, message := explainOne(cause, namespace, request)
		messages = append(messages, message)

		if code == exit.ToolFailed || c == exit.NotPermitted {
			code, hint = c, h
		}
	}

	return exit.New(code, errors.Join(messages...), hint)
}

func explainOne(err error, namespace string, request Request) (code exit.Code, hint string, message error) {
	var status apierrors.APIStatus

	message = fmt.Errorf("looking for the target %q: %w", request.String(), err)

	switch {
	case apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Name != "":
		details := status.Status().Details
		if details.Group == "" && details.Kind == "namespaces" {
			return exit.Usage, "kubectl get namespaces", fmt.Errorf("looking for the target: no namespace %q", details.Name)
		}

		return exit.Usage, "kubectl get " + qualified(details.Kind, details.Group) + " -n " + namespace,
			fmt.Errorf("looking for the target: no %s %q in namespace %q", singular(details.Kind), details.Name, namespace)
	case meta.IsNoMatchError(err), strings.Contains(err.Error(), "doesn't have a resource type"):
		return exit.Usage, "kubectl api-resources", message
	case apierrors.IsForbidden(err):
		return exit.NotPermitted, "ask for get on this resource in namespace " + namespace,
			fmt.Errorf("looking for the target %q in namespace %q: %w", request.String(), namespace, err)
	case apierrors.IsUnauthorized(err):
		return exit.NotPermitted, "log in to the cluster again", message
	case errors.As(err, &status), unreachable(err):
		return exit.ToolFailed, "", message
	case len(request.Filenames) > 0:
		return exit.Usage, "", message
	default:
		return exit.Usage, "name it as kubectl does: deploy/foo, sts/foo, pvc/foo, ns/foo, or TYPE -l SELECTOR", message
	}
}

// unreachable tells errors of the connection and the kubeconfig from errors of the words that were typed.
func unreachable(err error) bool {
	var timeout interface{ Timeout() bool }

	text := err.Error()

	return errors.As(err, &timeout) || strings.Contains(text, "connect") || strings.Contains(text, "config")
}

func flatten(err error) []error {
	var aggregate utilerrors.Aggregate
	if errors.As(err, &aggregate) {
		return utilerrors.Flatten(aggregate).Errors()
	}

	return []error{err}
}

// singular turns the resource of a NotFound status into the word for one: good enough for a message, wrong for no built-in kind.
func singular(resource string) string {
	switch {
	case strings.HasSuffix(resource, "sses"), strings.HasSuffix(resource, "xes"):
		return strings.TrimSuffix(resource, "es")
	case strings.HasSuffix(resource, "ies"):
		return strings.TrimSuffix(resource, "ies") + "y"
	default:
		return strings.TrimSuffix(resource, "s")
	}
}

func qualified(resource, group string) string {
	if group == "" || group == "apps" {
		return resource
	}

	return resource + "." + group
}

func listTypes(request Request) string {
	if len(request.Args) == 0 {
		return "all"
	}

	return request.Args[0]
}
