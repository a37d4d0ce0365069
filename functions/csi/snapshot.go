// Package csi holds the functions around CSI VolumeSnapshots, and what the built-in blueprint needs of them.
package csi

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// API resources of the snapshot group.
var (
	Snapshots = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}
	Contents  = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshotcontents"}
	Classes   = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshotclasses"}
)

// Bounds of waiting for snapshots.
const (
	// DefaultTimeout is how long a snapshot may take to get ready.
	DefaultTimeout = 2 * time.Hour
	// noticeLimit is how long a snapshot may stay without a sign of any controller.
	noticeLimit = 2 * time.Minute
	// errorLimit is how long a driver may go on trying after an error that may pass.
	errorLimit = 5 * time.Minute
	// deleteLimit is how long a snapshot may take to go.
	deleteLimit = 15 * time.Minute
)

// Snapshot is a VolumeSnapshot that is ready to use.
type Snapshot struct {
	Name, Namespace string
	// RestoreSize is a quantity; "0" if the driver does not say.
	RestoreSize string
	// Content is the name of the VolumeSnapshotContent.
	Content string
}

// Request describes a VolumeSnapshot to make.
type Request struct {
	Name, Namespace, Class string
	// Claim is the PersistentVolumeClaim, or Content the content that it is bound to.
	Claim, Content string
	Labels         map[string]string
	Owners         []metav1.OwnerReference
}

// Create makes a VolumeSnapshot and does not wait. One that this run made before is taken as it is.
func Create(ctx context.Context, run *functions.Run, r Request) error {
	source := map[string]any{"persistentVolumeClaimName": r.Claim}
	if r.Content != "" {
		source = map[string]any{"volumeSnapshotContentName": r.Content}
	}

	spec := map[string]any{"source": source}
	if r.Class != "" {
		spec["volumeSnapshotClassName"] = r.Class
	}

	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion(Snapshots.GroupVersion().String())
	object.SetKind("VolumeSnapshot")
	object.SetName(r.Name)
	object.SetNamespace(r.Namespace)
	object.SetLabels(labels(run, r.Labels))
	object.SetOwnerReferences(r.Owners)

	return create(ctx, run, Snapshots, object)
}

// labels are the run's under those given, whose values are made label values.
func labels(run *functions.Run, given map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, run.Labels)

	for key, value := range given {
		all[key] = record.LabelValue(value)
	}

	return all
}

// create creates object; one of that name that this run has made is taken for it.
func create(ctx context.Context, run *functions.Run, resource schema.GroupVersionResource, object *unstructured.Unstructured) error {
	client := run.Kube.Dynamic.Resource(resource).Namespace(object.GetNamespace())

	err := run.Kube.Retry(ctx, func(ctx context.Context) error {
		_, err := client.Create(ctx, object, metav1.CreateOptions{})

		return err
	})
	if err == nil {
		return nil
	}

	what := fmt.Sprintf("creating %s %q", strings.ToLower(object.GetKind()), object.GetName())
	if object.GetNamespace() != "" {
		what += fmt.Sprintf(" in namespace %q", object.GetNamespace())
	}

	if apierrors.IsAlreadyExists(err) {
		there, getErr := client.Get(ctx, object.GetName(), metav1.GetOptions{})
		if getErr == nil && there.GetLabels()[record.LabelRun] == record.LabelValue(run.Name) && there.GetDeletionTimestamp() == nil {
			return nil
		}

		return &kube.Error{Reason: "AlreadyExists", Message: what + ": it exists, and this run has not made it", Hint: fmt.Sprintf(
			"choose another name, or kubectl delete %s -n %s %s", object.GetKind(), object.GetNamespace(), object.GetName())}
	}

	return explain(what, err)
}

// explain adds what to do to an error of the API.
func explain(what string, err error) error {
	e := &kube.Error{Reason: string(apierrors.ReasonForError(err)), Message: what, Err: err}

	switch {
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource"):
		e.Reason = "NoSnapshotAPI"
		e.Hint = "this cluster has no snapshot.storage.k8s.io/v1: install the CSI snapshot CRDs and the snapshot controller"
	case apierrors.IsForbidden(err):
		e.Reason = kube.ReasonAccessDenied
	case apierrors.IsNotFound(err):
		e.Reason = kube.ReasonNotFound
	}

	return e
}

// WaitReady watches until the snapshot is ready to use, at most limit long; tell hears what it waits for.
func WaitReady(ctx context.Context, run *functions.Run, namespace, name string, limit time.Duration, tell func(string)) (Snapshot, error) {
	w := &waiting{run: run, namespace: namespace, name: name, tell: tell, clock: run.Kube.Now, began: run.Kube.Now()}

	// A snapshot that nobody works on has no events: the waiting is cut into parts, to look at the clock in between.
	for {
		part := min(limit, 30*time.Second)

		err := run.Kube.WaitFor(ctx, Snapshots, namespace, name, part, fmt.Sprintf("volume snapshot %q in namespace %q to get ready", name, namespace), w.ready, w.last)
		if err == nil {
			return w.snapshot, nil
		}

		if !kube.IsReason(err, kube.ReasonTimeout) || ctx.Err() != nil {
			return Snapshot{}, err
		}

		if waited := w.clock().Sub(w.began); waited >= limit {
			return Snapshot{}, &kube.Error{
				Reason:  kube.ReasonTimeout,
				Message: fmt.Sprintf("volume snapshot %q in namespace %q was not ready after %s: %s", name, namespace, limit, w.last()),
				Hint:    fmt.Sprintf("kubectl describe volumesnapshot -n %s %s", namespace, name),
			}
		}
	}
}

// waiting judges a snapshot that is not ready.
type waiting struct {
	run             *functions.Run
	namespace, name string
	tell            func(string)
	clock           func() time.Time
	began           time.Time

	failing  time.Time // since when the driver reports an error
	message  string    // of that error
	noticed  bool      // some controller has written a status
	snapshot Snapshot
}

func (w *waiting) last() string {
	switch {
	case w.message != "":
		return "the driver says: " + w.message
	case !w.noticed:
		return "no snapshot controller has taken it up"
	default:
		return "the storage system is still making it"
	}
}

func (w *waiting) ready(u *unstructured.Unstructured) (bool, error) {
	if u == nil {
		return false, &kube.Error{Reason: kube.ReasonNotFound, Message: fmt.Sprintf("volume snapshot %q in namespace %q was deleted while the run waited for it", w.name, w.namespace)}
	}

	status, _, _ := unstructured.NestedMap(u.Object, "status")
	w.noticed = w.noticed || len(status) > 0

	if ready, _, _ := unstructured.NestedBool(status, "readyToUse"); ready {
		if created, _, _ := unstructured.NestedString(status, "creationTime"); created != "" {
			w.snapshot = snapshotOf(u)

			return true, nil
		}
	}

	message, _, _ := unstructured.NestedString(status, "error", "message")
	now := w.clock()

	switch {
	case message == "":
		w.message, w.failing = "", time.Time{}
	case w.message == "":
		w.failing = now
	}

	w.message = message

	hint := fmt.Sprintf("kubectl describe volumesnapshot -n %s %s", w.namespace, w.name)

	switch {
	case message != "" && (!passing(message) || now.Sub(w.failing) > errorLimit):
		return false, &kube.Error{Reason: "SnapshotFailed", Hint: hint, Message: fmt.Sprintf("volume snapshot %q in namespace %q: %s", w.name, w.namespace, message)}
	case !w.noticed && now.Sub(w.began) > noticeLimit:
		return false, &kube.Error{
			Reason: "NoSnapshotController", Hint: "install the CSI snapshot controller, and the csi-snapshotter beside the driver",
			Message: fmt.Sprintf("volume snapshot %q in namespace %q: no snapshot controller has taken it up in %s", w.name, w.namespace, noticeLimit),
		}
	}

	if w.tell != nil {
		w.tell(w.last())
	}

	return false, nil
}

// passing tells whether an error may mend itself: the snapshot controller's own races, and gRPC codes that ask for another try.
func passing(message string) bool {
	for _, text := range []string{
		"the object has been modified", "VolumeSnapshotContent is missing", "SnapshotFinalizerError",
		"code = DeadlineExceeded", "code = Unavailable", "code = Aborted", "code = ResourceExhausted", "context deadline exceeded", "connection refused",
		"snapshot controller failed to update",
	} {
		if strings.Contains(message, text) {
			return true
		}
	}

	return false
}

func snapshotOf(u *unstructured.Unstructured) Snapshot {
	s := Snapshot{Name: u.GetName(), Namespace: u.GetNamespace(), RestoreSize: "0"}
	s.Content, _, _ = unstructured.NestedString(u.Object, "status", "boundVolumeSnapshotContentName")

	if size, _, _ := unstructured.NestedString(u.Object, "status", "restoreSize"); size != "" {
		s.RestoreSize = size
	}

	return s
}

// Delete deletes a VolumeSnapshot; one that is gone is no error, nor a cluster that knows no snapshots.
func Delete(ctx context.Context, run *functions.Run, namespace, name string, wait bool) error {
	err := run.Kube.Retry(ctx, func(ctx context.Context) error {
		return run.Kube.Dynamic.Resource(Snapshots).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	})

	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return explain(fmt.Sprintf("deleting volume snapshot %q in namespace %q", name, namespace), err)
	case !wait:
		return nil
	}

	return run.Kube.WaitGone(ctx, Snapshots, namespace, name, deleteLimit)
}

// CreateClaim creates a PersistentVolumeClaim; one of that name that this run has made is taken for it.
func CreateClaim(ctx context.Context, run *functions.Run, claim *corev1.PersistentVolumeClaim) error {
	claims := run.Kube.Clientset.CoreV1().PersistentVolumeClaims(claim.Namespace)

	err := run.Kube.Retry(ctx, func(ctx context.Context) error {
		_, err := claims.Create(ctx, claim, metav1.CreateOptions{})

		return err
	})
	if err == nil {
		return nil
	}

	what := fmt.Sprintf("creating persistentvolumeclaim %q in namespace %q", claim.Name, claim.Namespace)

	if apierrors.IsAlreadyExists(err) {
		there, getErr := claims.Get(ctx, claim.Name, metav1.GetOptions{})
		if getErr == nil && there.Labels[record.LabelRun] == record.LabelValue(run.Name) && there.DeletionTimestamp == nil {
			return nil
		}

		return &kube.Error{Reason: "AlreadyExists", Message: what + ": it exists, and this run has not made it", Hint: fmt.Sprintf(
			"choose another name, or kubectl delete persistentvolumeclaim -n %s %s", claim.Namespace, claim.Name)}
	}

	return explain(what, err)
}
