// Package app is the runner's binary without its functions: a third party's main imports its own functions and calls Main.
package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/dump"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kando"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
)

// Version of the runner; stamped by the linker.
var Version = "dev"

// Exit codes of the runner, read by the Job's podFailurePolicy.
const (
	ExitComplete    = 0
	ExitCrashed     = 1   // the run is not finished, for a reason of ours: the Job starts another pod
	ExitFailed      = 3   // the run failed or was cancelled, and says so in its record: no other pod
	ExitUsage       = 64  // as ExitCrashed, but trying again will not help; Go's own 2 is that of a panic
	ExitInterrupted = 143 // told to stop: the Job starts another pod, which goes on
)

// word is one thing that the binary can be.
type word struct {
	name, does string
	main       func(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int
}

func words() []word {
	return []word{
		{"run", "execute the run whose input is mounted in this pod", runMain},
		{"mover", "move data between a mounted directory and a repository", mover.Main},
		{"dump", "move databases between a PostgreSQL server and an object of a location", dump.Main},
		{"install", "copy this program to a file that containers of other images can run", installMain},
		{"kando", "what blueprints call inside containers: output, location", kandoMain},
		{"version", "print the version", versionMain},
	}
}

// Main is the binary: args are those of the process, the first its name. It returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	time.Local = time.UTC // .Time and the date functions of templates do not depend on the image

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	all := words()
	find := func(name string) int { return slices.IndexFunc(all, func(w word) bool { return w.name == name }) }

	if len(args) > 0 {
		if i := find(filepath.Base(args[0])); i >= 0 && all[i].name != "version" {
			return all[i].main(ctx, args[1:], in, out, errOut)
		}
	}

	if len(args) > 1 {
		if i := find(args[1]); i >= 0 {
			return all[i].main(ctx, args[2:], in, out, errOut)
		}
	}

	return usage(args, all, errOut)
}

func usage(args []string, all []word, errOut io.Writer) int {
	if len(args) > 1 {
		say(errOut, "%q is no word of this program.\n", args[1])
	}

	say(errOut, "This is the runner of kubectl kanister: it runs in pods that the plugin makes. Its words are:\n")

	for _, w := range all {
		say(errOut, "  %-8s %s\n", w.name, w.does)
	}

	return ExitUsage
}

// say writes to people; nothing can be done about a closed stderr.
func say(w io.Writer, format string, args ...any) {
	_, _ = io.WriteString(w, fmt.Sprintf(format, args...))
}

func versionMain(_ context.Context, _ []string, _ io.Reader, out, _ io.Writer) int {
	say(out, "%s\n", Version)

	return ExitComplete
}

func kandoMain(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	return kando.Main(ctx, args, kando.Streams{In: in, Out: out, ErrOut: errOut}, Version)
}

func runMain(ctx context.Context, args []string, _ io.Reader, out, errOut io.Writer) int {
	if len(args) > 0 {
		say(errOut, "run takes no arguments, and was given %s\n", strings.Join(args, " "))

		return ExitUsage
	}

	return InCluster(out).Run(ctx)
}
