package app

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
)

const exitCodes = `Exit codes of every command:

  0    done
  1    the plugin itself could not do its work
  2    usage: the command line, a file or a name that was given is wrong
  3    the run failed, was cancelled or could not start
  4    some of several targets failed
  5    still running at --timeout; the run goes on
  6    not permitted: rights are missing
  130  interrupted (Ctrl-C): detached; the run goes on

Standard output carries only what -o or --progress=json asked for; all talk goes to standard error.
`

// topics are help texts without a command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodes},
		{Use: "json-lines", Short: "What --progress=json prints", Long: ui.JSONSchema},
	}
}

func newOptions(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:     "options",
		Short:   "List the flags that all commands take",
		Example: "  kubectl kanister options",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := streams.Out.Write([]byte("The following flags can be passed to any command:\n\n" + cmd.Root().PersistentFlags().FlagUsages()))

			return err
		},
	}
}
