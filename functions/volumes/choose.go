package volumes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// choose gives the claims to back up: those named, or all of the target. Claims that hold backups and what runs made for
// themselves are left out of a namespace; what cannot be copied as files is an error if it was asked for, and a
// warning if it only happens to lie in the namespace.
func choose(ctx context.Context, run *functions.Run, namespace string, names []string) ([]params.VolumeClaim, error) {
	target := run.Input.Target
	wide := strings.EqualFold(target.Kind, "namespace")

	if namespace != namespaceOf(run, "") || len(names) > 0 {
		// Named claims need not be the target's.
		target = blueprint.ObjectReference{Kind: "namespace", Name: namespace, Namespace: namespace}
	}

	found, err := params.Volumes(ctx, cluster(run), target, namespace)
	if err != nil {
		return nil, fmt.Errorf("finding the volumes: %w", err)
	}

	byName := map[string]params.VolumeClaim{}
	for _, v := range found {
		byName[v.Name] = v
	}

	if len(names) > 0 {
		return named(run, namespace, names, byName)
	}

	var chosen []params.VolumeClaim

	for _, name := range slices.Sorted(maps.Keys(byName)) {
		v := byName[name]

		why := unfit(run, v)

		switch {
		case why == "" && wide && v.Claim.Labels[record.LabelLocation] == "true":
			run.Journal.Event(fmt.Sprintf("volume %s is not in the backup: it holds backups (label %s)", name, record.LabelLocation))
		case why == "":
			chosen = append(chosen, v)
		case !wide:
			return nil, refuse(v, why)
		case ours(run, v) == "":
			run.Journal.Warn(fmt.Sprintf("volume %s is not in the backup: %s", name, why))
		}
	}

	if len(chosen) == 0 {
		return nil, &kube.Error{
			Reason:  "NoVolumes",
			Message: fmt.Sprintf("the target has no volumes to back up: %s", targetName(run)),
			Hint:    "kubectl get persistentvolumeclaims -n " + namespace,
		}
	}

	return chosen, nil
}

func named(run *functions.Run, namespace string, names []string, there map[string]params.VolumeClaim) ([]params.VolumeClaim, error) {
	var chosen []params.VolumeClaim

	slices.Sort(names)

	for _, name := range slices.Compact(names) {
		v, ok := there[name]
		if !ok {
			return nil, &kube.Error{
				Reason: kube.ReasonNotFound, Message: fmt.Sprintf("there is no persistentvolumeclaim %q in namespace %q", name, namespace),
				Hint: "kubectl get persistentvolumeclaims -n " + namespace,
			}
		}

		if why := unfit(run, v); why != "" {
			return nil, refuse(v, why)
		}

		chosen = append(chosen, v)
	}

	return chosen, nil
}

func refuse(v params.VolumeClaim, why string) error {
	return &kube.Error{
		Reason: "UnsuitableVolume", Message: fmt.Sprintf("volume %q in namespace %q cannot be backed up: %s", v.Name, v.Namespace, why),
		Hint: "name the volumes to back up: --option volumes=\"A B\"",
	}
}

// unfit says why a claim cannot be copied; "" if it can.
func unfit(run *functions.Run, v params.VolumeClaim) string {
	switch {
	case ours(run, v) != "":
		return ours(run, v)
	case v.Claim == nil:
		return "the claim does not exist or may not be read"
	case v.Block():
		return "it is a raw block device, and only files are copied"
	case v.Claim.Status.Phase == corev1.ClaimLost:
		return "its PersistentVolume is lost"
	case v.Claim.DeletionTimestamp != nil:
		return "it is being deleted"
	default:
		return ""
	}
}

// ours says that a claim belongs to the backups themselves.
func ours(run *functions.Run, v params.VolumeClaim) string {
	if p := run.Params.Profile; p != nil && p.Location.Type == blueprint.LocationFilestore &&
		v.Namespace == run.Namespace && v.Name == p.Location.ClaimName {
		return "it holds the backups of this profile"
	}

	if v.Claim != nil && v.Claim.Labels[LabelTemporary] == "true" {
		return "a run has made it for itself"
	}

	return ""
}

// targetName names the target in messages.
func targetName(run *functions.Run) string {
	t := run.Input.Target

	return strings.TrimPrefix(strings.ToLower(t.Kind)+" "+t.Namespace+"/"+t.Name, " ")
}
