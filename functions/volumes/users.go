package volumes

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// strangers are the names of those among a claim's pods that are not this run's.
func strangers(pods []corev1.Pod, run *functions.Run) []string {
	var names []string

	for _, pod := range pods {
		if pod.Labels[record.LabelRun] != record.LabelValue(run.Name) {
			names = append(names, pod.Name)
		}
	}

	return names
}

// copied warns if an idle volume is in use after it was copied: somebody has started the application meanwhile, an autoscaler or what
// keeps the cluster as a repository has it.
func copied(ctx context.Context, run *functions.Run, v Volume) error {
	if !v.Idle {
		return nil
	}

	all, err := run.Kube.ConsumersOf(ctx, v.Namespace)
	if err != nil {
		return err
	}

	if pods := strangers(all[v.PVC], run); len(pods) > 0 {
		run.Journal.Warn(fmt.Sprintf("volume %s, which nothing used before, was copied while pod %s began to use it: its files may not fit together",
			v.PVC, strings.Join(pods, ", ")))
	}

	return nil
}

// restored fails if a volume is in use after it was restored: nothing used it before, so an application was started on half of it.
func restored(ctx context.Context, run *functions.Run, namespace, claim string) error {
	all, err := run.Kube.ConsumersOf(ctx, namespace)
	if err != nil {
		return err
	}

	if pods := strangers(all[claim], run); len(pods) > 0 {
		return &kube.Error{
			Reason:  "VolumeInUse",
			Message: fmt.Sprintf("pod %s began to use volume %q while it was restored", strings.Join(pods, ", "), claim),
			Hint:    "find out who starts the workload (an autoscaler, GitOps), stop that meanwhile, and restore again",
		}
	}

	return nil
}
