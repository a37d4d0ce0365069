package kanx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// process is one of the server's.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *spool
	done           chan struct{}
	err            error // of its end; set before done is closed
}

// start starts a command, whose output goes to files in dir and on to log.
func start(dir, name string, args []string, out, errOut io.Writer) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})} // what the server is for

	var err error
	if p.stdout, err = newSpool(dir, "kando.*.stdout", out); err != nil {
		return nil, err
	}

	if p.stderr, err = newSpool(dir, "kando.*.stderr", errOut); err != nil {
		return nil, errors.Join(err, p.stdout.remove())
	}

	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr

	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %q: %w", name, err), p.remove())
	}

	go func() { // ends with the process
		p.err = p.cmd.Wait()
		close(p.done)
		p.stdout.end()
		p.stderr.end()
	}()

	return p, nil
}

func (p *process) remove() error { return errors.Join(p.stdout.remove(), p.stderr.remove()) }

func (p *process) describe() Process {
	d := Process{PID: int64(p.cmd.Process.Pid), State: Running}

	select {
	case <-p.done:
	default:
		return d
	}

	d.State = Succeeded
	if p.err != nil {
		d.State, d.ExitErr = Failed, p.err.Error()

		var exit *exec.ExitError
		if errors.As(p.err, &exit) {
			d.ExitCode = int64(exit.ExitCode())
		}
	}

	return d
}

// spool keeps what a process writes, in a file, for any number of readers, who wait for more until it has ended.
type spool struct {
	file *os.File
	also io.Writer

	mu    sync.Mutex
	grown chan struct{} // closed when there is more, or no more
	size  int64
	ended bool
}

func newSpool(dir, pattern string, also io.Writer) (*spool, error) {
	file, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, fmt.Errorf("making a file for the output: %w", err)
	}

	return &spool{file: file, also: also, grown: make(chan struct{})}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	_, _ = s.also.Write(p[:n]) // the server's own log

	s.mu.Lock()
	defer s.mu.Unlock()

	s.size += int64(n)
	s.wake()

	return n, err
}

func (s *spool) end() {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.ended = true
	s.wake()
}

func (s *spool) wake() {
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *spool) state() (size int64, ended bool, grown <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.size, s.ended, s.grown
}

func (s *spool) remove() error {
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
