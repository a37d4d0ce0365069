package native

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a daemon of the cluster. Adding one is one entry in components.go.
type process struct {
	name string
	path string
	args []string
	env  []string
	// ready returns when the process does its work, or when ctx ends says why it does not. Nil: being alive is enough.
	ready func(ctx context.Context) error
	// inputs are configuration files; when their content or the arguments change, the process is started anew.
	inputs []string
	// follows names a process with which this one must be started anew: a CSI sidecar ends when its driver does.
	follows string
}

// startTimeout bounds how long a process may take to be ready; on a busy machine a fresh API server needs most of a minute.
const startTimeout = 2 * time.Minute

// mark is what a pid file holds. Begin, in clock ticks since boot, tells the process from a later one with the same pid.
type mark struct {
	PID    int    `json:"pid"`
	Begin  string `json:"begin"`
	Digest string `json:"digest"`
}

func (p process) digest() (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q", p.path, p.args, p.env)

	for _, file := range append([]string{p.path}, p.inputs...) {
		if file == p.path {
			info, err := os.Stat(file)
			if err != nil {
				return "", fmt.Errorf("looking at the program of %s: %w", p.name, err)
			}

			fmt.Fprintf(h, "%d %s", info.Size(), info.ModTime())

			continue
		}

		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading configuration of %s: %w", p.name, err)
		}

		h.Write(data)
	}

	return hex.EncodeToString(h.Sum(nil)), nil
}

func (c *Cluster) pidFile(name string) string { return c.path("run", name+".pid") }

// running finds a live process that was started under this name.
func (c *Cluster) running(name string) (mark, bool) {
	var m mark

	data, err := os.ReadFile(c.pidFile(name))
	if err != nil || json.Unmarshal(data, &m) != nil {
		return mark{}, false
	}

	return m, m.Begin != "" && begin(m.PID) == m.Begin
}

// begin is the start time of a live process in clock ticks, "" for one that is gone or a zombie: pid 1 of a container may never
// reap it, and signal 0 still reaches it.
func begin(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the command in parentheses and may hold blanks.
	_, rest, found := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)

	if !found || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}

	return fields[19]
}

// launch starts p unless it runs already with the same program, arguments and configuration, and tells whether it did. It does
// not wait for readiness.
func (c *Cluster) launch(p process) (started bool, err error) {
	digest, err := p.digest()
	if err != nil {
		return false, err
	}

	if m, ok := c.running(p.name); ok {
		if m.Digest == digest {
			return false, nil
		}

		if err := c.stop(p.name); err != nil {
			return false, err
		}
	}

	return true, c.spawn(p, digest)
}

func (c *Cluster) spawn(p process, digest string) error {
	log, err := os.OpenFile(c.log(p.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("opening log of %s: %w", p.name, err)
	}
	defer log.Close()

	fmt.Fprintf(log, "--- %s start: %s %s\n", time.Now().UTC().Format(time.RFC3339), p.path, strings.Join(p.args, " "))

	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/root", "TZ=UTC"}, p.env...)
	cmd.Dir = c.Home
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	// Reaped here while this command lives; afterwards by pid 1.
	go func() { _ = cmd.Wait() }()

	data, err := json.Marshal(mark{PID: cmd.Process.Pid, Begin: begin(cmd.Process.Pid), Digest: digest})
	if err != nil {
		return err
	}

	return os.WriteFile(c.pidFile(p.name), data, 0o644)
}

// await waits until p is ready, and fails at once when it died.
func (c *Cluster) await(ctx context.Context, p process) error {
	if p.ready == nil {
		p.ready = func(context.Context) error { return nil }
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	var last error

	for {
		if _, ok := c.running(p.name); !ok {
			return c.blame(p.name, errors.New("it died"))
		}

		attempt, done := context.WithTimeout(ctx, 10*time.Second)
		err := p.ready(attempt)

		done()

		if err == nil {
			return nil
		}

		if ctx.Err() == nil || last == nil {
			last = err
		}

		select {
		case <-ctx.Done():
			return c.blame(p.name, last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// blame says which part did not start, with the end of its log.
func (c *Cluster) blame(name string, err error) error {
	return fmt.Errorf("starting %s: %w; the end of %s:\n%s", name, err, c.log(name), tail(c.log(name), 15))
}

func tail(file string, lines int) []byte {
	data, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}

	all := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))

	return bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
}

// stop ends the process of this name, if it is one of ours, and waits until it is gone.
func (c *Cluster) stop(name string) error {
	m, ok := c.running(name)
	if ok {
		if err := syscall.Kill(m.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping %s: %w", name, err)
		}

		for began := time.Now(); begin(m.PID) == m.Begin; time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > 15*time.Second {
				_ = syscall.Kill(m.PID, syscall.SIGKILL)
			}

			if time.Since(began) > 20*time.Second {
				return fmt.Errorf("stopping %s: process %d does not end", name, m.PID)
			}
		}
	}

	if err := os.Remove(c.pidFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	return nil
}
