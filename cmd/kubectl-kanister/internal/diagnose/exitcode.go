package diagnose

import (
	"fmt"
	"syscall"
)

// ExitCode says what a container's exit code means, without the number; "" when it means nothing in particular.
func ExitCode(code int) string {
	switch {
	case code == 126:
		return "the command is not executable"
	case code == 127:
		return "the command was not found in the image"
	case code == 128+int(syscall.SIGKILL):
		return "killed (SIGKILL): out of memory, or not ended in its grace period"
	case code == 128+int(syscall.SIGTERM):
		return "told to end (SIGTERM): deleted, evicted or drained"
	case code > 128 && code < 128+65:
		return fmt.Sprintf("ended by signal %d (%s)", code-128, syscall.Signal(code-128))
	default:
		return ""
	}
}
