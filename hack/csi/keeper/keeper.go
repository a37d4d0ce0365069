// Package keeper keeps a program running: CSI sidecars end themselves when they lose the driver, and count on a kubelet to
// start them again.
package keeper

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Keeper runs one program again and again.
type Keeper struct {
	// Command is the program and its arguments.
	Command []string
	// Pause before a program that ended is started again.
	Pause time.Duration
	// Grace is how long the program may take to end after SIGTERM.
	Grace time.Duration
	Log   *slog.Logger
}

// Run keeps the program running until ctx ends, then sends it SIGTERM and waits for it. It returns early only with the
// error that the program cannot be started at all.
func (k Keeper) Run(ctx context.Context) error {
	// The kernel ends the program when the thread that started it goes, so that not even a killed keeper leaves it behind.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		cmd := exec.CommandContext(ctx, k.Command[0], k.Command[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = k.Grace
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		err := cmd.Wait()
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("exit status 0")
		}
		k.Log.Error("starting again what ended", "program", k.Command[0], "end", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(k.Pause):
		}
	}
}
