package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// watchSeconds is how long one watch request may live. It bounds how long a connection that died without a word goes unnoticed.
const watchSeconds = int64(5 * 60)

// lister lists and watches one collection.
type lister struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// pods is the lister of a namespace's pods.
func (c *Client) pods(namespace string) lister {
	pods := c.Clientset.CoreV1().Pods(namespace)

	return lister{
		list:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return pods.List(ctx, o) },
		watch: pods.Watch,
	}
}

// objects is the lister of any resource.
func (c *Client) objects(resource schema.GroupVersionResource, namespace string) lister {
	client := c.Dynamic.Resource(resource).Namespace(namespace)

	return lister{
		list:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		watch: client.Watch,
	}
}

// change is what follow reports: the objects as they are now, or one object that changed.
type change struct {
	// reset holds all objects; it follows every list.
	reset []runtime.Object
	// event is one change since; nil with reset.
	event *watch.Event
}

// follow lists and then watches until handle is done, fails, or ctx ends. A watch that breaks is taken up again where it
// stopped, a stale one by a new list. Given a resource version, the first list is saved: the caller has the object in hand.
func (c *Client) follow(ctx context.Context, l lister, options metav1.ListOptions, version string, handle func(change) (bool, error)) error {
	seconds := watchSeconds
	lost := time.Time{}
	wait := retryFirst
	reached := false

	// retry decides what becomes of an error: nil means try again.
	retry := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}

		// An API server that has just started refuses for some seconds what it allowed before.
		denied := apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
		if !transient(err) && (!denied || !reached) {
			return err
		}

		now := c.clock().Now()
		if lost.IsZero() {
			lost = now
		}

		limit := outageLimit
		if denied {
			limit = time.Minute
		}

		if now.Sub(lost) > limit {
			return &Error{Reason: ReasonUnreachable, Message: fmt.Sprintf("the API server did not answer for %s", limit), Err: err}
		}

		err = c.Sleep(ctx, wait)
		wait = min(2*wait, retryLongest)

		return err
	}

	for {
		if version == "" {
			list, err := l.list(ctx, options)
			if err != nil {
				if err := retry(err); err != nil {
					return err
				}

				continue
			}

			objects, err := meta.ExtractList(list)
			if err != nil {
				return fmt.Errorf("reading a list: %w", err)
			}

			if done, err := handle(change{reset: objects}); done || err != nil {
				return err
			}

			if version = "0"; list.(metav1.ListInterface).GetResourceVersion() != "" {
				version = list.(metav1.ListInterface).GetResourceVersion()
			}

			reached, lost, wait = true, time.Time{}, retryFirst
		}

		watchOptions := options
		watchOptions.ResourceVersion = version
		watchOptions.TimeoutSeconds = &seconds
		watchOptions.AllowWatchBookmarks = true

		watcher, err := l.watch(ctx, watchOptions)
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			version = ""

			continue
		}

		if err != nil {
			if err := retry(err); err != nil {
				return err
			}

			continue
		}

		reached, lost, wait = true, time.Time{}, retryFirst

		next, done, err := drain(ctx, watcher, version, handle)
		if done || err != nil {
			return err
		}

		version = next

		// A server that ends every watch at once must not make us spin.
		if err := c.Sleep(ctx, retryFirst); err != nil {
			return err
		}
	}
}

// drain hands a watch's events to handle until the watch ends. It gives the version to go on from: "" after an error event.
func drain(ctx context.Context, watcher watch.Interface, version string, handle func(change) (bool, error)) (string, bool, error) {
	defer watcher.Stop()

	for {
		select {
		case <-ctx.Done():
			return "", false, ctx.Err()
		case event, open := <-watcher.ResultChan():
			if !open {
				return version, false, nil
			}

			if event.Type == watch.Error {
				return "", false, nil
			}

			if object, err := meta.Accessor(event.Object); err == nil && object.GetResourceVersion() != "" {
				version = object.GetResourceVersion()
			}

			if event.Type == watch.Bookmark {
				continue
			}

			if done, err := handle(change{event: &event}); done || err != nil {
				return version, done, err
			}
		}
	}
}

// byName selects one object.
func byName(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
}

// WaitFor watches one object until ready says yes, at most limit long (0: as long as ctx). ready gets nil while there is no such object; an error of
// its own ends the wait. The error of a wait that took too long has ReasonTimeout and what as its subject: "volume snapshot
// demo/x to get ready"; last, if not nil, tells what was seen last. Needs list and watch on the resource, by name.
func (c *Client) WaitFor(
	ctx context.Context, resource schema.GroupVersionResource, namespace, name string, limit time.Duration, what string,
	ready func(*unstructured.Unstructured) (bool, error), last func() string,
) error {
	return c.bounded(ctx, limit, what, last, func(ctx context.Context) error {
		return c.follow(ctx, c.objects(resource, namespace), byName(name), "", func(ch change) (bool, error) {
			objects := ch.reset
			if ch.event != nil && ch.event.Type != watch.Deleted {
				objects = []runtime.Object{ch.event.Object}
			}

			for _, object := range objects {
				if u, ok := object.(*unstructured.Unstructured); ok && u.GetName() == name {
					return ready(u)
				}
			}

			return ready(nil)
		})
	})
}

// WaitGone watches until there is no object of this name, at most limit long. Needs list and watch on the resource, by name.
func (c *Client) WaitGone(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, limit time.Duration) error {
	var finalizers []string

	what := fmt.Sprintf("%s %q in namespace %q to be gone", resource.Resource, name, namespace)

	return c.WaitFor(ctx, resource, namespace, name, limit, what, func(u *unstructured.Unstructured) (bool, error) {
		if u != nil {
			finalizers = u.GetFinalizers()
		}

		return u == nil, nil
	}, func() string {
		if len(finalizers) == 0 {
			return ""
		}

		return fmt.Sprintf("it is held by the finalizers %v", finalizers)
	})
}

// bounded runs wait with a limit and turns the limit's end into an Error that names what was waited for.
func (c *Client) bounded(ctx context.Context, limit time.Duration, what string, last func() string, wait func(context.Context) error) error {
	inner := ctx

	if limit > 0 {
		var cancel context.CancelFunc

		inner, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}

	err := wait(inner)
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}

	message := fmt.Sprintf("waited %s for %s", limit, what)

	if last != nil {
		if seen := last(); seen != "" {
			message += ": " + seen
		}
	}

	return &Error{Reason: ReasonTimeout, Message: message}
}

// podOf gives the pod of a change about one name: gone says that there is none (any more).
func podOf(ch change, name string) (pod *corev1.Pod, gone bool) {
	objects := ch.reset
	if ch.event != nil {
		objects = []runtime.Object{ch.event.Object}
	}

	for _, object := range objects {
		if p, ok := object.(*corev1.Pod); ok && p.Name == name {
			return p, ch.event != nil && ch.event.Type == watch.Deleted
		}
	}

	return nil, ch.event == nil
}
