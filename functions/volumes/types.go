// Package volumes holds the functions of the built-in blueprint: they back up and restore the volumes of a workload, of a
// single claim or of a whole namespace, from CSI snapshots where the driver can, else from the volume itself.
package volumes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// LabelTemporary marks, with "true", the snapshots and clones that a run makes for itself. ReleaseVolumes deletes those of its
// run, and nothing else.
const LabelTemporary = "kanister.io/temporary"

// Methods of reading a volume.
const (
	// Snapshotted: from a clone that was made of a CSI snapshot.
	Snapshotted = "csi"
	// Live: from the volume itself.
	Live = "live"
	// Empty: the claim has never been bound, so there is nothing to read.
	Empty = "empty"
)

// Volume is one claim on its way through a backup: output of SnapshotVolumes, argument of CopyVolumes.
type Volume struct {
	PVC       string `json:"pvc"`
	Namespace string `json:"namespace"`
	Method    string `json:"method"`
	// Snapshot and Clone are the temporary objects of method csi.
	Snapshot string `json:"snapshot,omitempty"`
	Clone    string `json:"clone,omitempty"`
	// Idle: of method live, and no pod used it when it was chosen.
	Idle bool `json:"idle,omitempty"`

	ClaimSpec
}

// ClaimSpec is what a claim is made again from, if it is gone when its backup is restored.
type ClaimSpec struct {
	Size         string            `json:"size"`
	StorageClass *string           `json:"storageClass,omitempty"`
	AccessModes  []string          `json:"accessModes"`
	VolumeMode   string            `json:"volumeMode,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	// Like is as much of the pod that used the volume as tells by which user its files are read and written.
	Like *corev1.PodSpec `json:"like,omitempty"`
}

// BackupInfoVersion is the version of BackupInfo; readers refuse others.
const BackupInfoVersion = 1

// BackupInfo is what a backup of volumes leaves: output of CopyVolumes, argument of RestoreVolumes and DeleteVolumeBackups.
type BackupInfo struct {
	Version   int      `json:"version"`
	Namespace string   `json:"namespace"`
	Prefix    string   `json:"prefix"`
	Volumes   []Backup `json:"volumes"`
}

// Backup is the backup of one volume. An empty one has no BackupID.
type Backup struct {
	PVC       string `json:"pvc"`
	Method    string `json:"method"`
	BackupID  string `json:"backupID,omitempty"`
	BackupTag string `json:"backupTag,omitempty"`
	Bytes     int64  `json:"bytes"`
	Files     int64  `json:"files"`

	ClaimSpec
}

// Quiesced is one workload that was scaled down: output of QuiesceVolumes, argument of those who bring it back.
type Quiesced struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Replicas  int32  `json:"replicas"`
	// Likes are the pods' own settings by claim.
	Likes map[string]*corev1.PodSpec `json:"likes,omitempty"`
}

func (q Quiesced) workload() kube.Workload {
	return kube.Workload{Kind: q.Kind, Namespace: q.Namespace, Name: q.Name}
}

// encode gives v as the JSON text of an output.
func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("writing an output: %w", err)
	}

	return string(text), nil
}

// decodeText reads the JSON text of an argument; an empty text leaves into as it is.
func decodeText(argument, text string, into any) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}

	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("reading argument %q: it is not the JSON that an earlier phase or a backup gave: %w", argument, err)
	}

	return nil
}

// readBackupInfo reads the argument backupInfo.
func readBackupInfo(text string) (BackupInfo, error) {
	var info BackupInfo

	if strings.TrimSpace(text) == "" {
		return info, fmt.Errorf("reading argument %q: it is empty", "backupInfo")
	}

	if err := decodeText("backupInfo", text, &info); err != nil {
		return info, err
	}

	if info.Version != BackupInfoVersion {
		return info, fmt.Errorf("reading argument %q: it has version %d, and this runner knows version %d: use the runner image of the version that made the backup", "backupInfo", info.Version, BackupInfoVersion)
	}

	return info, nil
}

// words splits a list argument, whose elements may hold several names separated by blanks or commas.
func words(list []string) []string {
	var all []string

	for _, element := range list {
		all = append(all, strings.FieldsFunc(element, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })...)
	}

	return all
}

// namespaceOf is the namespace of the volumes: the argument, else the target's, else the run's.
func namespaceOf(run *functions.Run, argument string) string {
	target := run.Input.Target

	switch {
	case argument != "":
		return argument
	case strings.EqualFold(target.Kind, "namespace") && target.Name != "":
		return target.Name
	case target.Namespace != "":
		return target.Namespace
	default:
		return run.Namespace
	}
}

// cluster is how package params reaches the cluster.
func cluster(run *functions.Run) params.Cluster {
	return params.Cluster{Kubernetes: run.Kube.Clientset, Dynamic: run.Kube.Dynamic}
}

// specOf is what a claim is made again from.
func specOf(claim *corev1.PersistentVolumeClaim, like *corev1.PodSpec) ClaimSpec {
	spec := ClaimSpec{Size: sizeOf(claim).String(), StorageClass: claim.Spec.StorageClassName, Like: like}

	for _, mode := range claim.Spec.AccessModes {
		spec.AccessModes = append(spec.AccessModes, string(mode))
	}

	if claim.Spec.VolumeMode != nil {
		spec.VolumeMode = string(*claim.Spec.VolumeMode)
	}

	for key, value := range claim.Labels {
		if key == record.LabelRun || key == record.LabelPhase || key == LabelTemporary {
			continue
		}

		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}

		spec.Labels[key] = value
	}

	return spec
}

// sizeOf is the claim's real size, which may be more than it asked for.
func sizeOf(claim *corev1.PersistentVolumeClaim) *resource.Quantity {
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if real, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok && real.Cmp(size) > 0 {
		size = real
	}

	return &size
}

// like keeps of a pod's spec what tells by which user its files are read and written.
func like(spec *corev1.PodSpec) *corev1.PodSpec {
	kept := &corev1.PodSpec{SecurityContext: spec.SecurityContext.DeepCopy()}

	for _, volume := range spec.Volumes {
		if volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil {
			v := corev1.Volume{Name: volume.Name}
			v.PersistentVolumeClaim = volume.PersistentVolumeClaim.DeepCopy()
			kept.Volumes = append(kept.Volumes, v)
		}
	}

	for _, container := range spec.Containers {
		c := corev1.Container{Name: container.Name, SecurityContext: container.SecurityContext.DeepCopy()}

		for _, mount := range container.VolumeMounts {
			if slices.ContainsFunc(kept.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
				c.VolumeMounts = append(c.VolumeMounts, mount)
			}
		}

		kept.Containers = append(kept.Containers, c)
	}

	return kept
}
