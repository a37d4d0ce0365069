package kube

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// lastLines is how many lines of a log go into a failure.
const lastLines = 10

// Run sees a pod through to its end: it waits for the start, copies the whole log of its container to sink as it is written,
// and waits for the end. Every line reaches sink exactly once, whatever connections break. A failed pod is an *Error with the
// last log lines and the pod's warnings; an error of sink ends the wait and is returned as it is. It does not delete the pod.
func (p *Pod) Run(ctx context.Context, sink io.Writer) error {
	if _, err := p.WaitStarted(ctx); err != nil {
		return p.explain(ctx, err, nil)
	}

	tail := NewTail(lastLines)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	ended := make(chan struct{})
	logs := make(chan error, 1)

	var others sync.WaitGroup

	for name, to := range p.Logs {
		others.Go(func() {
			// For the reader only: what they miss changes nothing.
			_ = (&logReader{client: p.client, namespace: p.Namespace, pod: p.Name, name: name, sink: to}).follow(ctx, ended)
		})
	}

	defer others.Wait()

	go func() {
		reader := &logReader{client: p.client, namespace: p.Namespace, pod: p.Name, name: p.container, sink: io.MultiWriter(tail, sink)}
		err := reader.follow(ctx, ended)

		// Nothing is lost by an early end of the wait: the sink refused the output, the phase has failed.
		if err != nil {
			cancel()
		}

		logs <- err
	}()

	_, err := p.WaitEnded(ctx)
	close(ended)

	// A pod that is gone has no log any more.
	if IsReason(err, ReasonPodDeleted) || IsReason(err, ReasonNodeLost) {
		cancel()
	}

	readErr := <-logs

	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		return p.explain(ctx, err, tail.Lines())
	case readErr != nil:
		return readErr
	default:
		return err
	}
}

// explain adds log lines and warnings to an error about the pod.
func (p *Pod) explain(ctx context.Context, err error, lines []string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}

	blamed := p.blamed()
	if blamed != p.container {
		lines = nil // they are of another container
	}

	if len(lines) > 0 {
		e.LastLogs = lines
	} else if (len(e.LastLogs) == 0 || blamed != p.container) && startedOnce(p.latest, blamed) {
		if read := p.client.LastLogs(ctx, p.Namespace, p.Name, blamed); len(read) > 0 {
			e.LastLogs = read
		}
	}

	if len(e.Events) == 0 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
		defer cancel()

		e.Events = p.client.Warnings(ctx, p.Namespace, p.Name)
	}

	return e
}

// LastLogs are the last lines of a container's log; none if they cannot be read.
func (c *Client) LastLogs(ctx context.Context, namespace, pod, container string) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()

	stream, err := c.Clientset.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, TailLines: ptr.To[int64](lastLines), LimitBytes: ptr.To[int64](logBuffer),
	}).Stream(ctx)
	if err != nil {
		return nil
	}
	defer func() { _ = stream.Close() }()

	tail := NewTail(lastLines)
	if _, err := io.Copy(tail, stream); err != nil && !strings.Contains(err.Error(), "EOF") {
		return nil
	}

	return tail.Lines()
}

// PodOf reads a pod.
func (c *Client) PodOf(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	var pod *corev1.Pod

	err := c.Retry(ctx, func(ctx context.Context) (err error) {
		pod, err = c.Clientset.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})

		return err
	})

	return pod, err
}
