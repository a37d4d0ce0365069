package runs

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
)

// board knows the runner's pods: the follower writes on it, the log printer takes one started pod after the other from it.
type board struct {
	mu      sync.Mutex
	order   []string
	pods    map[string]*corev1.Pod
	taken   map[string]bool
	closed  bool
	changed chan struct{} // closed and replaced at every change
}

func newBoard() *board {
	return &board{pods: map[string]*corev1.Pod{}, taken: map[string]bool{}, changed: make(chan struct{})}
}

func (b *board) update(pod *corev1.Pod) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.pods[pod.Name] == nil {
		b.order = append(b.order, pod.Name)
	}

	b.pods[pod.Name] = pod
	b.wake()
}

// close says that no more changes come.
func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.closed = true
	b.wake()
}

func (b *board) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// next waits for the next pod whose container has started; nil when there will be none, or when ctx ends.
func (b *board) next(ctx context.Context) *corev1.Pod {
	for {
		b.mu.Lock()

		for _, name := range b.order {
			if pod := b.pods[name]; !b.taken[name] && diagnose.Started(pod) {
				b.taken[name] = true
				b.mu.Unlock()

				return pod
			}
		}

		closed, changed := b.closed, b.changed
		b.mu.Unlock()

		if closed {
			return nil
		}

		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// over tells whether the pod's runner has ended, or is not watched any more because the run is finished.
func (b *board) over(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	pod := b.pods[name]

	return b.closed || pod == nil || pod.DeletionTimestamp != nil && pod.Status.Phase != corev1.PodRunning || diagnose.Ended(pod, follow.RunnerContainer) != nil
}
