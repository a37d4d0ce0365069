package data

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// hold notes, before the worker can change anything, that no application may be started on what it works on.
func (w *worker) hold(ctx context.Context) error {
	if !w.write {
		return nil
	}

	var claims []string
	for _, m := range w.mounts {
		claims = append(claims, m.claim)
	}

	why := "volume " + strings.Join(claims, ", ") + " is half restored"
	if len(claims) > 1 {
		why = "volumes " + strings.Join(claims, ", ") + " are half restored"
	}

	return w.run.Journal.HoldUndo(ctx, w.holdKey(), why)
}

func (w *worker) holdKey() string { return "restore/" + w.run.Phase + "/" + w.subject }

// free ends the hold when the worker has succeeded, or failed without having begun to write. What an earlier attempt has left
// behind is not known to be untouched.
func (w *worker) free(ctx context.Context, begun bool, err error) error {
	w.begun = begun

	if !w.write || err != nil && (begun || w.run.Attempt > 1 || functions.Leaving(ctx)) {
		return err
	}

	return errors.Join(err, w.run.Journal.FreeUndo(ctx, w.holdKey()))
}

// ran tells whether the pod's container may have run: unless it is known that it has not.
func (w *worker) ran(ctx context.Context, pod *kube.Pod) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()

	found, err := w.run.Kube.PodOf(ctx, pod.Namespace, pod.Name)
	if err != nil {
		return true
	}

	for _, status := range found.Status.ContainerStatuses {
		if status.Name == kube.ContainerName && (status.State.Running != nil || status.State.Terminated != nil || status.LastTerminationState.Terminated != nil) {
			return true
		}
	}

	return false
}
