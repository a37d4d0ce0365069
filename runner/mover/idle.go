package mover

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// An ephemeral container gets no Secret mounted, and nothing can be added to its pod, so the request reaches it by the stdin of an
// exec. Its own process only waits for that; it cannot be deleted afterwards, so it must end by itself.
const (
	// idleLimit bounds its life if nobody comes or the connection is lost.
	idleLimit = 24 * time.Hour
	// startLimit bounds the wait for somebody to come.
	startLimit = 10 * time.Minute
)

func pidFile() string { return filepath.Join(os.TempDir(), "kanister-mover.pid") }

func idle(ctx context.Context, errOut io.Writer) int {
	if err := os.WriteFile(pidFile(), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		_, _ = fmt.Fprintf(errOut, "waiting for a request: %v\n", err)

		return exitFailed
	}

	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGUSR2)
	defer cancel()

	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGUSR1)

	defer signal.Stop(arrived)

	patience := time.NewTimer(startLimit)
	defer patience.Stop()

	for {
		select {
		case <-arrived:
			patience.Reset(idleLimit)
		case <-ctx.Done():
			return exitDone
		case <-patience.C:
			_, _ = io.WriteString(errOut, "nobody came with a request\n")

			return exitFailed
		}
	}
}

// endIdle ends the idle process of this container, if there is one.
func endIdle() { signalIdle(syscall.SIGTERM) }

func signalIdle(s os.Signal) {
	text, err := os.ReadFile(pidFile())
	if err != nil {
		return
	}

	pid, err := strconv.Atoi(string(text))
	if err != nil || pid <= 0 {
		return
	}

	if process, err := os.FindProcess(pid); err == nil {
		_ = process.Signal(s)
	}
}
