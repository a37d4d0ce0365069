package app

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// addCommands adds all commands, by group.
func addCommands(root *cobra.Command, _ genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) {
	root.AddCommand(newOptions(streams))
	root.AddCommand(topics()...)
}
