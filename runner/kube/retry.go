package kube

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// How long and how often requests are repeated while the API server is away. A restart takes seconds, an upgrade of a
// single control-plane node minutes.
const (
	outageLimit  = 10 * time.Minute
	retryFirst   = 100 * time.Millisecond
	retryLongest = 5 * time.Second
)

// Retry calls do until it succeeds, fails for good, or the API server has been away for ten minutes. Errors that a repeated
// request can mend are: connection refused or broken, timeouts, 429 and 5xx. do must be safe to repeat.
func (c *Client) Retry(ctx context.Context, do func(context.Context) error) error {
	started := c.clock().Now()
	wait := retryFirst

	for {
		err := do(ctx)
		if err == nil || !transient(err) || ctx.Err() != nil || c.clock().Since(started) > outageLimit {
			return err
		}

		if seconds, ok := apierrors.SuggestsClientDelay(err); ok && seconds > 0 {
			wait = max(wait, min(time.Duration(seconds)*time.Second, 30*time.Second))
		}

		if err := c.Sleep(ctx, wait); err != nil {
			return err
		}

		wait = min(2*wait, retryLongest)
	}
}

// transient tells whether a repeated request may fare better.
func transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}

	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code

		// A conflict on a quota's own object is the API server's, not ours (kubernetes/kubernetes#67761).
		quotaRace := code == http.StatusConflict && strings.Contains(err.Error(), "resourcequotas")

		return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError && code != http.StatusNotImplemented &&
			!strings.Contains(err.Error(), "admission webhook") || quotaRace
	}

	var netErr net.Error

	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsHTTP2ConnectionLost(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &netErr)
}

// Sleep waits for d or for the end of ctx.
func (c *Client) Sleep(ctx context.Context, d time.Duration) error {
	timer := c.clock().NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}
