package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

const (
	namespace = "demo"
	runName   = "backup-pg-abcde"
)

var ref = Ref{Namespace: namespace, Name: runName}

// world is a cluster in which the test plays API server, Job controller, kubelet and runner. It lives in a synctest bubble:
// time passes only while everybody waits.
type world struct {
	t      *testing.T
	client *fake.Clientset

	mu       sync.Mutex
	watchers []watch.Interface
	down     bool
	stale    map[string]bool // resources whose old versions the API server has forgotten
	denied   map[string]bool
	requests int

	seen   []string
	events []Event
	done   chan []Result
	cancel context.CancelCauseFunc
}

func newWorld(t *testing.T) *world {
	t.Helper()

	w := &world{t: t, client: fake.NewClientset(), denied: map[string]bool{}, done: make(chan []Result, 1)}
	w.client.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		err := w.refuse(action)

		return err != nil, nil, err
	})
	w.client.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		if err := w.refuse(action); err != nil {
			return true, nil, err
		}

		watcher, err := w.client.Tracker().Watch(action.GetResource(), action.GetNamespace())
		if err == nil {
			w.mu.Lock()
			w.watchers = append(w.watchers, watcher)
			w.mu.Unlock()
		}

		return true, watcher, err
	})

	return w
}

func (w *world) refuse(action clienttesting.Action) error {
	if verb := action.GetVerb(); verb != "list" && verb != "watch" && verb != "get" {
		return nil // the test itself
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	w.requests++

	if action.GetVerb() == "list" && !w.down {
		delete(w.stale, action.GetResource().Resource)
	}

	switch {
	case w.down:
		return errors.New("dial tcp 10.0.0.1:6443: connect: connection refused")
	case action.GetVerb() == "watch" && w.stale[action.GetResource().Resource]:
		return apierrors.NewResourceExpired("too old resource version")
	case w.denied[action.GetResource().Resource]:
		return apierrors.NewForbidden(schema.GroupResource{Resource: action.GetResource().Resource}, "", errors.New("no"))
	default:
		return nil
	}
}

// restart drops all watches; until up is called nobody answers.
func (w *world) restart() (up func()) {
	w.drop(true)

	return func() {
		w.mu.Lock()
		w.down = false
		w.mu.Unlock()
	}
}

// drop ends all watches; new ones are refused while the API server is down.
func (w *world) drop(down bool) {
	w.mu.Lock()
	w.down = down
	w.stale = map[string]bool{"configmaps": true, "jobs": true, "pods": true, "events": true}
	watchers := w.watchers
	w.watchers = nil
	w.mu.Unlock()

	for _, watcher := range watchers {
		watcher.Stop()
	}
}

func (w *world) follow(f Follower, refs ...Ref) {
	if len(refs) == 0 {
		refs = []Ref{ref}
	}

	f.Client = w.client
	ctx, cancel := context.WithCancelCause(w.t.Context())
	w.cancel = cancel

	go func() {
		w.done <- f.Follow(ctx, refs, func(e Event) {
			w.mu.Lock()
			defer w.mu.Unlock()

			w.events = append(w.events, e)
			w.seen = append(w.seen, text(e))
		})
	}()
	synctest.Wait()
}

// text is an event as the tables of the tests write it.
func text(e Event) string {
	out := string(e.Kind)

	switch {
	case e.Phase != nil && e.Kind == PhaseEnded:
		out += " " + e.Phase.Name + " " + string(e.Phase.State)
	case e.Phase != nil && e.Kind == Progress:
		out += fmt.Sprintf(" %s %d", e.Phase.Name, e.Phase.Progress.BytesDone)
	case e.Phase != nil:
		out += " " + e.Phase.Name
	case e.Problem != nil:
		out += " " + e.Problem.Object + " " + e.Problem.Reason
	case e.Kind == Finished:
		out += " " + string(e.Record.State)
	case e.Kind == Note || e.Kind == Warning:
		out += " " + e.Message
	}

	return out
}

// result waits for the end of following, at most a minute of the bubble's time.
func (w *world) result() Result {
	w.t.Helper()

	select {
	case results := <-w.done:
		return results[0]
	case <-time.After(time.Minute):
		w.cancel(nil)
		<-w.done
		w.t.Fatalf("following did not end; seen:\n%s", strings.Join(w.seen, "\n"))

		return Result{}
	}
}

func (w *world) stop() {
	w.cancel(nil)
	<-w.done
}

func (w *world) wantSeen(want ...string) {
	w.t.Helper()

	w.mu.Lock()
	defer w.mu.Unlock()

	if !slices.Equal(w.seen, want) {
		w.t.Errorf("events:\n  %s\nwant:\n  %s", strings.Join(w.seen, "\n  "), strings.Join(want, "\n  "))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}

	return value
}

// write stores a record as the runner does.
func (w *world) write(change func(*record.Record)) {
	w.t.Helper()

	w.writeAs(runName, change)
}

func (w *world) writeAs(name string, change func(*record.Record)) {
	w.t.Helper()

	// Past the reactors: the runner reaches the API server also when the follower does not.
	maps := corev1.SchemeGroupVersion.WithResource("configmaps")
	tracker := w.client.Tracker()
	r := &record.Record{
		SchemaVersion: record.SchemaVersion, Run: name, Namespace: namespace, Action: "backup", State: record.Pending, Created: time.Now(),
		Phases: []record.Phase{{Name: "snapshot", Func: "F", State: record.Pending}, {Name: "copy", Func: "G", State: record.Pending}},
	}

	held, err := tracker.Get(maps, namespace, name)
	if err == nil {
		r = must(record.Decode(held.(*corev1.ConfigMap)))
	}

	change(r)

	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{record.LabelRecord: "true"}},
		Data:       must(record.Encode(r)),
	}

	if err == nil {
		err = tracker.Update(maps, configMap, namespace)
	} else {
		err = tracker.Create(maps, configMap, namespace)
	}

	if err != nil {
		w.t.Fatal(err)
	}

	synctest.Wait()
}

func (w *world) job(change func(*batchv1.Job)) {
	w.t.Helper()

	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: runName, Namespace: namespace, UID: "job-uid"}}

	existing, err := w.client.BatchV1().Jobs(namespace).Get(w.t.Context(), runName, metav1.GetOptions{})
	if err == nil {
		job = existing
	}

	if change != nil {
		change(job)
	}

	if err == nil {
		must(w.client.BatchV1().Jobs(namespace).Update(w.t.Context(), job, metav1.UpdateOptions{}))
	} else {
		must(w.client.BatchV1().Jobs(namespace).Create(w.t.Context(), job, metav1.CreateOptions{}))
	}

	synctest.Wait()
}

// pod makes or changes a pod of the run; runner pods belong to the Job.
func (w *world) pod(name string, change func(*corev1.Pod)) {
	w.t.Helper()

	pods := w.client.CoreV1().Pods(namespace)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, UID: "uid-of-" + "pod", CreationTimestamp: metav1.Now(),
			Labels: map[string]string{record.LabelRun: runName, batchv1.JobNameLabel: runName},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}

	existing, err := pods.Get(w.t.Context(), name, metav1.GetOptions{})
	if err == nil {
		pod = existing
	}

	change(pod)

	if err == nil {
		must(pods.Update(w.t.Context(), pod, metav1.UpdateOptions{}))
	} else {
		must(pods.Create(w.t.Context(), pod, metav1.CreateOptions{}))
	}

	synctest.Wait()
}

func (w *world) warn(kind, name, reason, message string) {
	w.t.Helper()

	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name + "." + reason, Namespace: namespace},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name, Namespace: namespace},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: metav1.Now(),
	}

	if _, err := w.client.CoreV1().Events(namespace).Create(w.t.Context(), event, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
		must(w.client.CoreV1().Events(namespace).Update(w.t.Context(), event, metav1.UpdateOptions{}))
	}

	synctest.Wait()
}

func started(pod *corev1.Pod) {
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: RunnerContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
}

func ended(code int32, reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodFailed
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: RunnerContainer, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message},
		}}}
	}
}

func waiting(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: RunnerContainer, Image: "runner:v1", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
		}}}
	}
}

func begin(r *record.Record) {
	now := time.Now()
	r.State, r.Started, r.Attempts = record.Running, &now, 1
	r.Phases[0].State, r.Phases[0].Started, r.Phases[0].Attempts = record.Running, &now, 1
}

func second(r *record.Record) {
	now := time.Now()
	r.Phases[0].State, r.Phases[0].Ended = record.Complete, &now
	r.Phases[1].State, r.Phases[1].Started = record.Running, &now
}

func bytes(n int64) func(*record.Record) {
	return func(r *record.Record) { r.Phases[1].Progress = &record.Progress{BytesDone: n} }
}

func complete(r *record.Record) {
	now := time.Now()
	r.Phases[1].State, r.Phases[1].Ended = record.Complete, &now
	r.State, r.Ended = record.Complete, &now
}

func jobFailed(n int32) func(*batchv1.Job) {
	return func(job *batchv1.Job) {
		job.Status.Failed = n
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit"}}
	}
}

func TestFollowToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(func(*record.Record) {})
		w.follow(Follower{StartTimeout: time.Minute})
		w.pod(runName+"-1", started)
		w.write(begin)
		w.write(func(r *record.Record) {
			r.Warnings = []string{"live copy"}
			r.Events = []record.Event{{Time: time.Now(), Type: "Normal", Message: "run started"}, {Time: time.Now(), Type: "Warning", Message: "live copy"}}
		})
		w.write(second)
		w.write(bytes(10))
		w.write(func(r *record.Record) {
			r.Events = append(r.Events, record.Event{Time: time.Now(), Type: "Normal", Message: "copy: pod on node a"})
		})
		w.write(bytes(20))
		w.write(complete)

		result := w.result()
		if result.Err != nil || result.Record.State != record.Complete {
			t.Fatalf("result %+v", result)
		}

		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "warning live copy", "phaseEnded snapshot complete", "phaseStarted copy",
			"progress copy 10", "note copy: pod on node a", "progress copy 20", "phaseEnded copy complete", "finished complete")
	})
}

func TestFollowFinishedRunAsksForTheRecordOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.write(begin)
		w.write(second)
		w.write(complete)
		w.mu.Lock()
		w.requests = 0
		w.mu.Unlock()
		w.follow(Follower{})

		if result := w.result(); result.Err != nil {
			t.Fatal(result.Err)
		}

		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "phaseEnded snapshot complete", "phaseStarted copy", "phaseEnded copy complete", "finished complete")

		if w.requests > 2 {
			t.Errorf("%d requests for a finished run, want a list and at most a watch", w.requests)
		}
	})
}

func TestFollowSurvivesAPIServerRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})

		up := w.restart()
		time.Sleep(20 * time.Second)
		w.write(second)
		w.write(bytes(7))
		up()
		time.Sleep(30 * time.Second) // longer than the longest wait between two tries
		w.write(complete)

		if result := w.result(); result.Err != nil || result.Record.State != record.Complete {
			t.Fatalf("result %+v", result)
		}

		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "disconnected", "reconnected",
			"phaseEnded snapshot complete", "phaseStarted copy", "progress copy 7", "phaseEnded copy complete", "finished complete")

		if w.requests > 120 {
			t.Errorf("%d requests in a restart of 20 s: no backoff", w.requests)
		}
	})
}

func TestFollowTakesUpDroppedWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})

		for n := range int64(3) {
			w.drop(false)
			time.Sleep(10 * time.Second)

			if n == 0 {
				w.write(second)
			}

			w.write(bytes(n + 1))
		}

		w.write(complete)

		if result := w.result(); result.Err != nil {
			t.Fatal(result.Err)
		}

		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "phaseEnded snapshot complete", "phaseStarted copy",
			"progress copy 1", "progress copy 2", "progress copy 3", "phaseEnded copy complete", "finished complete")
	})
}

func TestFollowRecordDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})

		if err := w.client.CoreV1().ConfigMaps(namespace).Delete(t.Context(), runName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}

		if result := w.result(); !errors.Is(result.Err, ErrGone) || result.Record.State != record.Running {
			t.Fatalf("result %+v, want ErrGone with the last record", result)
		}

		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "lost")
	})
}

func TestFollowRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		denied string
		write  bool
		want   error
	}{
		"no such run":         {want: ErrNotFound},
		"record not readable": {denied: "configmaps", write: true, want: ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if test.write {
					w.write(begin)
				}

				w.denied[test.denied] = true
				w.follow(Follower{})

				if result := w.result(); !errors.Is(result.Err, test.want) {
					t.Errorf("error %v, want %v", result.Err, test.want)
				}
			})
		})
	}
}

func TestFollowWithTheRecordAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(func(*record.Record) {})
		w.denied["jobs"], w.denied["pods"], w.denied["events"] = true, true, true
		w.follow(Follower{StartTimeout: 5 * time.Minute})
		time.Sleep(time.Minute)
		w.write(begin)
		w.write(second)
		w.write(complete)

		if result := w.result(); result.Err != nil {
			t.Fatal(result.Err)
		}

		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "phaseEnded snapshot complete", "phaseStarted copy", "phaseEnded copy complete", "finished complete")
	})
}

func TestFollowStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})

		cause := errors.New("enough")
		w.cancel(cause)

		if result := w.result(); !errors.Is(result.Err, ErrStopped) || !errors.Is(result.Err, cause) {
			t.Errorf("error %v, want ErrStopped with its cause", result.Err)
		}
	})
}

func TestFollowUnreachableFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.restart()
		w.follow(Follower{})

		began := time.Now()

		select {
		case results := <-w.done:
			if err := results[0].Err; err == nil || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("error %v, want the API server's", err)
			}
		case <-time.After(3 * time.Minute):
			w.stop()
			t.Fatal("following an API server that never answered goes on for ever")
		}

		if took := time.Since(began); took < 30*time.Second {
			t.Errorf("given up after %s", took)
		}
	})
}

func TestFollowSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.writeAs("other", begin)
		w.follow(Follower{}, ref, Ref{Namespace: namespace, Name: "other"})
		w.writeAs("other", second)
		w.writeAs("other", complete)
		w.write(second)
		w.write(complete)

		results := <-w.done
		for i, name := range []string{runName, "other"} {
			if results[i].Ref.Name != name || results[i].Err != nil || results[i].Record.Run != name {
				t.Errorf("result %d: %+v", i, results[i])
			}
		}

		of := map[string]int{}
		for _, e := range w.events {
			of[e.Run.Name]++
		}

		if of[runName] != 7 || of["other"] != 7 {
			t.Errorf("events by run: %v, want 7 each", of)
		}
	})
}

// TestOlderCopiesBringNoEvents: a watch that is taken up may show older states of the record once more.
func TestOlderCopiesBringNoEvents(t *testing.T) {
	states := []func(*record.Record){begin, second, bytes(5), complete}

	var copies []*record.Record

	r := &record.Record{Run: runName, Namespace: namespace, State: record.Pending, Phases: []record.Phase{{Name: "snapshot"}, {Name: "copy"}}}
	for _, change := range states {
		r = r.Clone()
		change(r)
		copies = append(copies, r)
	}

	for i, newer := range copies {
		for _, older := range copies[:i] {
			for _, e := range changes(ref, newer, older, time.Now()) {
				if e.Kind == PhaseStarted || e.Kind == PhaseEnded || e.Kind == RunStarted || e.Kind == Attached {
					t.Errorf("going back from state %d brings %s", i, text(e))
				}
			}
		}
	}
}
