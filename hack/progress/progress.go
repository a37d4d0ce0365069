// Package progress runs commands that take minutes so that nobody wonders whether they still do.
package progress

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// interval of the lines that say how long a command has taken so far.
const interval = 15 * time.Second

// Run runs cmd, whose output must not be set, and writes a line to log every 15 seconds. What the command printed is
// shown only when it fails: the last 40 lines, in the error.
func Run(log io.Writer, what string, cmd *exec.Cmd) error {
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", what, err, lastLines(out.String(), 40))
			}
			return nil
		case <-tick.C:
			fmt.Fprintf(log, "  %s: %s so far\n", what, time.Since(begin).Round(time.Second))
		}
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
