package app

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
)

// completeGlobals completes the values of the flags that all commands take.
func completeGlobals(root *cobra.Command, getter genericclioptions.RESTClientGetter) {
	for name, complete := range map[string]cobra.CompletionFunc{
		"namespace": complete.Namespaces(getter),
		"context":   complete.Contexts(getter),
		"cluster":   complete.Clusters(getter),
		"user":      complete.Users(getter),
	} {
		_ = root.RegisterFlagCompletionFunc(name, complete) // only fails without the flag
	}
}
