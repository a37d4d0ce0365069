// Package exec holds the functions that run commands in running containers: KubeExec and KubeExecAll.
package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/output"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/toolimage"
)

// target is one container and what to run in it.
type target struct {
	namespace, pod, container string
	command                   []string
}

func (t target) source() string {
	if t.container == "" {
		return t.pod
	}

	return t.pod + "/" + t.container
}

// command runs t and gives the outputs that it wrote to stdout.
func command(ctx context.Context, run *functions.Run, t target) (map[string]any, error) {
	log := func(line string) { run.Journal.Log(t.source(), line) }
	parser := &output.Parser{Log: log}
	stderr := &lines{log: log}
	outTail, errTail := kube.NewTail(10), kube.NewTail(10)

	run.Journal.Pod(record.PodRef{Namespace: t.namespace, Name: t.pod})

	// An output that cannot be read fails the phase at once; the command is left to its end by nobody then.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	options := kube.ExecOptions{
		Namespace: t.namespace, Pod: t.pod, Container: t.container, Command: t.command, Material: run.Material(),
		Stdout: &strict{writer: io.MultiWriter(outTail, parser), fail: cancel},
		Stderr: io.MultiWriter(errTail, stderr),
	}

	err := run.Kube.Exec(ctx, options)
	if kube.IsReason(err, kube.ReasonNoShell) {
		run.Journal.Warn(fmt.Sprintf("the command for %s holds a value of a Secret, and the container has no shell to hand it to: "+
			"the value went into the address of an API request, which audit logs may keep", t.source()))

		options.Direct = true
		err = run.Kube.Exec(ctx, options)
	}

	stderr.flush()

	// What the parser found wrong comes first: it is why the connection was cut.
	var invalid *output.InvalidError
	if errors.As(context.Cause(ctx), &invalid) {
		return nil, &kube.Error{
			Reason: kube.ReasonOutput, Message: "the command in " + t.source() + " wrote an invalid output", Err: invalid,
			Pod: &record.PodRef{Namespace: t.namespace, Name: t.pod},
		}
	}

	if err != nil {
		return nil, withoutKando(withTails(err, outTail.Lines(), errTail.Lines()), t)
	}

	if err := parser.Close(); err != nil {
		return nil, &kube.Error{Reason: kube.ReasonOutput, Message: "the command in " + t.source() + " wrote an invalid output", Err: err}
	}

	return parser.Outputs(), nil
}

// withTails adds the last lines of both streams to the error of a command, told apart if there are both.
func withTails(err error, stdout, stderr []string) error {
	var e *kube.Error
	if !errors.As(err, &e) {
		return err
	}

	if len(stdout) > 0 && len(stderr) > 0 {
		for i := range stdout {
			stdout[i] = "stdout: " + stdout[i]
		}

		for i := range stderr {
			stderr[i] = "stderr: " + stderr[i]
		}
	}

	e.LastLogs = append(stdout, stderr...)

	return err
}

// notFound is the exit code of a shell that does not find a command.
const notFound = 127

// withoutKando says what to do about a container that lacks kando: it runs already, and nothing can be mounted into it.
func withoutKando(err error, t target) error {
	var e *kube.Error
	if !errors.As(err, &e) || e.Hint != "" || !toolimage.Mentions(t.command...) {
		return err
	}

	lacks := kube.IsReason(err, kube.ReasonContainerStart) && toolimage.Mentions(t.command[0])

	if e.Exit != nil && *e.Exit == notFound {
		lacks = slices.ContainsFunc(e.LastLogs, func(line string) bool { return toolimage.Mentions(line) })
	}

	if lacks {
		e.Hint = "the container has no kando: run the command with KubeTask, whose pods are given it, or put kando into the container's image"
	}

	return err
}

// strict ends the command as soon as its writer fails. It hides the error from the connection's own log, where the text of
// the output does not belong.
type strict struct {
	writer io.Writer
	fail   context.CancelCauseFunc
}

func (s *strict) Write(p []byte) (int, error) {
	if _, err := s.writer.Write(p); err != nil {
		s.fail(err)
	}

	return len(p), nil
}

// lines is a writer that passes on whole lines, long ones in parts.
type lines struct {
	log func(string)
	mu  sync.Mutex
	buf []byte
}

const longestLine = 16 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.buf = append(l.buf, p...)

	for {
		i := bytes.IndexByte(l.buf, '\n')

		switch {
		case i >= 0:
			l.emit(l.buf[:i])
			l.buf = l.buf[i+1:]
		case len(l.buf) > longestLine:
			l.emit(l.buf[:longestLine])
			l.buf = l.buf[longestLine:]
		default:
			return len(p), nil
		}
	}
}

func (l *lines) emit(line []byte) {
	l.log(strings.ToValidUTF8(strings.TrimSuffix(string(line), "\r"), "\uFFFD"))
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()

	if len(l.buf) > 0 {
		l.emit(l.buf)
		l.buf = nil
	}
}
