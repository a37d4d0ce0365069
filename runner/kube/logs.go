package kube

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// logBuffer is how much of a log is held in memory; lines may be longer.
const logBuffer = 64 * 1024

// logReader copies a container's log to a writer once and whole, over as many connections as it takes. Every line comes with
// its time stamp. After a break the log is read again from the second before the latest stamp, and the lines that were
// delivered since are skipped by their number: two streams write the log, so stamps are not quite in order. Of a line that
// broke off, the delivered part is skipped.
type logReader struct {
	client               *Client
	namespace, pod, name string
	sink                 io.Writer

	latest    time.Time // latest stamp delivered
	now, prev int       // whole lines delivered with a stamp in the second of latest, and in the one before
	last      string    // stamp of the line delivered last
	began     string    // stamp of the line that is being delivered; "" between lines
	sent      int       // bytes of it that were delivered
}

// errSink marks an error of the sink, which ends the reading for good.
type errSink struct{ error }

func (e errSink) Unwrap() error { return e.error }

// read copies what there is, following the log if follow is set, until it ends or breaks.
func (r *logReader) read(ctx context.Context, follow bool) error {
	options := &corev1.PodLogOptions{Container: r.name, Follow: follow, Timestamps: true}

	if !r.latest.IsZero() {
		options.SinceTime = ptr.To(metav1.NewTime(r.latest.Truncate(time.Second).Add(-time.Second)))
	}

	stream, err := r.client.Clientset.CoreV1().Pods(r.namespace).GetLogs(r.pod, options).Stream(ctx)
	if err != nil {
		return fmt.Errorf("reading the log of container %q of pod %q: %w", r.name, r.pod, err)
	}
	defer func() { _ = stream.Close() }()

	return r.copy(stream)
}

func (r *logReader) copy(stream io.Reader) error {
	in := bufio.NewReaderSize(stream, logBuffer)
	repeated := r.now + r.prev
	skipping, resumed := repeated > 0, r.began

	for {
		stamp, err := in.ReadSlice(' ')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				return fmt.Errorf("reading the log of container %q of pod %q: a line has no time stamp", r.name, r.pod)
			}

			return noEOF(err)
		}

		text := string(stamp[:len(stamp)-1])

		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return fmt.Errorf("reading the log of container %q of pod %q: %w", r.name, r.pod, err)
		}

		// A line later than all that were delivered is new, whatever the count says: a rotation may have taken some away.
		if skipping && !at.After(r.latest) {
			if err := discardLine(in); err != nil {
				return noEOF(err)
			}

			// More lines than expected are the ends of long lines that began before the part that is read again.
			repeated--
			skipping = repeated > 0 || text != r.last

			continue
		}

		skipping = false
		sent := 0

		if resumed == text {
			sent = r.sent
		}

		resumed = ""

		if err := r.line(in, text, sent); err != nil {
			return noEOF(err)
		}

		r.count(at, text)
	}
}

// count notes a whole line.
func (r *logReader) count(at time.Time, text string) {
	second, current := at.Truncate(time.Second), r.latest.Truncate(time.Second)

	switch {
	case second.Equal(current):
		r.now++
	case second.Equal(current.Add(time.Second)):
		r.now, r.prev = 1, r.now
	case second.After(current):
		r.now, r.prev = 1, 0
	case second.Equal(current.Add(-time.Second)):
		r.prev++
	}

	if at.After(r.latest) {
		r.latest = at
	}

	r.last = text
}

// line delivers one line without its first skip bytes.
func (r *logReader) line(in *bufio.Reader, at string, skip int) error {
	r.began, r.sent = at, skip

	for {
		part, err := in.ReadSlice('\n')

		if n := min(skip, len(part)); n > 0 {
			part, skip = part[n:], skip-n
		}

		if len(part) > 0 {
			if _, err := r.sink.Write(part); err != nil {
				return errSink{err}
			}

			r.sent += len(part)
		}

		switch {
		case err == nil:
			r.began, r.sent = "", 0

			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

func discardLine(in *bufio.Reader) error {
	for {
		_, err := in.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// noEOF is nil for the end of the stream: whether the log ended there, only the pod's state tells.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}

	return err
}

// follow copies the log until ended is closed, taking up broken connections again, and then reads the rest. An error of the
// sink is returned as it is.
func (r *logReader) follow(ctx context.Context, ended <-chan struct{}) error {
	stream, cancel := context.WithCancel(ctx)
	defer cancel()

	// A stream that does not notice the end of its container must not hold up the run.
	stopped := make(chan struct{})
	defer func() { cancel(); <-stopped }()

	go func() {
		defer close(stopped)

		select {
		case <-stream.Done():
			return
		case <-ended:
		}

		if r.client.Sleep(stream, 3*time.Second) == nil {
			cancel()
		}
	}()

	wait, denied := retryFirst, 0

	for {
		before := r.latest
		err := r.read(stream, true)

		var sink errSink
		if errors.As(err, &sink) {
			return sink.error
		}

		if ctx.Err() != nil {
			return ctx.Err()
		}

		// Not to find out at the end of a long task that its output may not be read.
		if apierrors.IsForbidden(err) {
			if denied++; denied > 5 {
				return err
			}
		}

		if !r.latest.Equal(before) {
			wait = retryFirst
		}

		select {
		case <-ended:
			return r.rest(ctx)
		default:
		}

		timer := r.client.clock().NewTimer(wait)
		wait = min(2*wait, 2*time.Second)

		select {
		case <-ctx.Done():
			timer.Stop()

			return ctx.Err()
		case <-ended:
			timer.Stop()

			return r.rest(ctx)
		case <-timer.C():
		}
	}
}

// rest reads what is left after the container has ended.
func (r *logReader) rest(ctx context.Context) error {
	started := r.client.clock().Now()

	for {
		err := r.read(ctx, false)

		var sink errSink

		switch {
		case err == nil:
			return nil
		case errors.As(err, &sink):
			return sink.error
		case ctx.Err() != nil:
			return ctx.Err()
		case !transient(err) || r.client.clock().Since(started) > 2*time.Minute:
			return err
		}

		if err := r.client.Sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}
