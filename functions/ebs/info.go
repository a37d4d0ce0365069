package ebs

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// typeEBS is upstream's word for the kind of snapshot; the other one it has is GPD.
const typeEBS = "EBS"

// Snapshot is one element of volumeSnapshotInfo: upstream's members (COMPAT §4.14), then ours.
type Snapshot struct {
	SnapshotID string
	Type       string
	Region     string
	PVCName    string
	Az         string
	// Tags are those of the volume.
	Tags       []Tag
	VolumeType string

	VolumeID   string `json:",omitempty"`
	SizeGiB    int32  `json:",omitempty"`
	Iops       int32  `json:",omitempty"`
	Throughput int32  `json:",omitempty"` // MiB/s
	Claim      *Claim `json:",omitempty"`
}

// Tag is one of an EC2 resource.
type Tag struct{ Key, Value string }

// Claim is what a claim and its PersistentVolume are made again from.
type Claim struct {
	Namespace     string
	Labels        map[string]string                    `json:",omitempty"`
	Annotations   map[string]string                    `json:",omitempty"`
	AccessModes   []corev1.PersistentVolumeAccessMode  `json:",omitempty"`
	StorageClass  *string                              `json:",omitempty"`
	VolumeMode    corev1.PersistentVolumeMode          `json:",omitempty"`
	Request       string                               `json:",omitempty"`
	ReclaimPolicy corev1.PersistentVolumeReclaimPolicy `json:",omitempty"`
	FSType        string                               `json:",omitempty"`
	MountOptions  []string                             `json:",omitempty"`
	Partition     string                               `json:",omitempty"`
	// ZoneKey is the node label that the volume's affinity is about.
	ZoneKey string `json:",omitempty"`
}

func encode(all []Snapshot) (string, error) {
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("writing volumeSnapshotInfo: %w", err)
	}

	return string(text), nil
}

var snapshotID = regexp.MustCompile(`^snap-[0-9a-f]+$`)

// decode reads and checks volumeSnapshotInfo, ours or upstream's.
func decode(text string) ([]Snapshot, error) {
	var all []Snapshot
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, &record.Failure{
			Reason: "InvalidManifest", Message: fmt.Sprintf("reading argument %q: it is no volumeSnapshotInfo: %v", "snapshots", err),
			Hint: "give it the output volumeSnapshotInfo of CreateVolumeSnapshot, usually by an artifact",
		}
	}

	if len(all) == 0 {
		return nil, fmt.Errorf("reading argument %q: it names no snapshot", "snapshots")
	}

	for i, one := range all {
		switch {
		case one.Type == "GPD":
			return nil, &record.Failure{
				Reason: "UnsuitableVolume", Message: fmt.Sprintf("reading argument %q: snapshot %q of claim %q is one of a Google persistent disk; only those of EBS volumes are known here", "snapshots", one.SnapshotID, one.PVCName),
				Hint: "make a VolumeSnapshot of it with CreateCSISnapshotStatic, and a claim with RestoreCSISnapshot",
			}
		case !strings.EqualFold(one.Type, typeEBS):
			return nil, fmt.Errorf("reading argument %q: element %d has Type %q, not %q", "snapshots", i, one.Type, typeEBS)
		case !snapshotID.MatchString(one.SnapshotID):
			return nil, fmt.Errorf("reading argument %q: element %d (claim %q) has SnapshotID %q, which is none of EBS", "snapshots", i, one.PVCName, one.SnapshotID)
		}
	}

	return all, nil
}

// claimInfo is what is kept of a claim and its volume.
func claimInfo(claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) *Claim {
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	info := &Claim{
		Namespace: claim.Namespace, Labels: userLabels(claim.Labels), Annotations: userAnnotations(claim.Annotations),
		AccessModes: claim.Spec.AccessModes, StorageClass: claim.Spec.StorageClassName, VolumeMode: corev1.PersistentVolumeFilesystem, Request: size.String(),
	}

	if claim.Spec.VolumeMode != nil {
		info.VolumeMode = *claim.Spec.VolumeMode
	}

	if pv == nil {
		return info
	}

	info.ReclaimPolicy, info.MountOptions = pv.Spec.PersistentVolumeReclaimPolicy, pv.Spec.MountOptions
	_, info.ZoneKey = zoneOf(pv)

	switch {
	case pv.Spec.CSI != nil:
		info.FSType, info.Partition = pv.Spec.CSI.FSType, pv.Spec.CSI.VolumeAttributes["partition"]
	case pv.Spec.AWSElasticBlockStore != nil:
		info.FSType = pv.Spec.AWSElasticBlockStore.FSType
		if n := pv.Spec.AWSElasticBlockStore.Partition; n > 0 {
			info.Partition = fmt.Sprint(n)
		}
	}

	return info
}

// userLabels leaves out those by which other runs of Kanister find what they have made.
func userLabels(all map[string]string) map[string]string {
	return without(all, func(key string) bool { return strings.HasPrefix(key, "kanister.io/") })
}

// userAnnotations leaves out what Kubernetes itself writes about a claim, and what would be untrue of the next one.
func userAnnotations(all map[string]string) map[string]string {
	return without(all, func(key string) bool {
		return strings.HasPrefix(key, "pv.kubernetes.io/") || strings.HasPrefix(key, "volume.kubernetes.io/") || strings.HasPrefix(key, "volume.beta.kubernetes.io/") ||
			key == "kubectl.kubernetes.io/last-applied-configuration" || strings.HasPrefix(key, "kanister.io/")
	})
}

func without(all map[string]string, leave func(string) bool) map[string]string {
	var kept map[string]string

	for key, value := range all {
		if leave(key) {
			continue
		}

		if kept == nil {
			kept = map[string]string{}
		}

		kept[key] = value
	}

	return kept
}

// quantity of a whole number of GiB.
func quantity(gib int32) resource.Quantity {
	return *resource.NewQuantity(int64(gib)<<30, resource.BinarySI)
}
