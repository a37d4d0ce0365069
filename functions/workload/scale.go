// Package workload holds ScaleWorkload, and the scaling that other functions share.
package workload

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ScaleWorkload scales a workload (COMPAT §4.4).
type ScaleWorkload struct{ spec.Function }

var _ = functions.Register(ScaleWorkload{spec.Must(functionName)})

const (
	functionName = "ScaleWorkload"
	// OutputOriginal is the output with the replicas wanted before.
	OutputOriginal = "originalReplicaCount"
)

type scaleArgs struct {
	Namespace    string `mapstructure:"namespace"`
	Name         string `mapstructure:"name"`
	Kind         string `mapstructure:"kind"`
	Replicas     int32  `mapstructure:"replicas"`
	WaitForReady bool   `mapstructure:"waitForReady"`
}

// Exec implements functions.Func.
func (f ScaleWorkload) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a := scaleArgs{WaitForReady: true}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if a.Replicas < 0 {
		return nil, fmt.Errorf("reading argument %q: %d is less than none", "replicas", a.Replicas)
	}

	w, err := workloadOf(a, run)
	if err != nil {
		return nil, err
	}

	before, err := Scale(ctx, run, w, a.Replicas, a.WaitForReady)
	if err != nil {
		return nil, err
	}

	return map[string]any{OutputOriginal: before}, nil
}

// workloadOf is the workload that the arguments name; what they leave out is the target's.
func workloadOf(a scaleArgs, run *functions.Run) (kube.Workload, error) {
	w := kube.Workload{Kind: strings.ToLower(a.Kind), Namespace: a.Namespace, Name: a.Name}
	target, isWorkload := Target(run.Params)

	for _, part := range []struct {
		name  string
		value *string
		from  string
	}{{"kind", &w.Kind, target.Kind}, {"name", &w.Name, target.Name}, {"namespace", &w.Namespace, target.Namespace}} {
		if *part.value != "" {
			continue
		}

		if !isWorkload {
			return w, fmt.Errorf("reading argument %q: it is absent, and the target is no workload that it could come from", part.name)
		}

		*part.value = part.from
	}

	if _, err := w.Resource(); err != nil {
		return w, fmt.Errorf("reading argument %q: %w", "kind", err)
	}

	return w, nil
}

// Target is the run's target as a workload; false if it is none.
func Target(p *params.TemplateParams) (kube.Workload, bool) {
	switch {
	case p == nil:
	case p.Deployment != nil:
		return kube.Workload{Kind: kube.Deployment, Namespace: p.Deployment.Namespace, Name: p.Deployment.Name}, true
	case p.StatefulSet != nil:
		return kube.Workload{Kind: kube.StatefulSet, Namespace: p.StatefulSet.Namespace, Name: p.StatefulSet.Name}, true
	case p.DeploymentConfig != nil:
		return kube.Workload{Kind: kube.DeploymentConfig, Namespace: p.DeploymentConfig.Namespace, Name: p.DeploymentConfig.Name}, true
	}

	return kube.Workload{}, false
}

// UndoKey identifies the way back of a workload in the undo list.
func UndoKey(w kube.Workload) string { return "scale/" + w.Namespace + "/" + w.Kind + "/" + w.Name }

// Scale scales w to replicas and gives the number wanted before. The way back is noted in the run record before anything changes;
// scaling up takes it off again. With wait it returns once the workload has arrived (kube.Client.WaitScaled).
func Scale(ctx context.Context, run *functions.Run, w kube.Workload, replicas int32, wait bool) (int32, error) {
	before, err := run.Kube.Scale(ctx, w)
	if err != nil {
		return 0, err
	}

	if replicas < before.Replicas {
		if err := run.Journal.Undo(ctx, undo(w, before.Replicas, replicas)); err != nil {
			return 0, err
		}
	}

	if replicas != before.Replicas {
		run.Journal.Event(fmt.Sprintf("scaling %s %d→%d", w, before.Replicas, replicas))

		if err := run.Kube.SetScale(ctx, w, replicas); err != nil {
			return 0, err
		}
	}

	if replicas > before.Replicas {
		if err := run.Journal.DropUndo(ctx, UndoKey(w)); err != nil {
			return 0, err
		}
	}

	if !wait {
		return before.Replicas, nil
	}

	return before.Replicas, run.Kube.WaitScaled(ctx, w, before, replicas, true, func(missing string) {
		run.Journal.Progress(record.Progress{Message: fmt.Sprintf("%s to %d: %s", w, replicas, missing)})
	})
}

func undo(w kube.Workload, back, from int32) record.Undo {
	return record.Undo{
		Key: UndoKey(w), Text: fmt.Sprintf("scale %s %d→%d", w, from, back), Func: functionName,
		Args:   map[string]any{"namespace": w.Namespace, "name": w.Name, "kind": w.Kind, "replicas": back, "waitForReady": false},
		Starts: true,
	}
}
