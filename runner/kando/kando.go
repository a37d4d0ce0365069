// Package kando is the kando command line, word for word as blueprints call it in their containers (COMPAT §5.1). Where upstream's
// behaviour loses data, ours does not, and the command's help says so.
package kando

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Streams are those of the process.
type Streams struct {
	In     io.Reader
	Out    io.Writer
	ErrOut io.Writer
}

// ExitError is the exit code of every error, as upstream's (COMPAT §0.10).
const ExitError = 69

// collectAt is the growth of the heap, in percent, at which garbage is collected. kando runs inside the memory limit of a database's
// container: Go's 100 would hold twice the buffers of an upload.
const collectAt = 20

// Main is kando: args are those after its name. It returns the exit code.
func Main(ctx context.Context, args []string, streams Streams, version string) int {
	debug.SetGCPercent(collectAt)
	dropStartup()

	cmd := NewCmdKando(streams, version)
	cmd.SetArgs(args)

	ran, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}

	var other exitError
	if errors.As(err, &other) {
		if other.err != nil {
			_, _ = fmt.Fprintf(streams.ErrOut, "kando: %v\n", other.err)
		}

		return other.code
	}

	_, _ = fmt.Fprintf(streams.ErrOut, "kando: %v\n", err)

	var wrong usageError
	if errors.As(err, &wrong) {
		_, _ = fmt.Fprint(streams.ErrOut, ran.UsageString())
	}

	return ExitError
}

// usageError is a wrong command line.
type usageError struct{ error }

// NewCmdKando is the command tree.
func NewCmdKando(streams Streams, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "kando",
		Short:         "Move data and hand over outputs from inside the containers of a blueprint",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          known,
		RunE:          help,
	}

	cmd.PersistentFlags().StringP("verbosity", "v", "warning", "accepted for upstream's sake; errors are always shown, nothing else is")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	cmd.SetIn(streams.In)
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(newCmdOutput(streams), newCmdLocation(streams), newCmdChronicle(streams), newCmdStream(streams), newCmdProcess(streams))

	return cmd
}

// known refuses words that are no command; help is what a group of commands does by itself.
func known(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())}
	}

	return nil
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// exactly is cobra.ExactArgs with a message that says what is wanted.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usageError{fmt.Errorf("%s needs %d arguments (%v) and was given %d", cmd.CommandPath(), len(names), names, len(args))}
		}

		return nil
	}
}
