package kubeops

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// createdBy is the annotation that says which run and phase has created an object.
const createdBy = "kanister.io/created-by"

// How long a CustomResourceDefinition that the same phase has created may take to be served, and how often that is tried.
const (
	servedLimit = 30 * time.Second
	servedEvery = 250 * time.Millisecond
)

// item is one document to create.
type item struct {
	object

	content *unstructured.Unstructured
	// fresh: its CustomResourceDefinition stands before it in the same spec.
	fresh bool
}

func (c call) create(ctx context.Context) (map[string]any, error) {
	if strings.TrimSpace(c.args.Spec) == "" {
		return nil, fmt.Errorf("reading argument %q: it is empty; create needs the documents to create", "spec")
	}

	items, err := c.items(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading argument %q: %w", "spec", err)
	}

	var made []string

	for _, it := range items {
		// A cancel between two documents is obeyed.
		err := ctx.Err()
		if err == nil {
			err = c.createOne(ctx, it)
		}

		if err != nil {
			return nil, partly(err, made)
		}

		made = append(made, it.String())
		c.Journal.Event("created " + it.String())
	}

	return items[len(items)-1].outputs(), nil
}

// partly adds to err what the phase has created before.
func partly(err error, made []string) error {
	if len(made) == 0 {
		return err
	}

	return fmt.Errorf("%w (created before, and left there: %s)", err, strings.Join(made, ", "))
}

// items are the documents with what they mean in the cluster. Nothing is created before all of them are understood.
func (c call) items(ctx context.Context) ([]item, error) {
	contents, err := document.Parse(c.args.Spec)
	if err != nil {
		return nil, err
	}

	items := make([]item, 0, len(contents))
	learnt := false

	for i, content := range contents {
		gvk := content.GroupVersionKind()

		resource, err := c.resource(ctx, func(ctx context.Context) (document.Resource, error) { return c.resources.OfKind(ctx, gvk) })
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i+1, err)
		}

		it := item{content: content, fresh: learnt, object: object{
			Resource: resource, name: content.GetName(), namespace: resource.Namespace(content.GetNamespace(), c.args.Namespace),
		}}

		if it.name == "" && content.GetGenerateName() != "" {
			it.name = document.GeneratedName(content.GetGenerateName(), c.Namespace, c.Name, c.Phase, i)
		}

		if it.name == "" {
			return nil, fmt.Errorf("document %d (%s): it has neither metadata.name nor metadata.generateName", i+1, content.GetKind())
		}

		c.mark(it)

		items = append(items, it)
		learnt = c.resources.Learn(content) || learnt
	}

	return items, nil
}

// mark sets name, namespace and the annotation that tells a successor of this runner whose the object is.
func (c call) mark(it item) {
	it.content.SetName(it.name)
	it.content.SetNamespace(it.namespace)

	annotations := maps.Clone(it.content.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}

	annotations[createdBy] = c.mine()
	it.content.SetAnnotations(annotations)
}

// mine is the value of the annotation createdBy: namespace, run and phase, and the Job's uid, for a name may be used again.
func (c call) mine() string {
	text := c.Namespace + "/" + c.Name + "/" + c.Phase
	if c.Owner != nil {
		text += "#" + string(c.Owner.Reference.UID)
	}

	return text
}

func (c call) createOne(ctx context.Context, it item) error {
	deadline := c.Kube.Now().Add(servedLimit)

	for {
		err := c.Kube.Retry(ctx, func(ctx context.Context) error {
			_, err := c.client(it.object).Create(ctx, it.content, metav1.CreateOptions{FieldManager: fieldManager})

			return err
		})

		switch {
		case err == nil:
			return nil
		case apierrors.IsAlreadyExists(err):
			return c.taken(ctx, it)
		case it.fresh && apierrors.IsNotFound(err) && c.Kube.Now().Before(deadline) && !strings.Contains(err.Error(), "namespaces"):
			if err := c.Kube.Sleep(ctx, servedEvery); err != nil {
				return err
			}
		default:
			return explain("creating", it.object, err)
		}
	}
}

// taken decides about an object that is there already: this phase's own, created before the runner died or before an answer
// was lost, is taken for done.
func (c call) taken(ctx context.Context, it item) error {
	var there *unstructured.Unstructured

	err := c.Kube.Retry(ctx, func(ctx context.Context) (err error) {
		there, err = c.client(it.object).Get(ctx, it.name, metav1.GetOptions{})

		return err
	})
	if err == nil && there.GetAnnotations()[createdBy] == c.mine() && there.GetDeletionTimestamp() == nil {
		c.Journal.Event("found " + it.String() + " as it was created before")

		return nil
	}

	e := &kube.Error{
		Reason: "AlreadyExists", Message: "creating " + it.String() + ": it exists, and this phase has not made it",
		Hint: it.command("delete") + ", if nobody needs it; or give the document another name, or generateName",
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		e.Message += fmt.Sprintf(" (looking at it: %v)", err)
	}

	return e
}
