package follow

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
)

// changeKind says what a change is.
type changeKind int

const (
	replaced changeKind = iota // items are all there is, after a list
	changed                    // item was added or changed
	deleted                    // item is gone
	down                       // the API server does not answer: err
	up                         // it answers again
	denied                     // the user may not read this: err; the stream has ended
)

// change is one message of a stream.
type change struct {
	kind  changeKind
	items []runtime.Object
	item  runtime.Object
	err   error
}

// stream is a list and watch that never gives up: it survives dropped watches, expired resource versions and API servers that
// restart, and ends only with its context, or when the user may not read what it asks for.
type stream struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	// selectors are the label and field selectors.
	selectors metav1.ListOptions
	clock     clock.Clock
}

const (
	// watchSeconds bounds one watch, so that a connection that is dead without a word is found.
	watchSeconds = 240
	// denialPatience: an API server that restarts says Forbidden until it has read the roles.
	denialPatience = 30 * time.Second
	// shortWatch: a watch that ends sooner is followed by a pause.
	shortWatch = time.Second
)

func newBackoff() wait.Backoff {
	return wait.Backoff{Duration: 100 * time.Millisecond, Factor: 1.6, Jitter: 0.2, Steps: 1 << 30, Cap: 3 * time.Second}
}

// run sends changes to out until ctx ends; it is the owner of no goroutine and closes nothing.
func (s *stream) run(ctx context.Context, out chan<- change) {
	var (
		backoff    = newBackoff()
		isDown     bool
		worked     bool      // a list has succeeded once
		deniedFrom time.Time // since when it is denied
		version    string    // "" means: list again
	)

	send := func(c change) bool {
		select {
		case out <- c:
			return true
		case <-ctx.Done():
			return false
		}
	}

	// failed decides what an error means; it returns false when the stream is to end.
	failed := func(err error) bool {
		switch {
		case ctx.Err() != nil:
			return false
		case apierrors.IsResourceExpired(err), apierrors.IsGone(err), apierrors.IsInvalid(err):
			version = ""
		case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err), apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
			if deniedFrom.IsZero() {
				deniedFrom = s.clock.Now()
			}

			if !worked || s.clock.Since(deniedFrom) > denialPatience {
				send(change{kind: denied, err: err})

				return false
			}
		default:
			if !isDown {
				isDown = true

				if !send(change{kind: down, err: err}) {
					return false
				}
			}
		}

		return s.pause(ctx, backoff.Step())
	}

	answered := func() bool {
		deniedFrom = time.Time{}

		if !isDown {
			return true
		}

		isDown = false

		return send(change{kind: up})
	}

	for ctx.Err() == nil {
		if version == "" {
			items, listed, err := s.all(ctx)
			if err != nil {
				if !failed(err) {
					return
				}

				continue
			}

			worked, version = true, listed

			if !answered() || !send(change{kind: replaced, items: items}) {
				return
			}
		}

		began := s.clock.Now()

		next, err := s.follow(ctx, version, answered, send)
		version = next

		if err != nil {
			if !failed(err) {
				return
			}

			continue
		}

		if s.clock.Since(began) >= shortWatch {
			backoff = newBackoff()
		} else if !s.pause(ctx, backoff.Step()) {
			return
		}
	}
}

func (s *stream) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-s.clock.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *stream) all(ctx context.Context) ([]runtime.Object, string, error) {
	list, err := s.list(ctx, s.selectors)
	if err != nil {
		return nil, "", err
	}

	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, "", err
	}

	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return nil, "", err
	}

	version := accessor.GetResourceVersion()
	if version == "" {
		version = "0" // fakes
	}

	return items, version, nil
}

// follow watches from version until the watch ends. It returns the version to go on from, with an error as well.
func (s *stream) follow(ctx context.Context, version string, answered func() bool, send func(change) bool) (string, error) {
	options := s.selectors
	options.ResourceVersion = version
	options.AllowWatchBookmarks = true
	seconds := int64(watchSeconds)
	options.TimeoutSeconds = &seconds

	watcher, err := s.watch(ctx, options)
	if err != nil {
		return version, err
	}
	defer watcher.Stop()

	if !answered() {
		return version, ctx.Err()
	}

	for {
		select {
		case <-ctx.Done():
			return version, ctx.Err()
		case event, open := <-watcher.ResultChan():
			if !open {
				return version, nil
			}

			if event.Type == watch.Error {
				return version, apierrors.FromObject(event.Object)
			}

			object, err := meta.Accessor(event.Object)
			if err != nil {
				return version, err
			}

			version = object.GetResourceVersion()

			switch event.Type {
			case watch.Added, watch.Modified:
				if !send(change{kind: changed, item: event.Object}) {
					return version, ctx.Err()
				}
			case watch.Deleted:
				if !send(change{kind: deleted, item: event.Object}) {
					return version, ctx.Err()
				}
			case watch.Bookmark, watch.Error:
			}
		}
	}
}
