// Package blueprint holds the commands on blueprints: get blueprints, validate.
package blueprint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/source"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
)

// GetOptions are the options of `get blueprints`.
type GetOptions struct {
	genericiooptions.IOStreams
	*ui.Output

	Getter  genericclioptions.RESTClientGetter
	Session *session.Session
	Sources *source.Resolver
	Names   []string
	All     bool
}

// item is one blueprint of the list.
type item struct {
	// word is what --blueprint takes.
	word, namespace, source string
	blueprint               *blueprint.Blueprint
	raw                     []byte
	// broken says why it cannot be used.
	broken error
}

// NewCmdGet is `get blueprints`.
func NewCmdGet(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &GetOptions{IOStreams: streams, Output: ui.NewOutput(), Getter: getter}
	cmd := &cobra.Command{
		Use:     "blueprints [NAME...] [-A] [-o FORMAT]",
		Aliases: []string{"blueprint", "bp"},
		Short:   "List blueprints: built in, in ConfigMaps, in an upstream installation",
		Long: `List the blueprints that can be used by name: those built into the plugin, those in ConfigMaps labelled
` + source.LabelKind + "=" + source.KindBlueprint + `, and Blueprint custom resources where upstream Kanister is installed. The first
column is what --blueprint takes.`,
		Example: `  # What there is
  kubectl kanister get blueprints
  # A built-in one as YAML, as the beginning of one's own
  kubectl kanister get blueprint builtin/volumes -o yaml
  # Store one's own
  kubectl create configmap pg --from-file=blueprint.yaml=pg.yaml && kubectl label configmap pg ` + source.LabelKind + "=" + source.KindBlueprint,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}

			if err := o.Output.Validate(); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	o.AddFlags(cmd)
	cmd.Flags().BoolVarP(&o.All, "all-namespaces", "A", false, "List across all namespaces")

	return cmd
}

// Complete makes the clients.
func (o *GetOptions) Complete(args []string) error {
	s, err := session.New(o.Getter)
	if err != nil {
		return err
	}

	o.Names, o.Session = args, s
	o.Sources = source.New(s.Kubernetes, s.Dynamic, o.In)

	return nil
}

// Run lists and prints.
func (o *GetOptions) Run(ctx context.Context) error {
	items := o.builtIn()

	if o.needsCluster() {
		more, err := o.inCluster(ctx)
		if err != nil {
			return err
		}

		items = append(items, more...)
	}

	items, err := o.named(items)
	if err != nil {
		return err
	}

	if table, _ := o.Table(); table {
		return o.PrintTable(o.Out, tabular(items, o.All))
	}

	var objects []map[string]any

	for _, it := range items {
		object := map[string]any{}
		if err := yaml.Unmarshal(it.raw, &object); err != nil {
			return fmt.Errorf("printing blueprint %q: %w", it.word, err)
		}

		unstructured.RemoveNestedField(object, "metadata", "managedFields")
		objects = append(objects, object)
	}

	return o.PrintList(o.Out, objects)
}

// needsCluster is false when only built-in blueprints were named.
func (o *GetOptions) needsCluster() bool {
	return len(o.Names) == 0 || slices.ContainsFunc(o.Names, func(name string) bool { return !strings.HasPrefix(name, "builtin/") })
}

func (o *GetOptions) builtIn() []item {
	var items []item

	for _, name := range o.Sources.BuiltInNames() {
		data, _ := o.Sources.BuiltIn(name)
		items = append(items, load("builtin/"+name, "", source.BuiltIn, data))
	}

	return items
}

func load(word, namespace, from string, data []byte) item {
	it := item{word: word, namespace: namespace, source: from, raw: data}

	b, err := blueprint.Load(word, data)
	if err != nil {
		it.broken = err

		return it
	}

	it.blueprint = b
	it.broken = blueprint.Validate(b, blueprint.Options{Functions: builtin.Functions()}).Err()

	return it
}

// inCluster lists ConfigMaps and custom resources. What may not be listed is said, and is no error: the rest is of use.
func (o *GetOptions) inCluster(ctx context.Context) ([]item, error) {
	namespace := o.Session.Namespace
	if o.All {
		namespace = metav1.NamespaceAll
	}

	var items []item

	held, err := o.Session.Kubernetes.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: source.LabelKind + "=" + source.KindBlueprint})

	switch {
	case apierrors.IsForbidden(err):
		fmt.Fprintf(o.ErrOut, "warning: blueprints in ConfigMaps are not listed: %v\n", err)
	case err != nil:
		return nil, fmt.Errorf("listing blueprints in ConfigMaps: %w", err)
	default:
		for i := range held.Items {
			items = append(items, ofConfigMap(&held.Items[i]))
		}
	}

	resource := schema.GroupVersionResource{Group: "cr.kanister.io", Version: "v1alpha1", Resource: "blueprints"}
	custom, err := o.Session.Dynamic.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})

	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err): // no upstream installation
	case apierrors.IsForbidden(err): // usual for an application owner; nothing is missed where upstream is not installed
	case err != nil:
		return nil, fmt.Errorf("listing Blueprint custom resources: %w", err)
	default:
		for i := range custom.Items {
			items = append(items, ofCustom(&custom.Items[i]))
		}
	}

	return items, nil
}

func ofConfigMap(held *corev1.ConfigMap) item {
	word := "configmap/" + held.Name

	for _, key := range []string{"blueprint.yaml", "blueprint.yml", "blueprint.json", "blueprint"} {
		if text, ok := held.Data[key]; ok {
			return load(word, held.Namespace, source.ConfigMap, []byte(text))
		}
	}

	if len(held.Data) == 1 {
		for _, text := range held.Data {
			return load(word, held.Namespace, source.ConfigMap, []byte(text))
		}
	}

	return item{word: word, namespace: held.Namespace, source: source.ConfigMap, broken: errors.New("it has no key blueprint.yaml")}
}

func ofCustom(object *unstructured.Unstructured) item {
	for _, field := range [][]string{{"metadata", "managedFields"}, {"metadata", "annotations", corev1.LastAppliedConfigAnnotation}} {
		unstructured.RemoveNestedField(object.Object, field...)
	}

	word := "blueprint/" + object.GetName()

	data, err := json.Marshal(object.Object)
	if err != nil {
		return item{word: word, namespace: object.GetNamespace(), source: source.Cluster, broken: err}
	}

	return load(word, object.GetNamespace(), source.Cluster, data)
}

// named keeps the items that were asked for: by the whole word or by the bare name.
func (o *GetOptions) named(items []item) ([]item, error) {
	if len(o.Names) == 0 {
		return items, nil
	}

	var found []item

	for _, name := range o.Names {
		at := slices.IndexFunc(items, func(it item) bool {
			_, bare, _ := strings.Cut(it.word, "/")

			return it.word == name || bare == name
		})
		if at < 0 {
			return nil, exit.New(exit.Usage, fmt.Errorf("looking for blueprint %q: there is none in namespace %q", name, o.Session.Namespace),
				"kubectl kanister get blueprints"+o.Session.Commands.Suffix(o.Session.Namespace))
		}

		found = append(found, items[at])
	}

	return found, nil
}

func tabular(items []item, namespaces bool) *metav1.Table {
	columns := []string{"BLUEPRINT", "SOURCE", "ACTIONS", "VALID", "|", "FUNCTIONS", "FAULT"}
	table := &metav1.Table{}

	for _, it := range items {
		actions, functions, valid, fault := "-", "-", "yes", "-"

		if it.broken != nil {
			valid, fault = "no", strings.Join(strings.Fields(it.broken.Error()), " ")
		}

		if it.blueprint != nil {
			actions = strings.Join(slices.Sorted(maps.Keys(it.blueprint.Actions)), ",")
			functions = strings.Join(used(it.blueprint), ",")
		}

		row := ui.Row(it.word, it.source, actions, valid, functions, fault)

		if namespaces {
			namespace := it.namespace
			if namespace == "" {
				namespace = "-"
			}

			row.Cells = append([]any{namespace}, row.Cells...)
		}

		table.Rows = append(table.Rows, row)
	}

	if namespaces {
		columns = append([]string{"NAMESPACE"}, columns...)
	}

	table.ColumnDefinitions = ui.Columns(columns...)

	return table
}

// used are the functions of a blueprint, sorted.
func used(b *blueprint.Blueprint) []string {
	all := map[string]bool{}

	for _, action := range b.Actions {
		for _, phase := range action.Phases {
			all[phase.Func] = true
		}

		if action.DeferPhase != nil {
			all[action.DeferPhase.Func] = true
		}
	}

	return slices.Sorted(maps.Keys(all))
}
