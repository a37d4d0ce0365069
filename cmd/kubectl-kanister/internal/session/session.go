// Package session is what a command works with in the cluster: clients with the user's rights, the namespace, the names of
// runs as they are typed.
package session

import (
	"fmt"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
)

// Session is one command's access to the cluster.
type Session struct {
	Config     *rest.Config
	Kubernetes kubernetes.Interface
	Dynamic    dynamic.Interface
	// Namespace that the command works in.
	Namespace string
	// Commands makes the commands that are shown as the next thing to type.
	Commands ui.Commands
}

// New reads the kubeconfig; it asks the API server nothing.
func New(getter genericclioptions.RESTClientGetter) (*Session, error) {
	namespace, _, err := getter.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}

	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, err
	}

	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making the client of %s: %w", config.Host, err)
	}

	kube, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("making the client of %s: %w", config.Host, err)
	}

	dyn, err := dynamic.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("making the client of %s: %w", config.Host, err)
	}

	return &Session{Config: config, Kubernetes: kube, Dynamic: dyn, Namespace: namespace, Commands: ui.CommandsOf(getter)}, nil
}

// runPrefixes are the words that may stand before a run's name, as `get -o name` prints it.
var runPrefixes = []string{"run", "runs", "run.kanister.io", "runs.kanister.io", "backup", "backups", "backup.kanister.io", "backups.kanister.io"}

// Refs are the runs named by args: NAME, run/NAME, backup/NAME, or NAMESPACE/NAME.
func (s *Session) Refs(args []string) ([]follow.Ref, error) {
	var refs []follow.Ref

	seen := map[follow.Ref]bool{}

	for _, arg := range args {
		ref := follow.Ref{Namespace: s.Namespace, Name: arg}

		if prefix, name, found := strings.Cut(arg, "/"); found {
			ref.Name = name
			if !isRunPrefix(prefix) {
				ref.Namespace = prefix
			}
		}

		if ref.Name == "" || ref.Namespace == "" || strings.Contains(ref.Name, "/") {
			return nil, exit.New(exit.Usage, fmt.Errorf("naming a run: %q is neither NAME nor run/NAME nor NAMESPACE/NAME", arg),
				"kubectl kanister get runs"+s.Commands.Suffix(s.Namespace))
		}

		if !seen[ref] {
			seen[ref] = true

			refs = append(refs, ref)
		}
	}

	return refs, nil
}

func isRunPrefix(word string) bool {
	for _, prefix := range runPrefixes {
		if strings.EqualFold(word, prefix) {
			return true
		}
	}

	return false
}
