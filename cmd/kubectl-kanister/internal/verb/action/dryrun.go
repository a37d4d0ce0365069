package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// dryRun prints what would be created; in server mode the API server has checked it. The plan goes to stderr, the objects to
// stdout if -o asks for them.
func (o *Options) dryRun(ctx context.Context, attempts []*attempt) error {
	var objects []runtime.Object

	for _, a := range going(attempts) {
		if o.DryRun == dryRunServer {
			if a.err = o.tryAll(ctx, a.objects); a.err != nil {
				continue
			}
		}

		objects = append(objects, a.objects.All()...)

		if _, err := a.plan.WriteTo(o.talk()); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}

		o.warnOfCredentials(a.plan)
	}

	if err := o.printObjects(objects); err != nil {
		return err
	}

	return o.tell(attempts)
}

// warnOfCredentials: what is printed is the Secret as it would be created, and people put such files into repositories.
func (o *Options) warnOfCredentials(p *plan.Plan) {
	var whose []string

	if p.Input.Profile != nil {
		whose = append(whose, fmt.Sprintf("profile %q", p.Input.Profile.Name))
	}

	if p.Input.RepositoryServer != nil {
		whose = append(whose, fmt.Sprintf("repository server %q", p.Input.RepositoryServer.Name))
	}

	if (o.Output == "yaml" || o.Output == "json") && len(whose) > 0 {
		fmt.Fprintf(o.talk(), "warning: Secret %q in the output holds the credentials of %s in readable form\n", p.Run(), strings.Join(whose, " and "))
	}
}

func (o *Options) printObjects(objects []runtime.Object) error {
	var (
		out []byte
		err error
	)

	switch o.Output {
	case "yaml":
		out, err = pack.YAML(objects)
	case "json":
		out, err = pack.JSON(objects)
	case "name":
		for _, object := range objects {
			accessor, err := meta.Accessor(object)
			if err != nil {
				return fmt.Errorf("naming %T: %w", object, err)
			}

			out = fmt.Appendf(out, "%s/%s\n", nameOf(object), accessor.GetName())
		}
	}

	if err != nil {
		return err
	}

	if _, err := o.Out.Write(out); err != nil {
		return fmt.Errorf("writing the objects: %w", err)
	}

	return nil
}

// nameOf is the type of object as kubectl's -o name has it.
func nameOf(object runtime.Object) string {
	kind := object.GetObjectKind().GroupVersionKind()
	plural, _ := meta.UnsafeGuessKindToResource(kind)
	_, singular := meta.UnsafeGuessKindToResource(kind)

	if plural.Group == "" {
		return singular.Resource
	}

	return singular.Resource + "." + plural.Group
}

// tryAll sends the objects to the API server with dryRun=All.
func (o *Options) tryAll(ctx context.Context, objects *pack.Objects) error {
	var errs []error

	for _, object := range objects.All() {
		content, err := pack.Clean(object)
		if err != nil {
			return err
		}

		u := &unstructured.Unstructured{Object: content}
		plural, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind()) // right for every kind that pack makes
		_, err = o.dynamic.Resource(plural).Namespace(u.GetNamespace()).Create(ctx, u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})

		if u.GetKind() == "RoleBinding" || u.GetKind() == "ClusterRoleBinding" {
			if apierrors.IsNotFound(err) {
				err = nil // its Role was only tried: the API server cannot see it
			}
		}

		errs = append(errs, refused(u.GetKind(), u.GetName(), u.GetNamespace(), err))
	}

	for _, err := range errs {
		if code := exit.Of(err); err != nil {
			return exit.New(code, errors.Join(errs...), exit.HintOf(err))
		}
	}

	return nil
}

// printRecords prints the records of the runs as -o json or yaml asked, one document each.
func (o *Options) printRecords(ctx context.Context, refs []follow.Ref) error {
	if o.Output != "json" && o.Output != "yaml" {
		return nil
	}

	for i, ref := range refs {
		held, err := o.client.CoreV1().ConfigMaps(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading run %q: %w", ref.Name, err)
		}

		r, err := record.Decode(held)
		if err != nil {
			return fmt.Errorf("reading run %q: %w", ref.Name, err)
		}

		var out []byte

		if o.Output == "yaml" {
			out, err = yaml.Marshal(r)
			if i > 0 {
				out = append([]byte("---\n"), out...)
			}
		} else {
			out, err = json.MarshalIndent(r, "", "    ")
			out = append(out, '\n')
		}

		if err != nil {
			return fmt.Errorf("writing run %q: %w", ref.Name, err)
		}

		if _, err := o.Out.Write(out); err != nil {
			return fmt.Errorf("writing run %q: %w", ref.Name, err)
		}
	}

	return nil
}
