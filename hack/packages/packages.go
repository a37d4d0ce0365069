// Package packages installs what the test bed needs of Debian.
package packages

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/hack/progress"
)

// Install installs the packages that are missing, if any.
func Install(ctx context.Context, log io.Writer, names ...string) error {
	var missing []string
	for _, name := range names {
		out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name).Output()
		if err != nil || !strings.HasPrefix(string(out), "ii") {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fmt.Fprintf(log, "installing Debian packages: %s\n", strings.Join(missing, " "))
	if err := Update(ctx, log); err != nil {
		return err
	}
	return aptGet(ctx, log, append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
}

// Update fetches the lists of what Debian has.
func Update(ctx context.Context, log io.Writer) error { return aptGet(ctx, log, "update") }

func aptGet(ctx context.Context, log io.Writer, args ...string) error {
	// Another process may be installing something at the moment.
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o=DPkg::Lock::Timeout=600"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return progress.Run(log, "apt-get "+args[0], cmd)
}
