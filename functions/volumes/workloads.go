package volumes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/workload"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// users finds the workloads whose pods use the claims, and the pods that belong to none that can be scaled. Pods of this run
// do not count.
func users(ctx context.Context, run *functions.Run, namespace string, claims []string) (map[kube.Workload][]corev1.Pod, []corev1.Pod, error) {
	all, err := run.Kube.ConsumersOf(ctx, namespace)
	if err != nil {
		return nil, nil, err
	}

	var (
		pods  = map[string]corev1.Pod{}
		found = map[kube.Workload][]corev1.Pod{}
		stuck []corev1.Pod
	)

	for _, claim := range claims {
		for _, pod := range all[claim] {
			if pod.Labels[record.LabelRun] != record.LabelValue(run.Name) {
				pods[pod.Name] = pod
			}
		}
	}

	for _, name := range slices.Sorted(maps.Keys(pods)) {
		pod := pods[name]

		w, ok, err := ownerOf(ctx, run, &pod)

		switch {
		case err != nil:
			return nil, nil, err
		case ok:
			found[w] = append(found[w], pod)
		default:
			stuck = append(stuck, pod)
		}
	}

	// A target without pods at the moment (its image cannot be pulled, its quota is used up) may get some any time.
	if w, ok := workload.Target(run.Params); ok && w.Namespace == namespace && len(found[w]) == 0 && targetUses(run, claims) {
		found[w] = nil
	}

	return found, stuck, nil
}

// targetUses tells whether the target is among the users of the claims, as far as its parameters know.
func targetUses(run *functions.Run, claims []string) bool {
	for _, mounts := range []map[string]map[string]string{claimsOf(run)} {
		for _, pod := range mounts {
			for claim := range pod {
				if slices.Contains(claims, claim) {
					return true
				}
			}
		}
	}

	return false
}

func claimsOf(run *functions.Run) map[string]map[string]string {
	switch p := run.Params; {
	case p.Deployment != nil:
		return p.Deployment.PersistentVolumeClaims
	case p.StatefulSet != nil:
		return p.StatefulSet.PersistentVolumeClaims
	case p.DeploymentConfig != nil:
		return p.DeploymentConfig.PersistentVolumeClaims
	default:
		return nil
	}
}

// ownerOf is the workload that made a pod; false if it is none that can be scaled.
func ownerOf(ctx context.Context, run *functions.Run, pod *corev1.Pod) (kube.Workload, bool, error) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return kube.Workload{}, false, nil
	}

	w := kube.Workload{Namespace: pod.Namespace, Name: owner.Name}

	switch owner.Kind {
	case "StatefulSet":
		w.Kind = kube.StatefulSet

		return w, strings.HasPrefix(owner.APIVersion, "apps/"), nil
	case "ReplicaSet":
		return deploymentOf(ctx, run, w)
	case "ReplicationController":
		// The controllers of a DeploymentConfig are named after it and its revision.
		name, _, found := cutLast(owner.Name, "-")
		if _, labelled := pod.Labels["deploymentconfig"]; !found || !labelled {
			return w, false, nil
		}

		w.Kind, w.Name = kube.DeploymentConfig, name

		return w, true, nil
	default:
		return w, false, nil
	}
}

func deploymentOf(ctx context.Context, run *functions.Run, w kube.Workload) (kube.Workload, bool, error) {
	var set *metav1.OwnerReference

	err := run.Kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := run.Kube.Clientset.AppsV1().ReplicaSets(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{})
		if err == nil {
			set = metav1.GetControllerOf(rs)
		}

		return err
	})

	switch {
	case apierrors.IsNotFound(err):
		return w, false, nil
	case err != nil:
		return w, false, &kube.Error{Reason: string(apierrors.ReasonForError(err)), Message: fmt.Sprintf("finding the deployment of replicaset %q in namespace %q", w.Name, w.Namespace), Err: err}
	case set == nil:
		w.Kind = kube.ReplicaSet

		return w, true, nil
	case set.Kind == "Deployment":
		w.Kind, w.Name = kube.Deployment, set.Name

		return w, true, nil
	default:
		return w, false, nil
	}
}

func cutLast(s, sep string) (string, string, bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}

	return s[:i], s[i+len(sep):], true
}

// bringBack scales quiesced workloads to where they were. One that is not at zero any more was scaled by somebody else, or
// brought back before, and is left alone.
func bringBack(ctx context.Context, run *functions.Run, quiesced []Quiesced, wait bool) error {
	var ups []Quiesced

	for _, q := range quiesced {
		now, err := run.Kube.Scale(ctx, q.workload())

		switch {
		case kube.IsReason(err, kube.ReasonNotFound):
			run.Journal.Warn(q.workload().String() + " is gone and was not brought back")
		case err != nil:
			return err
		case now.Replicas == 0:
			if _, err := workload.Scale(ctx, run, q.workload(), q.Replicas, false); err != nil {
				return err
			}

			ups = append(ups, q)
		default:
			if err := run.Journal.DropUndo(ctx, workload.UndoKey(q.workload())); err != nil {
				return err
			}

			ups = append(ups, q)
		}
	}

	if !wait {
		return nil
	}

	for _, q := range ups {
		now, err := run.Kube.Scale(ctx, q.workload())
		if err != nil {
			return err
		}

		err = run.Kube.WaitScaled(ctx, q.workload(), now, now.Replicas, true, func(missing string) {
			run.Journal.Progress(record.Progress{Message: fmt.Sprintf("waiting for %s: %s", q.workload(), missing)})
		})
		if err != nil {
			return err
		}
	}

	return nil
}
