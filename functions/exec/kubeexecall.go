package exec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// KubeExecAll runs a command in several containers of several pods at once (COMPAT §4.2).
type KubeExecAll struct{ spec.Function }

var _ = functions.Register(KubeExecAll{spec.Must("KubeExecAll")})

type kubeExecAllArgs struct {
	Namespace  string   `mapstructure:"namespace"`
	Pods       string   `mapstructure:"pods"`
	Containers string   `mapstructure:"containers"`
	Command    []string `mapstructure:"command"`
}

// Exec implements functions.Func.
func (f KubeExecAll) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a kubeExecAllArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := once(run); err != nil {
		return nil, err
	}

	if err := given(map[string]string{
		"namespace": a.Namespace, "pods": strings.TrimSpace(a.Pods), "containers": strings.TrimSpace(a.Containers),
	}, a.Command); err != nil {
		return nil, err
	}

	var targets []target

	for _, pod := range strings.Fields(a.Pods) {
		for _, container := range strings.Fields(a.Containers) {
			targets = append(targets, target{a.Namespace, pod, container, a.Command})
		}
	}

	return all(ctx, run, targets)
}

func all(ctx context.Context, run *functions.Run, targets []target) (map[string]any, error) {
	var (
		outputs = make([]map[string]any, len(targets))
		errs    = make([]error, len(targets))
		group   sync.WaitGroup
	)

	for i, t := range targets {
		group.Go(func() {
			errs[i] = functions.Recovered(func() (err error) {
				outputs[i], err = command(ctx, run, t)

				return err
			})
		})
	}

	group.Wait()

	merged := map[string]any{}
	for _, output := range outputs {
		maps.Copy(merged, output)
	}

	var failed []error

	for i, err := range errs {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", targets[i].source(), err))
		}
	}

	if len(failed) > 0 {
		return nil, several(ctx, failed, len(targets))
	}

	return merged, nil
}

// several joins the failures; the first one's details stand for all.
func several(ctx context.Context, failed []error, of int) error {
	var first *kube.Error
	if ctx.Err() != nil || !errors.As(failed[0], &first) {
		return errors.Join(failed...)
	}

	joined := *first
	joined.Err = nil
	joined.Message = fmt.Sprintf("the command failed in %d of %d containers: %s", len(failed), of, strings.ReplaceAll(errors.Join(failed...).Error(), "\n", "; "))

	return &joined
}
