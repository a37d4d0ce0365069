package ebs

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// driver is the CSI driver of EBS volumes.
const driver = "ebs.csi.aws.com"

// Node labels that volumes of EBS have in their affinity. The first one every node with the CSI driver has.
const (
	zoneKey       = "topology.ebs.csi.aws.com/zone"
	zoneKeyNode   = "topology.kubernetes.io/zone"
	zoneKeyBefore = "failure-domain.beta.kubernetes.io/zone"
)

// source is a claim and its EBS volume.
type source struct {
	claim *corev1.PersistentVolumeClaim
	pv    *corev1.PersistentVolume
	id    string
	// zone as the cluster knows it; may be empty.
	zone   string
	region string
}

// sources are the volumes of the claims named, or of the target's. All are checked before anything is done.
func sources(ctx context.Context, run *functions.Run, a arguments) ([]source, error) {
	names, err := cloud.List("pvcs", a.PVCs)
	if err != nil {
		return nil, err
	}

	claims, err := chosen(ctx, run, a.Namespace, names)
	if err != nil {
		return nil, err
	}

	var all []source

	for _, claim := range claims {
		if claim.Spec.VolumeName == "" {
			if len(names) == 0 {
				run.Journal.Warn(fmt.Sprintf("volume %s is not in the backup: its claim is not bound to a volume", claim.Name))

				continue
			}

			return nil, &kube.Error{
				Reason: "UnsuitableVolume", Message: fmt.Sprintf("persistentvolumeclaim %q in namespace %q is not bound to a volume, so there is nothing to take a snapshot of", claim.Name, claim.Namespace),
				Hint: fmt.Sprintf("kubectl describe persistentvolumeclaim -n %s %s", claim.Namespace, claim.Name),
			}
		}

		pv, err := persistentVolume(ctx, run.Kube, claim.Spec.VolumeName)
		if err != nil {
			return nil, err
		}

		id, zone, err := volumeOf(pv)
		if err != nil {
			return nil, &record.Failure{
				Reason: "UnsuitableVolume", Message: fmt.Sprintf("volume %q in namespace %q (PersistentVolume %s): %v", claim.Name, claim.Namespace, pv.Name, err),
				Hint: "name the claims on EBS volumes with the argument pvcs, and take snapshots of the others with CreateCSISnapshot",
			}
		}

		all = append(all, source{claim: claim, pv: pv, id: id, zone: zone})
	}

	if len(all) == 0 {
		return nil, &kube.Error{
			Reason: "NoVolumes", Message: fmt.Sprintf("there is no volume to take a snapshot of: the target has none in namespace %q", a.Namespace),
			Hint: "name claims with the argument pvcs; kubectl get persistentvolumeclaims -n " + a.Namespace,
		}
	}

	return all, nil
}

// chosen are the claims named, each once and in name order, or those of the target.
func chosen(ctx context.Context, run *functions.Run, namespace string, names []string) ([]*corev1.PersistentVolumeClaim, error) {
	var claims []*corev1.PersistentVolumeClaim

	if len(names) > 0 {
		slices.Sort(names)

		for _, name := range slices.Compact(names) {
			claim, err := run.Kube.Claim(ctx, namespace, name)
			if err != nil {
				return nil, err
			}

			claims = append(claims, claim)
		}

		return claims, nil
	}

	target := blueprint.ObjectReference{}
	if run.Input != nil {
		target = run.Input.Target
	}

	in := target.Namespace
	if strings.EqualFold(target.Kind, "namespace") {
		in = target.Name
	}

	if cmp.Or(in, run.Namespace) != namespace {
		return nil, fmt.Errorf("reading argument %q: it is absent, and the target is in namespace %q, not in %q: name the claims", "pvcs", cmp.Or(in, run.Namespace), namespace)
	}

	found, err := params.Volumes(ctx, params.Cluster{Kubernetes: run.Kube.Clientset, Dynamic: run.Kube.Dynamic}, target, namespace)
	if err != nil {
		return nil, fmt.Errorf("finding the volumes: %w", err)
	}

	for _, v := range found {
		if v.Claim == nil {
			return nil, &kube.Error{
				Reason: kube.ReasonNotFound, Message: fmt.Sprintf("the target uses persistentvolumeclaim %q in namespace %q, which does not exist or may not be read", v.Name, namespace),
				Hint: "kubectl get persistentvolumeclaims -n " + namespace,
			}
		}

		claims = append(claims, v.Claim)
	}

	return claims, nil
}

func persistentVolume(ctx context.Context, client *kube.Client, name string) (*corev1.PersistentVolume, error) {
	var pv *corev1.PersistentVolume

	err := client.Retry(ctx, func(ctx context.Context) (err error) {
		pv, err = client.Clientset.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})

		return err
	})
	if err != nil {
		return nil, explain(fmt.Sprintf("reading persistentvolume %q", name), err)
	}

	return pv, nil
}

// explain makes an error of the API one for the reader.
func explain(what string, err error) error {
	e := &kube.Error{Reason: string(apierrors.ReasonForError(err)), Message: what, Err: err}

	switch {
	case apierrors.IsForbidden(err):
		e.Reason = kube.ReasonAccessDenied
	case apierrors.IsNotFound(err):
		e.Reason = kube.ReasonNotFound
	}

	return e
}

// volumeID is how an in-tree PersistentVolume names its volume: aws://us-west-2a/vol-1, aws:///vol-1 or vol-1.
var volumeID = regexp.MustCompile(`^(?:aws://([^/]*)/)?(vol-[0-9a-f]+)$`)

// volumeOf finds the EBS volume of a PersistentVolume, and the zone that the cluster has it in.
func volumeOf(pv *corev1.PersistentVolume) (id, zone string, err error) {
	var handle string

	switch {
	case pv.Spec.CSI != nil && pv.Spec.CSI.Driver == driver:
		handle = pv.Spec.CSI.VolumeHandle
	case pv.Spec.AWSElasticBlockStore != nil:
		handle = pv.Spec.AWSElasticBlockStore.VolumeID
	case pv.Spec.CSI != nil:
		return "", "", fmt.Errorf("it is of the CSI driver %s, and only EBS volumes are known here", pv.Spec.CSI.Driver)
	default:
		return "", "", fmt.Errorf("it is no EBS volume")
	}

	parts := volumeID.FindStringSubmatch(handle)
	if parts == nil {
		return "", "", fmt.Errorf("%q is no identifier of an EBS volume", handle)
	}

	zone, _ = zoneOf(pv)

	return parts[2], cmp.Or(parts[1], zone), nil
}

// zoneOf is the zone of a PersistentVolume and the node label that it is a value of, as far as its affinity or its labels tell.
func zoneOf(pv *corev1.PersistentVolume) (zone, key string) {
	keys := []string{zoneKey, zoneKeyNode, zoneKeyBefore}

	if affinity := pv.Spec.NodeAffinity; affinity != nil && affinity.Required != nil {
		for _, term := range affinity.Required.NodeSelectorTerms {
			for _, e := range term.MatchExpressions {
				if slices.Contains(keys, e.Key) && e.Operator == corev1.NodeSelectorOpIn && len(e.Values) == 1 {
					return e.Values[0], e.Key
				}
			}
		}
	}

	for _, key := range keys {
		if zone := pv.Labels[key]; zone != "" {
			return zone, ""
		}
	}

	return "", ""
}
