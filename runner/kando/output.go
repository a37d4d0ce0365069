package kando

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kubectl-kanister/kubectl-kanister/runner/output"
)

func newCmdOutput(streams Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "output KEY VALUE",
		Short:   "Hand VALUE over to the phase that runs this command",
		Long:    "Hand VALUE over to the phase that runs this command. Later phases read it as {{ .Phases.NAME.Output.KEY }}.",
		Example: `kando output version "$(postgres --version)"`,
		Args:    exactly("KEY", "VALUE"),
		RunE: func(_ *cobra.Command, args []string) error {
			line, err := output.Line(args[0], args[1])
			if err != nil {
				return err
			}

			if _, err := io.WriteString(streams.Out, line); err != nil {
				return fmt.Errorf("writing output %q: %w", args[0], err)
			}

			return nil
		},
	}
}
