package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/clock"
)

// How long the API server may be away before a write is given up, and the pauses between attempts. An upgrade of a single
// control-plane node takes minutes.
const (
	outageLimit   = 10 * time.Minute
	denialLimit   = time.Minute // an API server that has just started refuses for some seconds what it allowed before
	retryFirst    = 100 * time.Millisecond
	retryLongest  = 5 * time.Second
	requestLimit  = 30 * time.Second // one request; a connection that died without a word must not hold a write for minutes
	watchLifetime = 5 * time.Minute
)

// ConfigMap is the Store in the cluster: the ConfigMap named as the run, in the run's namespace. It needs get, update and watch
// on that one object, and create if the plugin has not made it.
type ConfigMap struct {
	client  corev1client.ConfigMapInterface
	name    string
	clock   clock.WithTicker
	encoder *Encoder

	mu   sync.Mutex
	last *corev1.ConfigMap // as the server gave it last; nil: not read yet
	seen bool              // it existed once

	asked  chan struct{} // closed once the cancel annotation was seen, or the end of the object
	once   sync.Once
	reason string
	gone   bool
}

// NewConfigMap is the store of the run called name. spill may be nil.
func NewConfigMap(client corev1client.ConfigMapsGetter, namespace, name string, spill Spill, c clock.WithTicker) *ConfigMap {
	return &ConfigMap{
		client: client.ConfigMaps(namespace), name: name, clock: c, asked: make(chan struct{}),
		encoder: &Encoder{Spill: spill, SpillPrefix: SpillPrefix(namespace, name)},
	}
}

// SpillPrefix is where in its location a run's spilled values lie.
func SpillPrefix(namespace, run string) string {
	return "kanister-runs/" + namespace + "/" + run + "/values"
}

// Load implements Store.
func (s *ConfigMap) Load(ctx context.Context) (*Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if err := s.refresh(ctx); err != nil {
		return nil, err
	}

	if s.last == nil {
		return nil, ErrNotFound
	}

	r, err := Decode(s.last)
	if err != nil {
		return nil, err
	}

	return r, s.encoder.Resolve(ctx, r)
}

// refresh reads the ConfigMap; last is nil afterwards if there is none.
func (s *ConfigMap) refresh(ctx context.Context) error {
	err := s.retry(ctx, "reading", func(ctx context.Context) error {
		cm, err := s.client.Get(ctx, s.name, metav1.GetOptions{})

		switch {
		case apierrors.IsNotFound(err):
			s.last = nil
		case err != nil:
			return err
		default:
			s.saw(cm)
		}

		return nil
	})

	return err
}

func (s *ConfigMap) saw(cm *corev1.ConfigMap) {
	s.last, s.seen = cm, true
	s.look(cm)
}

// look notices a cancel request.
func (s *ConfigMap) look(cm *corev1.ConfigMap) {
	if reason, ok := cm.Annotations[AnnotationCancel]; ok {
		s.once.Do(func() {
			s.reason = reason
			close(s.asked)
		})
	}
}

// Save implements Store.
func (s *ConfigMap) Save(ctx context.Context, r *Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.last == nil && !s.seen {
		if err := s.refresh(ctx); err != nil {
			return err
		}
	}

	var others int
	if s.last != nil {
		others = othersSize(s.last.Data)
	}

	encoded, err := s.encoder.Encode(ctx, r, others)
	if err != nil {
		return err
	}

	return s.retry(ctx, "writing", func(ctx context.Context) error { return s.write(ctx, r, encoded) })
}

// write makes one attempt, or a few when others have changed the object in between.
func (s *ConfigMap) write(ctx context.Context, r *Record, encoded map[string]string) error {
	if s.last == nil {
		return s.create(ctx, r, encoded)
	}

	const conflicts = 8

	var err error

	for range conflicts {
		next := s.last.DeepCopy()
		next.Data = merge(next.Data, encoded)
		next.Labels = merged(next.Labels, Labels(r))

		if r.State.Finished() {
			immutable := true
			next.Immutable = &immutable
		}

		var updated *corev1.ConfigMap

		updated, err = s.client.Update(ctx, next, metav1.UpdateOptions{})
		if err == nil {
			s.saw(updated)

			return nil
		}

		if apierrors.IsNotFound(err) {
			return ErrGone
		}

		// An immutable object answers "invalid" rather than "conflict".
		if !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			return err
		}

		current, getErr := s.client.Get(ctx, s.name, metav1.GetOptions{})
		if apierrors.IsNotFound(getErr) {
			return ErrGone
		}

		if getErr != nil {
			return getErr
		}

		if current.UID != s.last.UID {
			return ErrGone
		}

		unchanged := current.ResourceVersion == s.last.ResourceVersion
		s.saw(current)

		// An earlier attempt of this very write was stored although its answer was lost.
		if maps.Equal(current.Data, next.Data) && (current.Immutable != nil && *current.Immutable) == r.State.Finished() {
			return nil
		}

		stored, decodeErr := Decode(current)
		if decodeErr != nil {
			return decodeErr
		}

		if err := CheckSuccession(stored, r); err != nil {
			return err
		}

		if unchanged { // the server does not want this object, whoever writes it
			return err
		}
	}

	return err
}

func (s *ConfigMap) create(ctx context.Context, r *Record, encoded map[string]string) error {
	if s.seen {
		return ErrGone
	}

	created, err := s.client.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Labels: Labels(r)},
		Data:       encoded,
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) { // an earlier attempt of ours, or the plugin came second
		current, getErr := s.client.Get(ctx, s.name, metav1.GetOptions{})
		if getErr != nil {
			return getErr
		}

		s.saw(current)

		return s.write(ctx, r, encoded)
	}

	if err != nil {
		return err
	}

	s.saw(created)

	if r.State.Finished() {
		return s.write(ctx, r, encoded)
	}

	return nil
}

func merged(existing, ours map[string]string) map[string]string {
	all := maps.Clone(existing)
	if all == nil {
		all = map[string]string{}
	}

	maps.Copy(all, ours)

	return all
}

// CancelRequested implements Store.
func (s *ConfigMap) CancelRequested(ctx context.Context) (string, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()

	ended := make(chan struct{})

	go func() {
		defer close(ended)
		s.watch(watching)
	}()

	defer func() {
		stop()
		<-ended
	}()

	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-s.asked:
		if s.gone {
			return "", ErrGone
		}

		return s.reason, nil
	}
}

// watch looks at the ConfigMap until the request was seen or ctx ends. It begins and begins again with a read, and never gives
// up: as long as the run goes on, somebody may cancel it.
func (s *ConfigMap) watch(ctx context.Context) {
	wait, seen := retryFirst, false

	for ctx.Err() == nil {
		if s.watchOnce(ctx, seen) {
			wait, seen = retryFirst, true
		}

		if s.sleep(ctx, wait) != nil {
			return
		}

		wait = min(2*wait, retryLongest)
	}
}

// vanished notices that the object was deleted.
func (s *ConfigMap) vanished() {
	s.once.Do(func() {
		s.gone = true
		close(s.asked)
	})
}

// watchOnce tells whether the server has given the object. seen: it has before.
func (s *ConfigMap) watchOnce(ctx context.Context, seen bool) bool {
	cm, err := s.client.Get(ctx, s.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && seen {
		s.vanished()
	}

	if err != nil {
		return false
	}

	s.look(cm)

	seconds := int64(watchLifetime / time.Second)

	watcher, err := s.client.Watch(ctx, metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector(metav1.ObjectNameField, s.name).String(),
		ResourceVersion: cm.ResourceVersion,
		TimeoutSeconds:  &seconds,
	})
	if err != nil {
		return false
	}
	defer watcher.Stop()

	for {
		select {
		case <-ctx.Done():
			return true
		case <-s.asked:
			return true
		case event, open := <-watcher.ResultChan():
			if !open || event.Type == watch.Error {
				return true
			}

			if cm, ok := event.Object.(*corev1.ConfigMap); ok && cm.Name == s.name {
				if event.Type == watch.Deleted {
					s.vanished()

					return true
				}

				s.look(cm)
			}
		}
	}
}

// retry repeats do until it succeeds, fails for good or the server has been away for too long.
func (s *ConfigMap) retry(ctx context.Context, doing string, do func(context.Context) error) error {
	started := s.clock.Now()
	wait := retryFirst

	for {
		request, cancel := context.WithTimeout(ctx, requestLimit)
		err := do(request)
		late := request.Err() != nil && ctx.Err() == nil

		cancel()

		if err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrFinished) || errors.Is(err, ErrSuperseded) {
			return err
		}

		failed := fmt.Errorf("%s run record %q: %w", doing, s.name, err)
		denied := apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)

		limit := outageLimit
		if denied {
			limit = denialLimit
		}

		// The first denial in a run's life is a missing right; one after a success is a server that has just started.
		hopeful := late || Transient(err) || denied && s.seen
		if ctx.Err() != nil || !hopeful || s.clock.Since(started) > limit {
			return failed
		}

		if seconds, ok := apierrors.SuggestsClientDelay(err); ok && seconds > 0 {
			wait = max(wait, min(time.Duration(seconds)*time.Second, requestLimit))
		}

		if s.sleep(ctx, wait) != nil {
			return failed
		}

		wait = min(2*wait, retryLongest)
	}
}

func (s *ConfigMap) sleep(ctx context.Context, d time.Duration) error {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}

// Transient tells whether the same request may succeed later: connection refused or broken, timeouts, 429 and 5xx.
func Transient(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code

		return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError && code != http.StatusNotImplemented ||
			apierrors.IsConflict(err)
	}

	var netErr net.Error

	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsHTTP2ConnectionLost(err) || errors.As(err, &netErr)
}
