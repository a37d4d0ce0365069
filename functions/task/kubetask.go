package task

import (
	"context"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// KubeTask runs a command in a new pod (COMPAT §4.3).
type KubeTask struct{ spec.Function }

var _ = functions.Register(KubeTask{spec.Must("KubeTask")})

type kubeTaskArgs struct {
	Namespace      string            `mapstructure:"namespace"`
	Image          string            `mapstructure:"image"`
	Command        []string          `mapstructure:"command"`
	PodOverride    map[string]any    `mapstructure:"podOverride"`
	PodLabels      map[string]string `mapstructure:"podLabels"`
	PodAnnotations map[string]string `mapstructure:"podAnnotations"`
}

// Exec implements functions.Func.
func (f KubeTask) Exec(ctx context.Context, r *functions.Run, args map[string]any) (map[string]any, error) {
	var a kubeTaskArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := given(a.Image, a.Command); err != nil {
		return nil, err
	}

	options, err := r.PodOptions(a.Namespace, a.PodOverride, a.PodLabels, a.PodAnnotations)
	if err != nil {
		return nil, err
	}

	options.Image, options.Command = a.Image, a.Command

	outputs, err := run(ctx, r, options)
	if err != nil {
		return nil, err
	}

	return outputs, nil
}
