package ebs

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// annotationPhase, on claims and PersistentVolumes, says which phase has made them. No label: what a run makes for itself, and takes
// away again, is found by labels.
const annotationPhase = "kanister.io/phase-id"

// bindLimit is how long Kubernetes may take to bind a claim to the volume that was made for it.
const bindLimit = 2 * time.Minute

// like is what the claim is made like: what the manifest says, else the claim that was there (see remember), else what is usual.
func (r *restoration) like() Claim {
	info := Claim{}
	if r.Claim != nil {
		info = *r.Claim
	}

	if len(info.AccessModes) == 0 {
		info.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}

	if info.StorageClass == nil {
		info.StorageClass = new(string) // none; absent would be the cluster's default
	}

	if info.VolumeMode == "" {
		info.VolumeMode = corev1.PersistentVolumeFilesystem
	}

	if info.ReclaimPolicy == "" {
		info.ReclaimPolicy = corev1.PersistentVolumeReclaimDelete // as upstream
	}

	if info.FSType == "" && info.VolumeMode == corev1.PersistentVolumeFilesystem {
		info.FSType = "ext4"
	}

	return info
}

// persistentVolumeOf is bound to the claim before that exists, so that no other claim gets it.
func (s *session) persistentVolumeOf(namespace string, r *restoration) *corev1.PersistentVolume {
	like := r.like()

	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: r.pv, Annotations: map[string]string{
			annotationPhase: s.id,
			// Without it nobody would delete the EBS volume when the claim is deleted.
			"pv.kubernetes.io/provisioned-by": driver,
		}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: quantity(r.size)}, AccessModes: like.AccessModes,
			PersistentVolumeReclaimPolicy: like.ReclaimPolicy, StorageClassName: *like.StorageClass, MountOptions: like.MountOptions, VolumeMode: &like.VolumeMode,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: r.volume, FSType: like.FSType}},
			NodeAffinity:           affinity(r.Az, like.ZoneKey),
			ClaimRef:               &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: r.claim},
		},
	}

	if like.Partition != "" {
		pv.Spec.CSI.VolumeAttributes = map[string]string{"partition": like.Partition}
	}

	return pv
}

// claimOf is the claim, bound to the PersistentVolume by name.
func (s *session) claimOf(namespace string, r *restoration) *corev1.PersistentVolumeClaim {
	like := r.like()

	// A claim that asked for more than its volume had was waiting for a larger one; it would not be bound.
	size := quantity(r.size)
	if asked, err := resource.ParseQuantity(like.Request); err == nil && asked.Sign() > 0 && asked.Cmp(size) < 0 {
		size = asked
	}

	annotations := map[string]string{annotationPhase: s.id}
	maps.Copy(annotations, like.Annotations)

	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: r.claim, Namespace: namespace, Labels: like.Labels, Annotations: annotations},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: like.AccessModes, StorageClassName: like.StorageClass, VolumeMode: &like.VolumeMode, VolumeName: r.pv,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		},
	}
}

func (s *session) makePersistentVolume(ctx context.Context, namespace string, r *restoration) error {
	wanted := s.persistentVolumeOf(namespace, r)

	err := s.run.Kube.Retry(ctx, func(ctx context.Context) error {
		_, err := s.run.Kube.Clientset.CoreV1().PersistentVolumes().Create(ctx, wanted, metav1.CreateOptions{})

		return err
	})
	if err == nil || apierrors.IsAlreadyExists(err) { // by this phase: its name has the phase's identifier
		return nil
	}

	return explain(fmt.Sprintf("making persistentvolume %q for claim %q", r.pv, r.claim), err)
}

// waitBound waits until the claim has its volume.
func (s *session) waitBound(ctx context.Context, namespace string, r *restoration) error {
	last := "its state is not known"
	what := fmt.Sprintf("persistentvolumeclaim %q in namespace %q to be bound to persistentvolume %q", r.claim, namespace, r.pv)

	s.run.Journal.Progress(record.Progress{Message: "waiting for " + what})

	limit := min(bindLimit, max(s.Left(), time.Second))

	return s.run.Kube.WaitFor(ctx, corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"), namespace, r.claim, limit, what, func(u *unstructured.Unstructured) (bool, error) {
		if u == nil {
			return false, &kube.Error{Reason: kube.ReasonNotFound, Message: fmt.Sprintf("waiting for %s: it is gone: somebody has deleted it", what)}
		}

		phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
		if last = "it is " + phase; phase == string(corev1.ClaimLost) {
			return false, &kube.Error{Reason: "ClaimLost", Message: fmt.Sprintf("waiting for %s: %s", what, last), Hint: "kubectl describe persistentvolume " + r.pv}
		}

		return phase == string(corev1.ClaimBound), nil
	}, func() string { return last })
}
