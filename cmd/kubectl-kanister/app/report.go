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

	err = code(err)

	var coded *exit.Error
	if errors.As(err, &coded) && coded.Reported {
		return coded.Code
	}

	for i, single := range flatten(err) {
		if i == 0 || single.Error() != "" {
			fmt.Fprintf(out, "error: %s\n", single)
		}
	}

	if hint := exit.HintOf(err); hint != "" {
		fmt.Fprintf(out, "hint: %s\n", hint)
	}

	return exit.Of(err)
}

// flatten lists the errors of an aggregate, so that each is one line.
func flatten(err error) []error {
	if aggregate, ok := err.(utilerrors.Aggregate); ok { //nolint:errorlint // a wrapped aggregate has a text of its own
		return utilerrors.Flatten(aggregate).Errors()
	}

	return []error{err}
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
