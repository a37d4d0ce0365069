package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// installMain copies this program into a directory that it shares with a container of another image, which lacks it.
func installMain(_ context.Context, args []string, _ io.Reader, _, errOut io.Writer) int {
	if len(args) != 1 {
		say(errOut, "usage: install FILE\n")

		return ExitUsage
	}

	if err := install(args[0]); err != nil {
		say(errOut, "%v\n", err)

		return ExitCrashed
	}

	return ExitComplete
}

// install makes the file complete or not at all.
func install(target string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}

	from, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("opening this program: %w", err)
	}
	defer from.Close() // read only

	to, err := os.OpenFile(target+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("installing into %q: %w", filepath.Dir(target), err)
	}

	if _, err = io.Copy(to, from); err == nil {
		err = to.Chmod(0o755)
	}

	if closeErr := to.Close(); err == nil {
		err = closeErr
	}

	if err == nil {
		err = os.Rename(target+".new", target)
	}

	if err != nil {
		return fmt.Errorf("installing %q: %w", target, err)
	}

	return nil
}
