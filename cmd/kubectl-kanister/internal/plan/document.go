package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/document"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// Resources tells what documents and references mean in the cluster; *document.Resources does.
type Resources interface {
	OfKind(ctx context.Context, gvk schema.GroupVersionKind) (document.Resource, error)
	OfReference(ctx context.Context, reference blueprint.ObjectReference) (document.Resource, error)
	Learn(crd *unstructured.Unstructured) bool
}

// named is an object that a document or a reference names, as far as that is known before the run.
type named struct {
	document.Resource

	// namespaces are where it may lie: one if that is known; "" for an object of the cluster.
	namespaces []string
	// name is "" if only the run will know it; madeUp: it is made of the run's name, and the next run has another one.
	name   string
	madeUp bool
}

// words are the object for a reader: deployments.apps demo/web.
func (n named) words() string {
	text := cmp.Or(n.name, notYet)
	if len(n.namespaces) == 1 && n.namespaces[0] != "" {
		text = n.namespaces[0] + "/" + text
	}

	return n.Resource.String() + " " + text
}

// outputs are what KubeOps will put out of the object, without what is not known yet.
func (n named) outputs() map[string]any {
	outputs := map[string]any{"apiVersion": n.Version, "group": n.Group, "resource": n.Resource.Resource, "kind": n.Kind}
	if n.name != "" {
		outputs["name"] = n.name
	}

	if len(n.namespaces) == 1 && n.namespaces[0] != "" {
		outputs["namespace"] = n.namespaces[0]
	}

	return outputs
}

// documents finds the objects that the phase's documents and references name.
type documents struct {
	resources Resources
	params    *params.TemplateParams
	function  string
	phase     string
	// account is the existing ServiceAccount that the run uses, if it does.
	account string
	// run names the run and its namespace; target is the target's namespace.
	run, runNamespace, target string
	warn                      func(format string, args ...any)
}

// of reads one argument. Its objects are those that can be known; about the others it warns.
func (d documents) of(ctx context.Context, function spec.Function, rule spec.Rule, args map[string]any) []named {
	value, given := args[rule.DocumentArg]
	if !given {
		d.warn("phase %q: it has no argument %q, and will fail for that", d.phase, rule.DocumentArg)

		return nil
	}

	fallback := d.runNamespace // Wait, WaitV2
	if rule.NamespaceArg != "" {
		fallback = document.DefaultNamespace

		if text, _ := args[rule.NamespaceArg].(string); text != "" {
			known, ok := d.render(text)
			fallback = known

			if !ok {
				fallback = ""
			}
		}
	}

	arg, _ := function.Arg(rule.DocumentArg)
	if arg.Type == spec.String {
		text, _ := value.(string)

		return d.text(ctx, text, fallback)
	}

	fields, _ := value.(map[string]any)
	anyOf, some := fields["anyOf"].([]any)
	allOf, all := fields["allOf"].([]any)

	if !some && !all {
		return d.references(ctx, fallback, value)
	}

	var references []any

	for _, conditions := range [][]any{anyOf, allOf} {
		for _, element := range conditions {
			condition, _ := element.(map[string]any)
			references = append(references, condition["objectReference"])
		}
	}

	return d.references(ctx, fallback, references...)
}

// render gives text rendered; false: it is known only in the run.
func (d documents) render(text string) (string, bool) {
	out, pending, err := template.RenderPartial(text, d.params)
	if err != nil || pending {
		return "", false
	}

	return strings.TrimSpace(out), true
}

// unclear is said of what cannot be worked out, if permissions have to be.
func (d documents) unclear(what string, err error) {
	if d.account != "" {
		return
	}

	d.warn("phase %q: which object %s names cannot be worked out before the run: %v; no permission is granted for it: "+
		"grant what %s needs for it to a ServiceAccount of your own and use --service-account", d.phase, what, err, d.function)
}

// text are the objects of a text of documents. What makes it unrenderable before the run is mostly deep inside; then the names are read
// from the text as it is, and rendered one by one.
func (d documents) text(ctx context.Context, text, fallback string) []named {
	rendered, whole := d.render(text)
	if !whole {
		rendered = text
	}

	contents, err := document.Parse(rendered)
	if err != nil {
		d.unclear("its spec", err)

		return nil
	}

	var found []named

	for i, content := range contents {
		n, err := d.document(ctx, content, i, fallback)
		if err != nil {
			d.unclear(fmt.Sprintf("document %d of its spec", i+1), err)

			continue
		}

		found = append(found, n)

		d.resources.Learn(content)
	}

	return found
}

var errPending = errors.New("it depends on what the run itself finds out")

func (d documents) document(ctx context.Context, content *unstructured.Unstructured, index int, fallback string) (named, error) {
	apiVersion, versionKnown := d.render(content.GetAPIVersion())
	kind, kindKnown := d.render(content.GetKind())

	if !versionKnown || !kindKnown {
		return named{}, errPending
	}

	resource, err := d.resources.OfKind(ctx, schema.FromAPIVersionAndKind(apiVersion, kind))
	if err != nil {
		return named{}, err
	}

	n := named{Resource: resource, namespaces: d.namespaces(resource, content.GetNamespace(), fallback)}

	if name, known := d.render(content.GetName()); known {
		n.name = name
	}

	if content.GetName() == "" && content.GetGenerateName() != "" {
		if prefix, known := d.render(content.GetGenerateName()); known {
			n.name, n.madeUp = document.GeneratedName(prefix, d.runNamespace, d.run, d.phase, index), true
		}
	}

	return n, nil
}

// namespaces are where an object lies. A namespace that is not known yet is taken to be the target's or the run's, with a
// warning: anything wider would be a guess with rights.
func (d documents) namespaces(resource document.Resource, own, fallback string) []string {
	if !resource.Namespaced {
		return []string{""}
	}

	namespace, known := d.render(own)
	if known {
		namespace = cmp.Or(namespace, fallback)
	}

	if namespace != "" {
		return []string{namespace}
	}

	if d.account != "" {
		return []string{d.target}
	}

	d.warn("phase %q: the namespace of its %s is known only when the run reaches it; its permissions are for namespace %q only, use --service-account if that is not enough",
		d.phase, resource, d.target)

	return distinct(d.target, d.runNamespace)
}

func (d documents) references(ctx context.Context, fallback string, values ...any) []named {
	var found []named

	for _, value := range values {
		n, err := d.reference(ctx, value, fallback)
		if err != nil {
			d.unclear("its objectReference", err)

			continue
		}

		if !slices.ContainsFunc(found, func(o named) bool { return o.words() == n.words() }) {
			found = append(found, n)
		}
	}

	return found
}

func (d documents) reference(ctx context.Context, value any, fallback string) (named, error) {
	pending := map[string]string{}

	reference, err := document.Reference(value, func(field, text string) (string, error) {
		out, known := d.render(text)
		if !known {
			pending[field] = text
		}

		return out, nil
	})
	if err != nil {
		return named{}, err
	}

	for _, field := range []string{"apiVersion", "group", "resource", "kind"} {
		if pending[field] != "" && (field != "kind" || reference.Resource == "") {
			return named{}, fmt.Errorf("%s: %w", field, errPending)
		}
	}

	resource, err := d.resources.OfReference(ctx, reference)
	if err != nil {
		return named{}, err
	}

	n := named{Resource: resource, name: reference.Name}
	n.namespaces = d.namespaces(resource, cmp.Or(pending["namespace"], reference.Namespace), fallback)

	return n, nil
}

// documents are the objects of the phase by argument.
func (b *builder) documents(ctx context.Context, function spec.Function, phase *blueprint.Phase, r resolver) map[string][]named {
	objects := map[string][]named{}

	d := documents{
		resources: b.request.Resources, params: b.request.Params, account: b.request.ServiceAccount, function: function.ID, phase: cmp.Or(phase.Name, deferName),
		run: b.plan.Run(), runNamespace: b.request.Namespace, target: r.targetNamespace(), warn: b.warn,
	}

	for _, rule := range function.Rules {
		if _, done := objects[rule.DocumentArg]; done || rule.Where != spec.InDocument || !r.applies(rule) {
			continue
		}

		if d.resources == nil {
			d.unclear("argument "+rule.DocumentArg, errors.New("the cluster was not asked what it serves"))

			return objects
		}

		objects[rule.DocumentArg] = d.of(ctx, function, rule, phase.Args)

		for _, object := range objects[rule.DocumentArg] {
			if object.madeUp {
				b.plan.MadeUp = append(b.plan.MadeUp, object.name)
			}
		}
	}

	return objects
}

// deferName is what a deferPhase without a name is called.
const deferName = "defer"

// words are the objects that the function's documents and references name.
func (r resolver) words(function spec.Function) string {
	var all []string

	for _, rule := range function.Rules {
		for _, object := range r.objects[rule.DocumentArg] {
			if text := object.words(); !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}

	if len(all) == 0 {
		return notYet
	}

	return strings.Join(all, ", ")
}

// foresee lets later phases see outputs that are known before the run: what KubeOps says of its objects, and that
// QuiesceVolumes stops nothing when it is not asked to. So they get the rights that they need by name, or not at all.
func (b *builder) foresee(function spec.Function, phase *blueprint.Phase, r resolver) {
	var outputs map[string]any

	switch {
	case function.ID == "KubeOps":
		for _, argument := range []string{"spec", "objectReference"} {
			if objects := r.objects[argument]; len(objects) > 0 {
				outputs = objects[len(objects)-1].outputs()
			}
		}
	case function.ID == "QuiesceVolumes" && !r.unknown["mode"] && !strings.EqualFold(fmt.Sprint(r.args["mode"]), "scale-down"):
		outputs = map[string]any{"workloads": "[]"}
	}

	p := b.request.Params
	if outputs == nil || p == nil || phase.Name == "" {
		return
	}

	known := p.Phases[phase.Name]
	if known == nil {
		known = &params.Phase{}
	}

	copied := *known
	copied.Output = outputs
	p.Phases[phase.Name] = &copied
}

// ownPhases is p with a map of phases of its own, to which foreseen outputs can be added.
func ownPhases(p *params.TemplateParams) *params.TemplateParams {
	if p == nil {
		return nil
	}

	copied := *p

	copied.Phases = maps.Clone(p.Phases)
	if copied.Phases == nil {
		copied.Phases = map[string]*params.Phase{}
	}

	return &copied
}

// renderable are the arguments that the runner renders as a whole: of a function that wants them raw only the texts, which
// hold no conditions.
func renderable(function spec.Function, args map[string]any) map[string]any {
	if !function.Raw {
		return args
	}

	texts := map[string]any{}

	for name, value := range args {
		if arg, ok := function.Arg(name); ok && arg.Type == spec.String {
			texts[name] = value
		}
	}

	return texts
}
