package csi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// The functions of COMPAT §4.26.
type (
	// CreateCSISnapshot takes a VolumeSnapshot of a claim.
	CreateCSISnapshot struct{ spec.Function }
	// CreateCSISnapshotStatic makes a VolumeSnapshot of a snapshot that exists in the storage system.
	CreateCSISnapshotStatic struct{ spec.Function }
	// RestoreCSISnapshot makes a claim from a VolumeSnapshot.
	RestoreCSISnapshot struct{ spec.Function }
	// DeleteCSISnapshot deletes a VolumeSnapshot.
	DeleteCSISnapshot struct{ spec.Function }
	// DeleteCSISnapshotContent deletes a VolumeSnapshotContent.
	DeleteCSISnapshotContent struct{ spec.Function }
)

var (
	_ = functions.Register(CreateCSISnapshot{spec.Must("CreateCSISnapshot")})
	_ = functions.Register(CreateCSISnapshotStatic{spec.Must("CreateCSISnapshotStatic")})
	_ = functions.Register(RestoreCSISnapshot{spec.Must("RestoreCSISnapshot")})
	_ = functions.Register(DeleteCSISnapshot{spec.Must("DeleteCSISnapshot")})
	_ = functions.Register(DeleteCSISnapshotContent{spec.Must("DeleteCSISnapshotContent")})
)

// snapshotArgs are the arguments of all five; each reads those it declares.
type snapshotArgs struct {
	Name          string            `mapstructure:"name"`
	PVC           string            `mapstructure:"pvc"`
	Namespace     string            `mapstructure:"namespace"`
	SnapshotClass string            `mapstructure:"snapshotClass"`
	Driver        string            `mapstructure:"driver"`
	Handle        string            `mapstructure:"handle"`
	StorageClass  string            `mapstructure:"storageClass"`
	RestoreSize   string            `mapstructure:"restoreSize"`
	AccessModes   []string          `mapstructure:"accessModes"`
	VolumeMode    string            `mapstructure:"volumeMode"`
	Labels        map[string]string `mapstructure:"labels"`
	Timeout       string            `mapstructure:"timeout"`
}

// read decodes the arguments and refuses required ones that are empty: templates that rendered to nothing.
func read(f spec.Function, args map[string]any) (snapshotArgs, time.Duration, error) {
	a := snapshotArgs{Timeout: DefaultTimeout.String()}
	if err := functions.Decode(f, args, &a); err != nil {
		return a, 0, err
	}

	values := map[string]string{
		"name": a.Name, "pvc": a.PVC, "namespace": a.Namespace, "snapshotClass": a.SnapshotClass, "driver": a.Driver,
		"handle": a.Handle, "storageClass": a.StorageClass, "restoreSize": a.RestoreSize,
	}

	for _, name := range f.RequiredArgs() {
		if value, known := values[name]; known && value == "" {
			return a, 0, fmt.Errorf("reading argument %q: it is empty", name)
		}
	}

	limit, err := time.ParseDuration(a.Timeout)
	if err != nil || limit <= 0 {
		return a, 0, fmt.Errorf("reading argument %q: %q is no duration such as 30m or 2h", "timeout", a.Timeout)
	}

	return a, limit, nil
}

// Suffix tells apart what different runs and phases make of one name, and is the same when a phase is repeated.
func Suffix(run *functions.Run) string {
	sum := sha256.Sum256([]byte(run.Namespace + "/" + run.Name + "/" + run.Phase))

	return hex.EncodeToString(sum[:])[:5]
}

// Exec implements functions.Func.
func (f CreateCSISnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, limit, err := read(f.Function, args)
	if err != nil {
		return nil, err
	}

	if a.Name == "" {
		a.Name = a.PVC + "-snapshot-" + Suffix(run)
	}

	if _, err := run.Kube.Claim(ctx, a.Namespace, a.PVC); err != nil {
		return nil, err
	}

	if err := Create(ctx, run, Request{Name: a.Name, Namespace: a.Namespace, Class: a.SnapshotClass, Claim: a.PVC, Labels: a.Labels}); err != nil {
		return nil, err
	}

	snapshot, err := WaitReady(ctx, run, a.Namespace, a.Name, limit, telling(run, a.PVC))
	if err != nil {
		return nil, err
	}

	out := outputs(snapshot)
	out["pvc"] = a.PVC

	return out, nil
}

func telling(run *functions.Run, what string) func(string) {
	return func(message string) {
		run.Journal.Progress(record.Progress{Message: "snapshot of " + what + ": " + message})
	}
}

func outputs(s Snapshot) map[string]any {
	return map[string]any{"name": s.Name, "namespace": s.Namespace, "restoreSize": s.RestoreSize, "snapshotContent": s.Content}
}

// Exec implements functions.Func.
func (f CreateCSISnapshotStatic) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, limit, err := read(f.Function, args)
	if err != nil {
		return nil, err
	}

	var class *unstructured.Unstructured

	err = run.Kube.Retry(ctx, func(ctx context.Context) (err error) {
		class, err = run.Kube.Dynamic.Resource(Classes).Get(ctx, a.SnapshotClass, metav1.GetOptions{})

		return err
	})
	if err != nil {
		return nil, explain(fmt.Sprintf("reading volumesnapshotclass %q", a.SnapshotClass), err)
	}

	policy, _, _ := unstructured.NestedString(class.Object, "deletionPolicy")
	// Cluster scoped: the namespace is part of the name.
	name := record.ObjectName(a.Namespace, a.Name, "content", Suffix(run))

	content := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"driver": a.Driver, "deletionPolicy": policy, "volumeSnapshotClassName": a.SnapshotClass,
		"source":            map[string]any{"snapshotHandle": a.Handle},
		"volumeSnapshotRef": map[string]any{"name": a.Name, "namespace": a.Namespace},
	}}}
	content.SetAPIVersion(Contents.GroupVersion().String())
	content.SetKind("VolumeSnapshotContent")
	content.SetName(name)
	content.SetLabels(labels(run, nil))

	if err := create(ctx, run, Contents, content); err != nil {
		return nil, err
	}

	if err := Create(ctx, run, Request{Name: a.Name, Namespace: a.Namespace, Class: a.SnapshotClass, Content: name}); err != nil {
		return nil, err
	}

	snapshot, err := WaitReady(ctx, run, a.Namespace, a.Name, limit, telling(run, a.Handle))
	if err != nil {
		return nil, err
	}

	return outputs(snapshot), nil
}

// Exec implements functions.Func.
func (f RestoreCSISnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, _, err := read(f.Function, args)
	if err != nil {
		return nil, err
	}

	size, err := resource.ParseQuantity(a.RestoreSize)
	if err != nil || size.Sign() <= 0 {
		return nil, fmt.Errorf("reading argument %q: %q is no quantity greater than zero; if the driver did not report a size, use that of the volume", "restoreSize", a.RestoreSize)
	}

	modes, err := accessModes(a.AccessModes)
	if err != nil {
		return nil, err
	}

	mode := corev1.PersistentVolumeFilesystem

	switch strings.ToLower(a.VolumeMode) {
	case "", "filesystem":
	case "block":
		mode = corev1.PersistentVolumeBlock
	default:
		return nil, fmt.Errorf("reading argument %q: %q is neither Filesystem nor Block", "volumeMode", a.VolumeMode)
	}

	return nil, CreateClaim(ctx, run, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: a.PVC, Namespace: a.Namespace, Labels: labels(run, a.Labels)},
		Spec:       ClaimFrom(a.Name, a.StorageClass, size, modes, mode),
	})
}

// ClaimFrom is the spec of a claim that is made from a VolumeSnapshot.
func ClaimFrom(snapshot, class string, size resource.Quantity, modes []corev1.PersistentVolumeAccessMode, mode corev1.PersistentVolumeMode) corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: modes, StorageClassName: &class, VolumeMode: &mode,
		Resources:  corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		DataSource: &corev1.TypedLocalObjectReference{APIGroup: ptr.To(Snapshots.Group), Kind: "VolumeSnapshot", Name: snapshot},
	}
}

func accessModes(names []string) ([]corev1.PersistentVolumeAccessMode, error) {
	all := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteOncePod, corev1.ReadOnlyMany, corev1.ReadWriteMany}
	if len(names) == 0 {
		return all[:1], nil
	}

	var modes []corev1.PersistentVolumeAccessMode

	for _, name := range names {
		i := slices.Index(all, corev1.PersistentVolumeAccessMode(name))
		if i < 0 {
			return nil, fmt.Errorf("reading argument %q: %q is none of %v", "accessModes", name, all)
		}

		modes = append(modes, all[i])
	}

	return modes, nil
}

// Exec implements functions.Func.
func (f DeleteCSISnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, _, err := read(f.Function, args)
	if err != nil {
		return nil, err
	}

	return nil, Delete(ctx, run, a.Namespace, a.Name, true)
}

// Exec implements functions.Func.
func (f DeleteCSISnapshotContent) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, _, err := read(f.Function, args)
	if err != nil {
		return nil, err
	}

	err = run.Kube.Retry(ctx, func(ctx context.Context) error {
		return run.Kube.Dynamic.Resource(Contents).Delete(ctx, a.Name, metav1.DeleteOptions{})
	})
	if err == nil || apierrors.IsNotFound(err) {
		return nil, nil
	}

	return nil, explain(fmt.Sprintf("deleting volumesnapshotcontent %q", a.Name), err)
}
