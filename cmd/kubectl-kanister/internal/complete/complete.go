// Package complete gives the shell the names that are in the cluster. Completion never waits long and never complains: what
// cannot be read is not offered.
package complete

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

const (
	patience = 3 * time.Second
	most     = 500 // names offered
)

// Filter limits the offered runs by their labels; nil offers all.
type Filter map[string]string

// Runs completes names of runs, any number of them, each once.
func Runs(getter genericclioptions.RESTClientGetter, filter Filter) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return without(runs(cmd.Context(), getter, filter), args), cobra.ShellCompDirectiveNoFileComp
	}
}

// Run completes the name of one run.
func Run(getter genericclioptions.RESTClientGetter, filter Filter) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}

		return runs(cmd.Context(), getter, filter), cobra.ShellCompDirectiveNoFileComp
	}
}

func runs(ctx context.Context, getter genericclioptions.RESTClientGetter, filter Filter) []cobra.Completion {
	selector := labels.Set{record.LabelRecord: "true"}
	for label, value := range filter {
		selector[label] = value
	}

	return inNamespace(ctx, getter, func(ctx context.Context, client kubernetes.Interface, namespace string) []cobra.Completion {
		list, err := client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String(), Limit: most})
		if err != nil {
			return nil
		}

		// The newest first: it is the one that is meant.
		slices.SortFunc(list.Items, func(a, b corev1.ConfigMap) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })

		var names []cobra.Completion
		for _, item := range list.Items {
			names = append(names, cobra.CompletionWithDesc(item.Name,
				strings.TrimSpace(item.Labels[record.LabelTargetKind]+"/"+item.Labels[record.LabelTargetName]+" "+item.Data[record.KeyState])))
		}

		return names
	})
}

// Profiles completes names of profiles.
func Profiles(getter genericclioptions.RESTClientGetter) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		names := inNamespace(cmd.Context(), getter, func(ctx context.Context, client kubernetes.Interface, namespace string) []cobra.Completion {
			list, err := client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelProfile + "=true", Limit: most})
			if err != nil {
				return nil
			}

			var names []cobra.Completion
			for _, item := range list.Items {
				names = append(names, item.Name)
			}

			return names
		})

		return without(names, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// Namespaces completes names of namespaces.
func Namespaces(getter genericclioptions.RESTClientGetter) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return inNamespace(cmd.Context(), getter, func(ctx context.Context, client kubernetes.Interface, _ string) []cobra.Completion {
			list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: most})
			if err != nil {
				return nil
			}

			var names []cobra.Completion
			for _, item := range list.Items {
				names = append(names, item.Name)
			}

			return names
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

// targetTypes are what blueprints work on, as one types them, with the resource that lists them.
var targetTypes = []struct {
	word, short string
	resource    schema.GroupVersionResource
}{
	{"deployment", "deploy", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}},
	{"statefulset", "sts", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}},
	{"pvc", "pvc", schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}},
	{"namespace", "ns", schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}},
}

// Targets completes TYPE/NAME: first the types, after the slash the names.
func Targets(getter genericclioptions.RESTClientGetter) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		word, _, slash := strings.Cut(typed, "/")
		if !slash {
			var types []cobra.Completion
			for _, t := range targetTypes {
				types = append(types, t.word+"/")
			}

			return types, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}

		for _, t := range targetTypes {
			if word == t.word || word == t.short || word == t.word+"s" || word == t.resource.Resource || word == "persistentvolumeclaim" && t.word == "pvc" {
				return without(objects(cmd.Context(), getter, word, t.resource), args), cobra.ShellCompDirectiveNoFileComp
			}
		}

		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// scope is no namespace for what lies in none.
func scope(resource schema.GroupVersionResource, namespace string) string {
	if resource.Resource == "namespaces" {
		return metav1.NamespaceNone
	}

	return namespace
}

func objects(ctx context.Context, getter genericclioptions.RESTClientGetter, word string, resource schema.GroupVersionResource) []cobra.Completion {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil
	}

	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil
	}

	namespace, _, err := getter.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil
	}

	list, err := client.Resource(resource).Namespace(scope(resource, namespace)).List(ctx, metav1.ListOptions{Limit: most})
	if err != nil {
		return nil
	}

	var names []cobra.Completion
	for _, item := range list.Items {
		names = append(names, word+"/"+item.Name)
	}

	return names
}

// Contexts, Clusters and Users complete names of the kubeconfig.
func Contexts(getter genericclioptions.RESTClientGetter) cobra.CompletionFunc {
	return inConfig(getter, func(c clientcmdapi.Config) []string { return keys(c.Contexts) })
}

// Clusters completes clusters of the kubeconfig.
func Clusters(getter genericclioptions.RESTClientGetter) cobra.CompletionFunc {
	return inConfig(getter, func(c clientcmdapi.Config) []string { return keys(c.Clusters) })
}

// Users completes users of the kubeconfig.
func Users(getter genericclioptions.RESTClientGetter) cobra.CompletionFunc {
	return inConfig(getter, func(c clientcmdapi.Config) []string { return keys(c.AuthInfos) })
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}

	slices.Sort(names)

	return names
}

func inConfig(getter genericclioptions.RESTClientGetter, names func(clientcmdapi.Config) []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		config, err := getter.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}

		return names(config), cobra.ShellCompDirectiveNoFileComp
	}
}

func inNamespace(ctx context.Context, getter genericclioptions.RESTClientGetter,
	names func(context.Context, kubernetes.Interface, string) []cobra.Completion,
) []cobra.Completion {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil
	}

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil
	}

	namespace, _, err := getter.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil
	}

	return names(ctx, client, namespace)
}

// without drops what was typed already.
func without(names []cobra.Completion, typed []string) []cobra.Completion {
	return slices.DeleteFunc(names, func(name cobra.Completion) bool {
		bare, _, _ := strings.Cut(name, "\t")

		return slices.Contains(typed, bare)
	})
}
