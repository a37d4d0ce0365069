package follow

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
)

// RunnerContainer is the name of the runner's container in the pods of the Job.
const RunnerContainer = "runner"

// Follower follows runs. Its client should have no client-side throttle.
type Follower struct {
	Client kubernetes.Interface
	// Clock defaults to the real one.
	Clock clock.Clock
	// StartTimeout bounds the time until a runner container runs; 0: no bound.
	StartTimeout time.Duration
	// OnRunner, if set, is told of every state of the runner's pods, in the order they come. It is called by the goroutine that
	// follows the run and must not block.
	OnRunner func(Ref, *corev1.Pod)
}

// Follow follows the runs at once until each is finished or cannot be followed any more, or until ctx ends; then the Err of
// those still going on is ErrStopped with the context's cause. emit is called from this goroutine only, in order for each run. The results
// are in the order of refs.
func (f *Follower) Follow(ctx context.Context, refs []Ref, emit func(Event)) []Result {
	results := make([]Result, len(refs))
	events := make(chan Event)

	var wg sync.WaitGroup
	for i, ref := range refs {
		wg.Go(func() {
			t := &tracker{follower: f, ref: ref, clock: f.clock(), events: events}
			results[i] = t.run(ctx)
		})
	}

	go func() { // ends with the last tracker; waited for by draining events
		wg.Wait()
		close(events)
	}()

	for event := range events {
		emit(event)
	}

	return results
}

func (f *Follower) clock() clock.Clock {
	if f.Clock == nil {
		return clock.RealClock{}
	}

	return f.Clock
}
