package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// eventsAfter is when a pod that has not started is first asked for its events, and eventsEvery how often after that.
const (
	eventsAfter = 4 * time.Second
	eventsEvery = 15 * time.Second
)

// WaitStarted watches until the container runs or has ended. What keeps it from starting is told to p.Waiting as it happens;
// what will not mend itself is an error within seconds, the rest after a grace period, all at the latest after p.StartLimit.
// Needs list and watch on pods, by name. Errors are of type *Error or ctx's.
func (p *Pod) WaitStarted(ctx context.Context) (*corev1.Pod, error) {
	return p.wait(ctx, p.started)
}

// WaitEnded watches until the pod has ended. A pod that failed, was evicted, deleted or lost is an error of type *Error,
// without the last log lines. A pod whose container has ended well counts as ended half a minute later even if a sidecar
// that podOverride added still runs.
func (p *Pod) WaitEnded(ctx context.Context) (*corev1.Pod, error) {
	return p.wait(ctx, func(*corev1.Pod) bool { return false })
}

// Latest is the pod as it was last seen.
func (p *Pod) Latest() *corev1.Pod { return p.latest }

// started tells whether all containers that have to end well have been started.
func (p *Pod) started(pod *corev1.Pod) bool {
	return finished(pod) || !slices.ContainsFunc(append([]string{p.container}, p.Beside...), func(name string) bool { return !started(pod, name) })
}

func started(pod *corev1.Pod, container string) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return status.State.Running != nil || status.State.Terminated != nil
		}
	}

	return false
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// update is one state of a pod; gone: it was deleted, and pod is its last state.
type update struct {
	pod  *corev1.Pod
	gone bool
}

// wait watches the pod until done says so or it ends.
func (p *Pod) wait(ctx context.Context, done func(*corev1.Pod) bool) (*corev1.Pod, error) {
	judge := judge{pod: p}
	if end, err := judge.verdict(ctx, done); end || err != nil {
		return p.latest, err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	updates, broken := make(chan update), make(chan error, 1)

	go func() {
		broken <- p.client.follow(ctx, p.client.pods(p.Namespace), byName(p.Name), p.latest.ResourceVersion, func(ch change) (bool, error) {
			pod, gone := podOf(ch, p.Name)
			select {
			case updates <- update{pod, gone}:
				return gone, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		})
	}()

	// The goroutine ends with ctx; it is waited for, so that nobody reads p after we return.
	stop := func() {
		cancel()

		for broken != nil {
			select {
			case <-updates:
			case <-broken:
				broken = nil
			}
		}
	}
	defer stop()

	ticker := p.client.clock().NewTicker(time.Second)

	defer ticker.Stop()

	for {
		if end, err := judge.verdict(ctx, done); end || err != nil {
			return p.latest, err
		}

		select {
		case <-ctx.Done():
			return p.latest, ctx.Err()
		case <-ticker.C():
		case err := <-broken:
			broken = nil

			if err == nil {
				err = errors.New("the watch ended")
			}

			if ctx.Err() != nil {
				return p.latest, ctx.Err()
			}

			return p.latest, p.watchError(err)
		case u := <-updates:
			if u.pod != nil {
				p.latest = u.pod
			}

			if u.gone && !finished(p.latest) {
				return p.latest, p.deleted()
			}
		}
	}
}

func (p *Pod) watchError(err error) error {
	var known *Error
	if errors.As(err, &known) {
		known.Pod = ptr.To(p.Ref())

		return known
	}

	return &Error{
		Reason: apiReason(err), Message: fmt.Sprintf("watching pod %q in namespace %q", p.Name, p.Namespace), Pod: ptr.To(p.Ref()), Err: err,
	}
}

// deleted explains a pod that somebody else removed.
func (p *Pod) deleted() error {
	e := &Error{
		Reason: ReasonPodDeleted, Pod: ptr.To(p.Ref()),
		Message: fmt.Sprintf("pod %q in namespace %q was deleted before it had ended", p.Name, p.Namespace),
	}

	if reason := disrupted(p.latest); reason != "" {
		e.Reason = reason
	}

	return e
}

// judge keeps what a verdict on a pod needs to remember between its states.
type judge struct {
	pod *Pod
	// what is wrong, since when.
	reason string
	since  time.Time
	// told is the last message to Pod.Waiting.
	told string
	// events as they were read at asked.
	events []string
	asked  time.Time
	// terminated is when the container had ended while others still ran.
	terminated time.Time
}

// verdict tells whether the wait is over.
func (j *judge) verdict(ctx context.Context, done func(*corev1.Pod) bool) (bool, error) {
	p, pod, now := j.pod, j.pod.latest, j.pod.client.clock().Now()

	switch {
	case pod.Status.Phase == corev1.PodFailed:
		j.tell("")

		if done(pod) && p.started(pod) && startedOnce(pod, p.container) {
			return true, nil // its logs are still to be read
		}

		e := failed(pod, p.blamed(), nil)
		e.Pod = ptr.To(p.Ref())

		return true, e
	case pod.Status.Phase == corev1.PodSucceeded, done(pod):
		j.tell("")

		return true, nil
	case pod.DeletionTimestamp != nil && now.Sub(pod.DeletionTimestamp.Time) > terminatedGrace:
		return true, &Error{
			Reason: ReasonNodeLost, Pod: ptr.To(p.Ref()),
			Message: fmt.Sprintf("pod %q in namespace %q is being deleted and its node %q does not answer", p.Name, p.Namespace, pod.Spec.NodeName),
			Hint:    "kubectl get node " + pod.Spec.NodeName,
		}
	case p.started(pod):
		j.tell("")

		return j.alone(now)
	}

	return false, j.pending(ctx, now)
}

// startedOnce tells whether the container ever ran, so that there may be logs.
func startedOnce(pod *corev1.Pod, container string) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container && status.State.Terminated != nil {
			return !status.State.Terminated.StartedAt.IsZero() && status.State.Terminated.Reason != "StartError" &&
				status.State.Terminated.Reason != "ContainerCannotRun"
		}
	}

	return false
}

// alone ends the wait for a pod in which only sidecars still run, or that cannot end well any more.
func (j *judge) alone(now time.Time) (bool, error) {
	pod := j.pod.latest
	if pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return false, nil
	}

	ended, failing := j.pod.ended()
	if !ended && !failing {
		return false, nil
	}

	if j.terminated.IsZero() {
		j.terminated = now
	}

	if now.Sub(j.terminated) < terminatedGrace {
		return false, nil
	}

	if !failing {
		return true, nil
	}

	e := failed(pod, j.pod.blamed(), nil)
	e.Pod = ptr.To(j.pod.Ref())

	return true, e
}

// ended tells whether all containers that have to end have ended, and whether one of them has failed.
func (p *Pod) ended() (ended, failing bool) {
	ended = true

	for _, name := range append([]string{p.container}, p.Beside...) {
		state := terminated(p.latest, name)
		ended = ended && state != nil
		failing = failing || state != nil && state.ExitCode != 0
	}

	return ended, failing
}

// blamed is the container to blame for a failure: of those that have to end well, the one that failed first.
func (p *Pod) blamed() string {
	blamed, first := p.container, terminated(p.latest, p.container)
	if first != nil && first.ExitCode == 0 {
		first = nil
	}

	for _, name := range p.Beside {
		state := terminated(p.latest, name)
		if state != nil && state.ExitCode != 0 && (first == nil || state.FinishedAt.Before(&first.FinishedAt)) {
			blamed, first = name, state
		}
	}

	return blamed
}

func terminated(pod *corev1.Pod, container string) *corev1.ContainerStateTerminated {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return status.State.Terminated
		}
	}

	return nil
}

// pending handles a pod that has not started.
func (j *judge) pending(ctx context.Context, now time.Time) error {
	p := j.pod
	age := now.Sub(p.created)
	problem := pending(p.latest)

	if problem == nil && age > eventsAfter && (j.asked.IsZero() || now.Sub(j.asked) > eventsEvery) {
		j.asked = now
		j.events = p.client.Warnings(ctx, p.Namespace, p.Name)
	}

	message := ""

	switch {
	case problem != nil:
		message = problem.message
	case len(j.events) > 0:
		message = j.events[len(j.events)-1]
	case age > eventsAfter:
		message = "waiting for the node to start it"
	}

	j.tell(message)

	limit := p.StartLimit
	if limit == 0 {
		limit = DefaultStartLimit
	}

	if problem == nil {
		j.reason = ""

		if age < limit {
			return nil
		}

		problem = &trouble{reason: ReasonStartTimeout, message: "it has not started", hint: fmt.Sprintf("kubectl describe pod -n %s %s", p.Namespace, p.Name)}
		if message != "" {
			problem.message += ": " + message
		}
	} else if j.reason != problem.reason {
		j.reason, j.since = problem.reason, now
	}

	if problem.binds && p.StartLimit > 0 { // who sets a limit knows that its volumes take time: copies of snapshots
		problem.grace = limit
	}

	if problem.grace > 0 && now.Sub(j.since) < min(problem.grace, limit) {
		return nil
	}

	return &Error{
		Reason: problem.reason, Pod: ptr.To(p.Ref()), Hint: problem.hint, Events: p.client.Warnings(ctx, p.Namespace, p.Name),
		Message: fmt.Sprintf("pod %q in namespace %q did not start: %s", p.Name, p.Namespace, problem.message),
	}
}

func (j *judge) tell(message string) {
	if message != j.told && j.pod.Waiting != nil {
		j.pod.Waiting(message)
	}

	j.told = message
}
