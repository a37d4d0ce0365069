package runs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
)

// tail prints one container's log. When the stream breaks it is opened again from the second of the last printed line, and
// what was printed is passed over: no line is lost, none is printed twice.
type tail struct {
	open  func(context.Context, *corev1.PodLogOptions) (io.ReadCloser, error)
	out   func(line string) error
	clock clock.Clock
	what  string

	last  time.Time // timestamp of the last printed line
	equal int       // how many printed lines have that timestamp
}

const (
	tailPause   = 200 * time.Millisecond
	tailMostly  = 3 * time.Second
	goneRetries = 3
)

// once prints what there is.
func (t *tail) once(ctx context.Context) error {
	if err := t.stream(ctx, false); err != nil {
		return fmt.Errorf("reading the log of %s: %w", t.what, err)
	}

	return nil
}

// follow prints until the container has ended, which over tells.
func (t *tail) follow(ctx context.Context, over func() bool) error {
	pause, missing, late := tailPause, 0, 0

	for {
		ended := over() // before the stream: what comes after may be in it
		before := t.last

		err := t.stream(ctx, !ended)

		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && ended:
			return nil
		case apierrors.IsNotFound(err):
			if missing++; ended || missing > goneRetries {
				return nil // the pod is gone, and its log with it
			}
		case apierrors.IsForbidden(err):
			return fmt.Errorf("reading the log of %s: %w", t.what, err)
		case errors.Is(err, errWrite):
			return err
		case ended:
			if late++; late > goneRetries {
				return fmt.Errorf("reading the log of %s, which has ended: %w", t.what, err)
			}
		}

		if t.last.After(before) {
			pause, missing = tailPause, 0
		}

		select {
		case <-t.clock.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}

		pause = min(pause*2, tailMostly)
	}
}

var errWrite = errors.New("writing the log")

// stream opens the log once and prints what is new in it. A stream that ends within a line has broken: that line is left to
// the next stream, unless following is over.
func (t *tail) stream(ctx context.Context, following bool) error {
	options := &corev1.PodLogOptions{Follow: following, Timestamps: true}

	if !t.last.IsZero() {
		since := metav1.NewTime(t.last.Truncate(time.Second))
		options.SinceTime = &since
	}

	stream, err := t.open(ctx, options)
	if err != nil {
		return err
	}
	defer stream.Close()

	reader := bufio.NewReaderSize(stream, 64<<10)
	seen := 0 // lines of this stream with the timestamp t.last

	for {
		text, err := reader.ReadString('\n')
		if errors.Is(err, io.EOF) && text != "" && !following {
			err = nil // the last line of a container that did not end it
		}

		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}

			return err
		}

		if err := t.line(strings.TrimSuffix(text, "\n"), &seen); err != nil {
			return err
		}
	}
}

func (t *tail) line(text string, seen *int) error {
	stamp, line, _ := strings.Cut(text, " ")

	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil { // not from the kubelet: "unable to retrieve container logs …"
		line = text
	} else {
		switch {
		case at.Before(t.last):
			return nil
		case at.Equal(t.last):
			if *seen++; *seen <= t.equal {
				return nil
			}

			t.equal++
		default:
			t.last, t.equal, *seen = at, 1, 1
		}
	}

	if err := t.out(line); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}

	return nil
}
