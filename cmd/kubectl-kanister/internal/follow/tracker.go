package follow

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

const (
	// graceVerdict is how long a record may lag behind the end of its Job.
	graceVerdict = 3 * time.Second
	// graceNoJob is how long a run may be without a Job, while it is being made.
	graceNoJob = 10 * time.Second
	// graceLast is how long the last runner of a deleted Job may take to bring back what the run has changed: the grace period of its pod,
	// and some time to be seen.
	graceLast = 75 * time.Second
	// graceContact is how long the API server may not answer before the record was ever read.
	graceContact = time.Minute
	// lastLines of a dead runner's log are shown.
	lastLines = 20
)

// tracker follows one run. Everything but the streams happens in the goroutine of run.
type tracker struct {
	follower *Follower
	ref      Ref
	clock    clock.Clock
	events   chan<- Event

	streams sync.WaitGroup

	record      *record.Record
	version     uint64 // of the record
	downErr     error  // why the API server did not answer last
	job         *batchv1.Job
	jobKnown    bool // the Job, or its absence, was seen
	jobDenied   bool
	jobMissing  time.Time // since when there is no Job
	jobEnded    time.Time // since when the Job is at its end
	pods        map[string]map[string]*corev1.Pod
	gone        map[string]bool            // runner pods that are deleted; they stay in pods
	warnings    map[string]diagnose.Events // by namespace
	eventsKnown bool
	started     bool // a runner container has run
	since       time.Time
	problems    map[string]*standing
	watched     map[string]bool // namespaces whose pods and events are watched
	deaths      map[string]bool // runner pods whose end was told
}

// standing is a problem that was seen and is not over.
type standing struct {
	diagnose.Problem
	first time.Time
	told  bool
}

// message is what a stream sends, handled in run's goroutine.
type message func(ctx context.Context) (done bool, err error)

func (t *tracker) run(parent context.Context) Result {
	ctx, cancel := context.WithCancel(parent)
	defer t.streams.Wait()
	defer cancel()

	t.pods, t.warnings = map[string]map[string]*corev1.Pod{}, map[string]diagnose.Events{}
	t.problems, t.watched, t.deaths = map[string]*standing{}, map[string]bool{}, map[string]bool{}
	t.gone, t.since = map[string]bool{}, t.clock.Now()

	inbox := make(chan message)

	t.watchRecord(ctx, inbox)

	for {
		var timer <-chan time.Time
		if due, any := t.due(); any {
			timer = t.clock.After(max(due.Sub(t.clock.Now()), time.Millisecond))
		}

		var (
			done bool
			err  error
		)

		select {
		case <-ctx.Done():
			return Result{Ref: t.ref, Record: t.record, Err: stopped(parent)}
		case handle := <-inbox:
			done, err = handle(ctx)
		case <-timer:
		}

		if err == nil && !done {
			t.watchRest(ctx, inbox)
			t.diagnose()
			done, err = t.decide(ctx)
		}

		if err != nil {
			if ctx.Err() != nil {
				err = stopped(parent)
			} else {
				t.emit(Event{Kind: Lost, Message: err.Error(), Record: t.record})
			}

			return Result{Ref: t.ref, Record: t.record, Err: err}
		}

		if done {
			t.emit(Event{Kind: Finished, Time: timeOf(t.record.Ended), Record: t.record})

			return Result{Ref: t.ref, Record: t.record}
		}
	}
}

func stopped(ctx context.Context) error { return fmt.Errorf("%w: %w", ErrStopped, context.Cause(ctx)) }

func (t *tracker) emit(e Event) {
	e.Run = t.ref
	if e.Time.IsZero() {
		e.Time = t.clock.Now()
	}

	t.events <- e // Follow drains until the last tracker has ended
}

// open starts a stream whose changes are handled by handle in run's goroutine.
func (t *tracker) open(ctx context.Context, inbox chan<- message, s *stream, handle func(context.Context, change) (bool, error)) {
	s.clock = t.clock
	out := make(chan change)

	t.streams.Go(func() {
		defer close(out)
		s.run(ctx, out)
	})
	t.streams.Go(func() {
		for c := range out {
			select {
			case inbox <- func(ctx context.Context) (bool, error) { return handle(ctx, c) }:
			case <-ctx.Done():
			}
		}
	})
}

func (t *tracker) watchRecord(ctx context.Context, inbox chan<- message) {
	client := t.follower.Client.CoreV1().ConfigMaps(t.ref.Namespace)
	t.open(ctx, inbox, &stream{list: lister(client.List), watch: client.Watch, selectors: named(t.ref.Name)}, t.onRecord)
}

// watchRest starts to watch the Job, pods and events once the record is known and the run is not finished, and the namespaces
// of worker pods when the record names them.
func (t *tracker) watchRest(ctx context.Context, inbox chan<- message) {
	if t.record == nil || t.record.State.Finished() {
		return
	}

	namespaces := []string{t.ref.Namespace}
	for _, phase := range t.record.Phases {
		for _, pod := range phase.Pods {
			namespaces = append(namespaces, pod.Namespace)
		}
	}

	for _, namespace := range namespaces {
		if namespace == "" || t.watched[namespace] {
			continue
		}

		t.watched[namespace] = true

		if namespace == t.ref.Namespace {
			jobs := t.follower.Client.BatchV1().Jobs(namespace)
			t.open(ctx, inbox, &stream{list: lister(jobs.List), watch: jobs.Watch, selectors: named(t.ref.Name)}, t.onJob)
		}

		pods := t.follower.Client.CoreV1().Pods(namespace)
		ofRun := metav1.ListOptions{LabelSelector: record.LabelRun + "=" + t.ref.Name}
		t.open(ctx, inbox, &stream{list: lister(pods.List), watch: pods.Watch, selectors: ofRun},
			func(_ context.Context, c change) (bool, error) { return t.onPod(namespace, c) })

		events := t.follower.Client.CoreV1().Events(namespace)
		warnings := metav1.ListOptions{FieldSelector: "type=" + corev1.EventTypeWarning}
		t.open(ctx, inbox, &stream{list: lister(events.List), watch: events.Watch, selectors: warnings},
			func(_ context.Context, c change) (bool, error) { return t.onEvent(namespace, c) })
	}
}

func named(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: "metadata.name=" + name}
}

// lister forgets the type of a typed client's List.
func lister[T runtime.Object](list func(context.Context, metav1.ListOptions) (T, error)) func(context.Context, metav1.ListOptions) (runtime.Object, error) {
	return func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return list(ctx, options)
	}
}

func (t *tracker) onRecord(_ context.Context, c change) (bool, error) {
	switch c.kind {
	case down:
		t.downErr = c.err
		t.emit(Event{Kind: Disconnected, Message: cause(c.err)})

		return false, nil
	case up:
		t.emit(Event{Kind: Reconnected})

		return false, nil
	case denied:
		return false, fmt.Errorf("%w %q: %w", ErrForbidden, t.ref.Name, c.err)
	case replaced:
		if item := t.own(c.items); item != nil {
			return t.update(item)
		}
	case changed:
		if t.own([]runtime.Object{c.item}) == nil {
			return false, nil
		}

		return t.update(c.item)
	case deleted:
		if t.own([]runtime.Object{c.item}) == nil {
			return false, nil
		}
	}

	if t.record == nil {
		return false, fmt.Errorf("%w: %q in namespace %q", ErrNotFound, t.ref.Name, t.ref.Namespace)
	}

	return false, fmt.Errorf("%w while run %q was %s", ErrGone, t.ref.Name, t.record.State)
}

// cause is an error of the connection without the request's long address.
func cause(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}

	return err.Error()
}

// own is the object named as the run, or nil: the selector is not relied on.
func (t *tracker) own(items []runtime.Object) runtime.Object {
	for _, item := range items {
		if object, err := meta.Accessor(item); err == nil && object.GetName() == t.ref.Name {
			return item
		}
	}

	return nil
}

func (t *tracker) update(object runtime.Object) (bool, error) {
	configMap, ok := object.(*corev1.ConfigMap)
	if !ok {
		return false, nil
	}

	if version, err := strconv.ParseUint(configMap.ResourceVersion, 10, 64); err == nil {
		if version < t.version {
			return false, nil // a cache that lags behind
		}

		t.version = version
	}

	next, err := Decode(configMap)
	if err != nil {
		return false, err
	}

	old := t.record
	t.record = next

	if next.State != record.Pending || next.Attempts > 0 {
		t.started = true
	}

	for _, event := range changes(t.ref, old, next, t.clock.Now()) {
		t.emit(event)
	}

	return next.State.Finished(), nil
}

func (t *tracker) onJob(_ context.Context, c change) (bool, error) {
	switch c.kind {
	case denied:
		t.jobDenied = true

		return false, nil
	case down, up:
		return false, nil
	case replaced:
		t.job, _ = t.own(c.items).(*batchv1.Job)
	case changed, deleted:
		if t.own([]runtime.Object{c.item}) == nil {
			return false, nil
		}

		t.job, _ = c.item.(*batchv1.Job)
	}

	if c.kind == deleted { // t.job keeps its last state, for the reasons
		t.jobKnown, t.jobMissing = true, t.clock.Now().Add(graceVerdict-graceNoJob)

		return false, nil
	}

	t.jobKnown = true

	switch {
	case t.job != nil:
		t.jobMissing = time.Time{}
	case t.jobMissing.IsZero():
		t.jobMissing = t.clock.Now()
	}

	if t.job != nil && diagnose.JobEnd(t.job) != nil && t.jobEnded.IsZero() {
		t.jobEnded = t.clock.Now()
	}

	return false, nil
}

func (t *tracker) onPod(namespace string, c change) (bool, error) {
	set := func(object runtime.Object) {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return
		}

		t.pods[namespace][pod.Name] = pod

		if t.follower.OnRunner != nil && t.isRunner(pod) {
			t.follower.OnRunner(t.ref, pod)
		}
	}

	if t.pods[namespace] == nil || c.kind == replaced {
		t.pods[namespace] = map[string]*corev1.Pod{}
	}

	switch c.kind {
	case replaced:
		for _, item := range c.items {
			set(item)
		}
	case changed:
		set(c.item)
	case deleted:
		// A runner's pod is kept in mind: its end may be the only verdict.
		if pod, ok := c.item.(*corev1.Pod); ok {
			if t.isRunner(pod) {
				t.gone[pod.Name] = true

				set(pod)
			} else {
				delete(t.pods[namespace], pod.Name)
			}
		}
	case down, up, denied:
	}

	return false, nil
}

func (t *tracker) onEvent(namespace string, c change) (bool, error) {
	if c.kind == replaced {
		t.warnings[namespace] = nil
	}

	for _, item := range append(c.items, c.item) {
		event, ok := item.(*corev1.Event)
		if !ok || c.kind == deleted || !t.concerns(event) {
			continue
		}

		t.eventsKnown = true
		known := t.warnings[namespace]

		if at := slices.IndexFunc(known, func(e corev1.Event) bool { return e.Name == event.Name }); at >= 0 {
			known = slices.Delete(known, at, at+1) // counted up: it is the newest again
		}

		t.warnings[namespace] = append(known, *event)
	}

	if c.kind == replaced || c.kind == changed {
		t.eventsKnown = true

		slices.SortStableFunc(t.warnings[namespace], func(a, b corev1.Event) int { return lastSeen(a).Compare(lastSeen(b)) })
	}

	return false, nil
}

func lastSeen(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	default:
		return e.EventTime.Time
	}
}

// concerns tells whether an event is about the run: all that a run makes begins with its name, other pods are in the record.
func (t *tracker) concerns(event *corev1.Event) bool {
	name := event.InvolvedObject.Name
	if name == t.ref.Name || strings.HasPrefix(name, t.ref.Name+"-") {
		return true
	}

	if t.pods[event.Namespace][name] != nil {
		return true
	}

	for _, phase := range t.record.Phases {
		if slices.Contains(phase.Pods, record.PodRef{Namespace: event.Namespace, Name: name}) {
			return true
		}
	}

	return false
}

// isRunner tells a runner's pod from a worker's: it belongs to the Job.
func (t *tracker) isRunner(pod *corev1.Pod) bool {
	if pod.Namespace != t.ref.Namespace {
		return false
	}

	if owner := metav1.GetControllerOf(pod); owner != nil {
		return owner.Kind == "Job" && owner.Name == t.ref.Name
	}

	return pod.Labels[batchv1.JobNameLabel] == t.ref.Name
}

// works tells whether a runner may still be at work.
func (t *tracker) works() bool {
	return slices.ContainsFunc(t.runners(), func(pod *corev1.Pod) bool {
		return !t.gone[pod.Name] && diagnose.Started(pod) && diagnose.Ended(pod, RunnerContainer) == nil
	})
}

// runners are the runner's pods, oldest first.
func (t *tracker) runners() []*corev1.Pod {
	var pods []*corev1.Pod

	for _, pod := range t.pods[t.ref.Namespace] {
		if t.isRunner(pod) {
			pods = append(pods, pod)
		}
	}

	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
			return order
		}

		return strings.Compare(a.Name, b.Name)
	})

	return pods
}
