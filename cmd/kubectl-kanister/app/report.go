package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

// report tells the user of an error, unless that was done, and gives the exit code.
func report(out io.Writer, err error) exit.Code {
	if err == nil {
		return exit.Done
	}

	errs := split(err)
	for i := range errs {
		errs[i] = code(errs[i])
	}

	for _, single := range errs {
		if coded := new(exit.Error); errors.As(single, &coded) && coded.Reported {
			continue
		}

		fmt.Fprintf(out, "error: %s\n", single)

		if hint := exit.HintOf(single); hint != "" {
			fmt.Fprintf(out, "hint: %s\n", hint)
		}
	}

	for _, single := range errs { // the first that has a code of its own decides
		if of := exit.Of(single); of != exit.ToolFailed {
			return of
		}
	}

	return exit.ToolFailed
}

// split takes joined errors apart, so that each is told by itself, or not when the user was told already. A wrapped join has a
// text of its own and stays whole.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if aggregate, ok := err.(utilerrors.Aggregate); ok { //nolint:errorlint // the outermost only
			return utilerrors.Flatten(aggregate).Errors()
		}

		return []error{err}
	}

	if !strings.HasPrefix(fmt.Sprintf("%T", err), "*errors.") { // fmt.Errorf with several %w
		return []error{err}
	}

	var all []error
	for _, single := range joined.Unwrap() {
		all = append(all, split(single)...)
	}

	return all
}

// code gives errors of libraries the code and the hint that they deserve. Those that have a code keep it.
func code(err error) error {
	var (
		coded  *exit.Error
		netErr *net.OpError
	)

	switch {
	case errors.As(err, &coded):
		return err
	case apierrors.IsForbidden(err):
		return exit.New(exit.NotPermitted, err, "")
	case apierrors.IsUnauthorized(err):
		return exit.New(exit.NotPermitted, err, "the API server does not know you: check the user of your kubeconfig (kubectl config current-context, kubectl auth whoami)")
	case genericclioptions.IsNoCompatiblePrinterError(err):
		return exit.New(exit.Usage, err, "")
	case clientcmd.IsEmptyConfig(err):
		return exit.New(exit.Usage, err, "name a kubeconfig with --kubeconfig or the KUBECONFIG environment variable")
	case clientcmd.IsContextNotFound(err), clientcmd.IsConfigurationInvalid(err):
		return exit.New(exit.Usage, err, "kubectl config get-contexts")
	case errors.As(err, &netErr):
		return exit.New(exit.ToolFailed, err, "the API server does not answer: kubectl cluster-info")
	case strings.HasPrefix(err.Error(), "unknown command"), strings.HasPrefix(err.Error(), "unknown help topic"):
		return exit.New(exit.Usage, err, "kubectl kanister --help")
	default:
		return err
	}
}
