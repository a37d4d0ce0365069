package ui

import (
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
)

// Commands makes the commands that are shown as the next thing to type.
type Commands struct {
	// Default is the namespace that a command without -n means.
	Default string
	// Flags are those that name the cluster, as the user gave them: "--context prod".
	Flags []string
}

// CommandsOf takes over what the user's command line says of cluster and namespace: a command that is shown reaches the same
// run when it is pasted.
func CommandsOf(getter genericclioptions.RESTClientGetter) Commands {
	var c Commands

	if namespace, overridden, err := getter.ToRawKubeConfigLoader().Namespace(); err == nil && !overridden {
		c.Default = namespace
	}

	flags, ok := getter.(*genericclioptions.ConfigFlags)
	if !ok {
		return c
	}

	for _, flag := range []struct {
		name  string
		value *string
	}{{"kubeconfig", flags.KubeConfig}, {"context", flags.Context}, {"as", flags.Impersonate}} {
		if flag.value != nil && *flag.value != "" {
			c.Flags = append(c.Flags, "--"+flag.name, *flag.value)
		}
	}

	return c
}

// For is `kubectl kanister VERB NAME` with the flags that reach the run.
func (c Commands) For(verb string, ref follow.Ref) string {
	return "kubectl kanister " + verb + " " + ref.Name + c.Suffix(ref.Namespace)
}

// Suffix are the flags, with a leading space, that reach namespace.
func (c Commands) Suffix(namespace string) string {
	var words []string
	if namespace != "" && namespace != c.Default {
		words = append(words, "-n", namespace)
	}

	words = append(words, c.Flags...)
	if len(words) == 0 {
		return ""
	}

	return " " + strings.Join(words, " ")
}
