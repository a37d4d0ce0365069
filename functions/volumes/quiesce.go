package volumes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/functions/workload"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

// QuiesceVolumes stops the workloads that use volumes.
type QuiesceVolumes struct{ spec.Function }

var _ = functions.Register(QuiesceVolumes{spec.Must("QuiesceVolumes")})

type quiesceArgs struct {
	Namespace  string   `mapstructure:"namespace"`
	Volumes    []string `mapstructure:"volumes"`
	BackupInfo string   `mapstructure:"backupInfo"`
	Mode       string   `mapstructure:"mode"`
}

// Exec implements functions.Func.
func (f QuiesceVolumes) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a quiesceArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	switch strings.ToLower(a.Mode) {
	case "", "none":
		return map[string]any{"workloads": "[]"}, nil
	case "scale-down":
	default:
		return nil, fmt.Errorf("reading argument %q: %q is neither none nor scale-down", "mode", a.Mode)
	}

	if run.Attempt > 1 {
		return nil, &kube.Error{
			Reason:  kube.ReasonInterrupted,
			Message: "the runner was lost while it scaled workloads down; they are brought back",
			Hint:    "start the action again",
		}
	}

	namespace := namespaceOf(run, a.Namespace)

	claims, err := a.claims(ctx, run, namespace)
	if err != nil {
		return nil, err
	}

	quiesced, err := quiesce(ctx, run, namespace, claims)
	if err != nil {
		return nil, err
	}

	text, err := encode(quiesced)

	return map[string]any{"workloads": text}, err
}

// claims are the claims whose users are stopped: those that a backup is restored to, those named, or the target's.
func (a quiesceArgs) claims(ctx context.Context, run *functions.Run, namespace string) ([]string, error) {
	var names []string

	if a.BackupInfo != "" {
		info, err := readBackupInfo(a.BackupInfo)
		if err != nil {
			return nil, err
		}

		plan, err := destinations(info, words(a.Volumes))
		if err != nil {
			return nil, err
		}

		for _, d := range plan {
			names = append(names, d.Claim)
		}

		return names, nil
	}

	chosen, err := choose(ctx, run, namespace, words(a.Volumes))
	for _, v := range chosen {
		names = append(names, v.Name)
	}

	return names, err
}

// quiesce scales down all users of the claims and waits until their pods are gone. Before it stops anything it makes sure that it
// can stop everything.
func quiesce(ctx context.Context, run *functions.Run, namespace string, claims []string) ([]Quiesced, error) {
	found, stuck, err := users(ctx, run, namespace, claims)
	if err != nil {
		return nil, err
	}

	if len(stuck) > 0 {
		return nil, stuckError(stuck, claims)
	}

	quiesced := []Quiesced{}

	for _, w := range slices.SortedFunc(maps.Keys(found), func(a, b kube.Workload) int { return strings.Compare(a.String(), b.String()) }) {
		before, err := run.Kube.Scale(ctx, w)
		if err != nil {
			return nil, err
		}

		if before.Replicas == 0 && len(found[w]) == 0 {
			continue
		}

		q := Quiesced{Kind: w.Kind, Namespace: w.Namespace, Name: w.Name, Replicas: before.Replicas, Likes: map[string]*corev1.PodSpec{}}

		for _, pod := range found[w] {
			for _, claim := range kube.ClaimsOf(&pod) {
				if slices.Contains(claims, claim) {
					q.Likes[claim] = like(&pod.Spec)
				}
			}
		}

		if before.Replicas > 0 {
			quiesced = append(quiesced, q)
		}
	}

	// All are told before the first is waited for: they end together.
	for _, wait := range []bool{false, true} {
		for _, q := range quiesced {
			if _, err := workload.Scale(ctx, run, q.workload(), 0, wait); err != nil {
				return nil, err
			}
		}
	}

	return quiesced, nil
}

func stuckError(pods []corev1.Pod, claims []string) error {
	var names []string

	for _, pod := range pods {
		for _, claim := range kube.ClaimsOf(&pod) {
			if slices.Contains(claims, claim) {
				names = append(names, fmt.Sprintf("pod %s uses volume %s", pod.Name, claim))
			}
		}
	}

	return &kube.Error{
		Reason:  "VolumeInUse",
		Message: "volumes are in use by pods that belong to nothing that can be scaled down: " + strings.Join(names, ", "),
		Hint:    fmt.Sprintf("stop them yourself: kubectl get pods -n %s %s", pods[0].Namespace, pods[0].Name),
	}
}
