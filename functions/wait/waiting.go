package wait

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// How often is looked at what cannot be watched.
const (
	getEvery    = time.Second     // a Namespace
	servedEvery = 2 * time.Second // a group that the cluster does not serve yet
)

// errMet ends the watches of the other objects.
var errMet = errors.New("the condition is met")

// waiting is one phase that waits.
type waiting struct {
	run *functions.Run
	// any is how many of the conditions, the first ones, are of anyOf.
	any        int
	conditions []condition
	objects    []*watched

	mu   sync.Mutex // of what the watches find out: state of conditions and objects
	told string
}

// condition is one condition with what came of it last.
type condition struct {
	document.Condition

	evaluate evaluation
	met      bool
	// seen says what it rendered to, or why it could not be evaluated.
	seen string
}

// watched is one object, for all conditions about it.
type watched struct {
	reference  blueprint.ObjectReference
	conditions []int
	name       string // as it is told to people
}

func (w *waiting) add(c document.Condition, evaluate evaluation) {
	w.conditions = append(w.conditions, condition{Condition: c, evaluate: evaluate, seen: "not looked at yet"})
	index := len(w.conditions) - 1

	for _, o := range w.objects {
		if o.reference == c.Reference {
			o.conditions = append(o.conditions, index)

			return
		}
	}

	w.objects = append(w.objects, &watched{
		reference: c.Reference, conditions: []int{index}, name: fmt.Sprintf("%s %q", cmp.Or(c.Reference.Resource, c.Reference.Kind), c.Reference.Name),
	})
}

// wait watches all objects until the conditions are met, at most limit long.
func (w *waiting) wait(ctx context.Context, limit time.Duration) error {
	inner, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	resources := document.NewResources(w.run.Kube.Clientset.Discovery())
	group, inner := errgroup.WithContext(inner)

	for _, o := range w.objects {
		group.Go(func() error {
			resource, err := w.resource(inner, resources, o)
			if err != nil {
				return err
			}

			return w.watch(inner, resource, o)
		})
	}

	err := group.Wait()

	switch {
	case err == nil, errors.Is(err, errMet):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("waiting for %s: %w", w.missing(), ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return &kube.Error{Reason: kube.ReasonTimeout, Message: fmt.Sprintf("waited %s for %s", limit, w.missing()), Hint: w.hint()}
	default:
		return err
	}
}

// resource finds out what the reference means. A group that the cluster does not serve may be on its way.
func (w *waiting) resource(ctx context.Context, resources *document.Resources, o *watched) (document.Resource, error) {
	for {
		var resource document.Resource

		err := w.run.Kube.Retry(ctx, func(ctx context.Context) (err error) {
			resource, err = resources.OfReference(ctx, o.reference)

			return err
		})
		if err == nil {
			return resource, nil
		}

		if ctx.Err() != nil {
			return resource, ctx.Err()
		}

		var unknown *document.UnknownError
		if !errors.As(err, &unknown) || unknown.What != "" {
			return resource, fmt.Errorf("reading argument %q: %s: objectReference: %w", "conditions", w.conditions[o.conditions[0]].Path, err)
		}

		w.note(o, fmt.Sprintf("the cluster does not serve %q", unknown.GroupVersion))

		if err := w.run.Kube.Sleep(ctx, servedEvery); err != nil {
			return resource, err
		}
	}
}

func (w *waiting) watch(ctx context.Context, resource document.Resource, o *watched) error {
	namespace := resource.Namespace(o.reference.Namespace, w.run.Namespace)

	w.mu.Lock()
	o.name = fmt.Sprintf("%s %q", resource, o.reference.Name)

	if namespace != "" {
		o.name += fmt.Sprintf(" in namespace %q", namespace)
	}
	w.mu.Unlock()

	var err error
	if resource.ByGet() {
		err = w.poll(ctx, resource, o)
	} else {
		err = w.run.Kube.WaitFor(ctx, resource.GroupVersionResource, namespace, o.reference.Name, 0, o.name, func(u *unstructured.Unstructured) (bool, error) {
			return false, w.look(o, u)
		}, nil)
	}

	if apierrors.IsForbidden(err) {
		return &kube.Error{
			Reason: kube.ReasonAccessDenied, Message: "watching " + o.name, Err: err,
			Hint: "the run's ServiceAccount lacks this permission: `kubectl kanister … --dry-run` shows what was worked out; --service-account uses one of your own",
		}
	}

	return err
}

// poll looks at an object again and again.
func (w *waiting) poll(ctx context.Context, resource document.Resource, o *watched) error {
	for {
		var u *unstructured.Unstructured

		err := w.run.Kube.Retry(ctx, func(ctx context.Context) (err error) {
			u, err = w.run.Kube.Dynamic.Resource(resource.GroupVersionResource).Get(ctx, o.reference.Name, metav1.GetOptions{})

			return err
		})
		if apierrors.IsNotFound(err) {
			u, err = nil, nil
		}

		if err != nil {
			return err
		}

		if err := w.look(o, u); err != nil {
			return err
		}

		if err := w.run.Kube.Sleep(ctx, getEvery); err != nil {
			return err
		}
	}
}

// look judges the conditions about one object, nil if there is none. errMet: the wait is over.
func (w *waiting) look(o *watched, u *unstructured.Unstructured) error {
	w.mu.Lock()

	for _, i := range o.conditions {
		c := &w.conditions[i]
		c.met = false

		if u == nil {
			c.seen = "the object does not exist"

			continue
		}

		text, err := c.evaluate(u)
		text = strings.TrimSpace(text)

		switch {
		case err != nil:
			c.seen = "it cannot be evaluated: " + shorten(err.Error())
		case text == "":
			c.seen = "it renders to nothing"
		default:
			c.met = text == "true"
			c.seen = fmt.Sprintf("it renders to %q", shorten(text))
		}
	}

	met := w.met()
	w.mu.Unlock()

	if met {
		return errMet
	}

	w.tell()

	return nil
}

// note says the same of all conditions about one object.
func (w *waiting) note(o *watched, seen string) {
	w.mu.Lock()
	for _, i := range o.conditions {
		w.conditions[i].met, w.conditions[i].seen = false, seen
	}
	w.mu.Unlock()

	w.tell()
}

// met: one of anyOf, or all of allOf and there are some. The caller holds mu.
func (w *waiting) met() bool {
	for _, c := range w.conditions[:w.any] {
		if c.met {
			return true
		}
	}

	for _, c := range w.conditions[w.any:] {
		if !c.met {
			return false
		}
	}

	return len(w.conditions) > w.any
}

// missing says, for each condition that is not true, what was seen last.
func (w *waiting) missing() string {
	w.mu.Lock()
	defer w.mu.Unlock()

	var lines []string

	for _, o := range w.objects {
		for _, i := range o.conditions {
			if c := w.conditions[i]; !c.met {
				lines = append(lines, fmt.Sprintf("%s of %s: %s", c.Path, o.name, c.seen))
			}
		}
	}

	return strings.Join(lines, "; ")
}

func (w *waiting) tell() {
	text := "waiting for " + w.missing()

	w.mu.Lock()
	fresh := text != w.told
	w.told = text
	w.mu.Unlock()

	if fresh {
		w.run.Journal.Progress(record.Progress{Message: text})
	}
}

// hint is a command that shows the first object.
func (w *waiting) hint() string {
	r := w.objects[0].reference
	text := "kubectl get " + r.Resource

	if gv, err := document.GroupVersion(r); err == nil && gv.Group != "" {
		text += "." + gv.Group
	}

	text += " " + r.Name
	if r.Namespace != "" {
		text += " -n " + r.Namespace
	}

	return text + " -o yaml"
}
