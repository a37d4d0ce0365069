package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ExecOptions describe a command to run in a running container.
type ExecOptions struct {
	Namespace, Pod string
	// Container may be empty if the pod has only one.
	Container string
	Command   []string
	// Stdin is copied to the command if it is not nil; it need not end.
	Stdin io.Reader
	// Stdout and Stderr may be nil. They are written to by one goroutine each.
	Stdout, Stderr io.Writer
	// Material are the secret values that must not show in the request's address.
	Material Material
	// Direct sends even a command with secrets in the address, for containers without a shell.
	Direct bool
}

// Exec runs a command in a container, without a terminal, over a websocket or, where a proxy in between knows none, SPDY. A
// command that holds a secret is handed to a shell in the container through its stdin, because the address of the request
// ends up in audit logs; a container that has no shell is an *Error with ReasonNoShell, and nothing was run.
//
// A command that ended with another code than 0 is an *Error with ReasonExit and Exit; a lost connection one with
// ReasonConnectionLost (the command may go on); a container that was restarted or deleted meanwhile is told apart.
// Needs create and get on pods/exec, and, for the last, get on pods.
func (c *Client) Exec(ctx context.Context, o ExecOptions) error {
	command, stdin := o.Command, o.Stdin
	hidden := !o.Direct && o.Material.InAny(command)

	if hidden {
		command, stdin = throughShell(o.Command, o.Stdin)
	}

	began := c.clock().Now()
	complaint := NewTail(3)
	stderr := io.Writer(complaint)

	if o.Stderr != nil {
		stderr = io.MultiWriter(o.Stderr, complaint)
	}

	err := c.stream(ctx, o, command, stdin, stderr)

	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}

	return c.execError(ctx, o, hidden, began, complaint.Lines(), err)
}

// stream runs the request itself.
func (c *Client) stream(ctx context.Context, o ExecOptions, command []string, stdin io.Reader, stderr io.Writer) error {
	request := c.Clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(o.Namespace).Name(o.Pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: o.Container, Command: command, Stdin: stdin != nil, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)

	websocket, err := remotecommand.NewWebSocketExecutor(c.Config, http.MethodGet, request.URL().String())
	if err != nil {
		return fmt.Errorf("preparing the websocket: %w", err)
	}

	spdy, err := remotecommand.NewSPDYExecutor(c.Config, http.MethodPost, request.URL())
	if err != nil {
		return fmt.Errorf("preparing SPDY: %w", err)
	}

	executor, err := remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return fmt.Errorf("preparing the connection: %w", err)
	}

	stdout := o.Stdout
	if stdout == nil {
		stdout = io.Discard
	}

	// While the API server does not answer the first request, the library does not look at ctx: it is left alone then. The goroutine ends
	// with the connection.
	done := make(chan error, 1)

	go func() {
		done <- executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: stderr})
	}()

	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}

	select {
	case err := <-done:
		return err
	case <-c.clock().After(execGrace):
		return ctx.Err()
	}
}

// execGrace is how long a cancelled exec may take to end.
const execGrace = 3 * time.Second

// execError tells what an error of an exec means.
func (c *Client) execError(ctx context.Context, o ExecOptions, hidden bool, began time.Time, complaint []string, err error) error {
	where := fmt.Sprintf("pod %q in namespace %q", o.Pod, o.Namespace)
	if o.Container != "" {
		where = fmt.Sprintf("container %q of %s", o.Container, where)
	}

	e := &Error{Pod: &record.PodRef{Namespace: o.Namespace, Name: o.Pod}, Err: err}

	var exit utilexec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		e.Exit, e.Reason, e.Err = ptr.To(exit.ExitStatus()), ReasonExit, nil
		e.Message = fmt.Sprintf("the command in %s ended with exit code %d", where, exit.ExitStatus())

		if hidden && noShell(strings.Join(complaint, "\n")) {
			return withoutShell(e, where)
		}

		// 137 is SIGKILL: the container may have died around the command.
		if exit.ExitStatus() == 137 {
			c.container(ctx, o, began, e, where)
		}

		return e
	}

	if hidden && noShell(err.Error()) {
		return withoutShell(e, where)
	}

	text := err.Error()

	switch {
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "OCI runtime exec failed"):
		e.Reason, e.Message = ReasonContainerStart, fmt.Sprintf("starting the command %q in %s", first(o.Command), where)
	case strings.Contains(text, "container not found"), strings.Contains(text, "is not valid for pod"):
		e.Reason, e.Message = ReasonContainerMissing, "running a command in "+where
		e.Hint = fmt.Sprintf("kubectl get pod -n %s %s -o jsonpath='{.spec.containers[*].name}'", o.Namespace, o.Pod)
	case strings.Contains(text, "a container name must be specified"):
		e.Reason, e.Message = ReasonContainerMissing, "running a command in "+where
		e.Hint = "the pod has several containers: set the container argument"
	case apierrors.IsNotFound(err), strings.Contains(text, fmt.Sprintf("pods %q not found", o.Pod)):
		e.Reason, e.Message = ReasonPodMissing, "running a command in "+where
		e.Hint = "kubectl get pods -n " + o.Namespace
	case apierrors.IsForbidden(err), strings.Contains(text, "forbidden"):
		e.Reason, e.Message = ReasonAccessDenied, "running a command in "+where
		e.Hint = fmt.Sprintf("kubectl auth can-i create pods/exec -n %s (get is needed as well)", o.Namespace)
	default:
		e.Reason, e.Message = ReasonConnectionLost, fmt.Sprintf("the connection to the command in %s broke; whether the command went on is not known", where)
		c.container(ctx, o, began, e, where)
	}

	return e
}

// container looks whether the container was restarted, or the pod deleted, since began. The kubelet reports an end later than
// the connection does, so it looks for some seconds. Without the right to get pods it finds nothing.
func (c *Client) container(ctx context.Context, o ExecOptions, began time.Time, e *Error, where string) {
	for range 6 {
		pod, err := c.Clientset.CoreV1().Pods(o.Namespace).Get(ctx, o.Pod, metav1.GetOptions{})

		switch {
		case apierrors.IsNotFound(err):
			e.Reason, e.Message = ReasonPodDeleted, where+" was deleted while the command ran"

			return
		case transient(err):
		case err != nil:
			return
		case pod.DeletionTimestamp != nil:
			e.Reason, e.Message = ReasonPodDeleted, where+" is being deleted; it was while the command ran"

			return
		case ended(pod, o.Container, began, e, where):
			return
		}

		if c.Sleep(ctx, 500*time.Millisecond) != nil {
			return
		}
	}
}

// ended tells whether the container has ended since began, and explains that in e.
func ended(pod *corev1.Pod, container string, began time.Time, e *Error, where string) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if container != "" && status.Name != container {
			continue
		}

		for _, terminated := range []*corev1.ContainerStateTerminated{status.State.Terminated, status.LastTerminationState.Terminated} {
			// Stamps have whole seconds, and another machine's clock.
			if terminated == nil || terminated.FinishedAt.Add(2*time.Second).Before(began) {
				continue
			}

			e.Reason = ReasonInterrupted
			e.Message = fmt.Sprintf("%s was restarted while the command ran: it had ended with exit code %d (%s)", where, terminated.ExitCode, terminated.Reason)

			if terminated.Reason == "OOMKilled" {
				e.Reason = ReasonOOMKilled
				e.Hint = "the command ran within the container's memory limit: raise that limit, or use less memory"
			}

			return true
		}
	}

	return false
}

func first(command []string) string {
	if len(command) == 0 {
		return ""
	}

	return command[0]
}
