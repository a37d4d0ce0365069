package app

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestOrphaned(t *testing.T) {
	ended := func(kind batchv1.JobConditionType, status corev1.ConditionStatus) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: status, Message: "too late"}}
		}
	}
	started := func(ago time.Duration) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.Spec.ActiveDeadlineSeconds = ptr.To[int64](60)
			j.Status.StartTime = &metav1.Time{Time: time.Now().Add(-ago)}
		}
	}

	for name, test := range map[string]struct {
		change func(*batchv1.Job)
		want   string
	}{
		"drained": {func(*batchv1.Job) {}, ""},
		"gone":    {nil, "deleted"},
		"another": {func(j *batchv1.Job) { j.UID = "4-5-6" }, "deleted"},
		"being deleted": {func(j *batchv1.Job) {
			j.DeletionTimestamp = &metav1.Time{Time: time.Now()}
			j.Finalizers = []string{"foregroundDeletion"}
		}, "deleted"},
		"failed":             {ended(batchv1.JobFailed, corev1.ConditionTrue), "too late"},
		"about to fail":      {ended(batchv1.JobFailureTarget, corev1.ConditionTrue), "too late"},
		"not failed":         {ended(batchv1.JobFailureTarget, corev1.ConditionFalse), ""},
		"deadline over":      {started(61 * time.Second), "deadline of 60 s"},
		"deadline to come":   {started(50 * time.Second), ""},
		"the last of seven":  {func(j *batchv1.Job) { j.Status.Failed = 6 }, "no other runner after 7"},
		"one before the end": {func(j *batchv1.Job) { j.Status.Failed = 5 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []runtime.Object

			if test.change != nil {
				j := job()
				test.change(j)
				objects = append(objects, j)
			}

			owner := &kube.Owner{Namespace: "demo", Reference: metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: "run-1", UID: "1-2-3"}}
			log := newLogger(&bytes.Buffer{}, clock.RealClock{}, &record.Redactor{})

			got := orphaned(t.Context(), &kube.Client{Clientset: kubefake.NewClientset(objects...)}, owner, log)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestKeepRightsAddsAnOwner(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "run-1", Namespace: "demo", OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "run-1", UID: "1-2-3"}}}
	client := kubefake.NewClientset(&corev1.ServiceAccount{ObjectMeta: meta}, &rbacv1.Role{ObjectMeta: meta}, &rbacv1.RoleBinding{ObjectMeta: meta})
	pod := metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "run-1-abc", UID: "7-8-9"}

	if err := keepRights(t.Context(), &kube.Client{Clientset: client}, "demo", "run-1", pod); err != nil {
		t.Fatal(err)
	}

	account, err := client.CoreV1().ServiceAccounts("demo").Get(t.Context(), "run-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	role, err := client.RbacV1().Roles("demo").Get(t.Context(), "run-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	binding, err := client.RbacV1().RoleBindings("demo").Get(t.Context(), "run-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	for kind, owners := range map[string][]metav1.OwnerReference{
		"ServiceAccount": account.OwnerReferences, "Role": role.OwnerReferences, "RoleBinding": binding.OwnerReferences,
	} {
		var names []string
		for _, owner := range owners {
			names = append(names, owner.Kind+"/"+owner.Name)
		}

		slices.Sort(names)

		if got := strings.Join(names, " "); got != "Job/run-1 Pod/run-1-abc" {
			t.Errorf("the %s belongs to %s", kind, got)
		}
	}

	if err := keepRights(t.Context(), &kube.Client{Clientset: client}, "demo", "run-2", pod); err == nil || !strings.Contains(err.Error(), "serviceaccount \"run-2\"") {
		t.Errorf("nothing there to own: %v", err)
	}
}
