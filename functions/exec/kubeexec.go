package exec

import (
	"context"
	"fmt"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// KubeExec runs a command in a running container (COMPAT §4.1).
type KubeExec struct{ spec.Function }

var _ = functions.Register(KubeExec{spec.Must("KubeExec")})

type kubeExecArgs struct {
	Namespace string   `mapstructure:"namespace"`
	Pod       string   `mapstructure:"pod"`
	Container string   `mapstructure:"container"`
	Command   []string `mapstructure:"command"`
}

// Exec implements functions.Func.
func (f KubeExec) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a kubeExecArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := once(run); err != nil {
		return nil, err
	}

	if err := given(map[string]string{"namespace": a.Namespace, "pod": a.Pod}, a.Command); err != nil {
		return nil, err
	}

	return command(ctx, run, target{a.Namespace, a.Pod, a.Container, a.Command})
}

// once refuses to run a command a second time after the runner was lost.
func once(run *functions.Run) error {
	if run.Attempt <= 1 {
		return nil
	}

	return &kube.Error{
		Reason:  kube.ReasonInterrupted,
		Message: "the runner was lost while the command ran; whether it has ended, and how, is not known, and it is not run twice",
		Hint:    "look at the application, then start the action again",
	}
}

// given refuses empty values of required arguments: a template that rendered to nothing.
func given(values map[string]string, command []string) error {
	for name, value := range values {
		if value == "" {
			return fmt.Errorf("reading argument %q: it is empty", name)
		}
	}

	if len(command) == 0 || command[0] == "" {
		return fmt.Errorf("reading argument %q: it is empty", "command")
	}

	return nil
}
