package app

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestAdopt(t *testing.T) {
	ours := metav1.ObjectMeta{Name: "run-1", Namespace: "demo", Labels: map[string]string{record.LabelRun: "run-1"}}
	owned := ours
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "other", UID: "x"}}
	foreign := ours
	foreign.Labels = nil

	client := dynamicfake.NewSimpleDynamicClient(scheme.Scheme,
		&corev1.Secret{ObjectMeta: ours}, &corev1.ServiceAccount{ObjectMeta: owned}, &rbacv1.Role{ObjectMeta: foreign})

	var out bytes.Buffer

	owner := &kube.Owner{Namespace: "demo", Reference: metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: "run-1", UID: "1"}}
	adopt(t.Context(), client, owner, "run-1", newLogger(&out, clock.RealClock{}, &record.Redactor{}))

	want := map[string]string{"secrets": "run-1", "serviceaccounts": "other", "roles": ""}
	for _, resource := range adopted() {
		object, err := client.Resource(resource).Namespace("demo").Get(t.Context(), "run-1", metav1.GetOptions{})
		if resource.Resource == "rolebindings" {
			continue
		}

		if err != nil {
			t.Fatal(err)
		}

		name := ""
		if refs := object.GetOwnerReferences(); len(refs) > 0 {
			name = refs[0].Name
		}

		if name != want[resource.Resource] {
			t.Errorf("the owner of the %s is %q, want %q", resource.Resource, name, want[resource.Resource])
		}
	}

	if out.Len() > 0 {
		t.Errorf("said %s", out.String())
	}
}

func TestAbandonLeavesPodsOfTheApplication(t *testing.T) {
	pod := func(name, run string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "demo", Labels: map[string]string{record.LabelRun: run}}}
	}
	client := kubefake.NewClientset(pod("worker", "run-1"), pod("other", "run-2"), pod("app", ""))
	refs := []record.PodRef{{Namespace: "demo", Name: "worker"}, {Namespace: "demo", Name: "other"}, {Namespace: "demo", Name: "app"}, {Namespace: "demo", Name: "gone"}}

	if err := abandon(t.Context(), &kube.Client{Clientset: client}, "run-1", refs); err != nil {
		t.Fatal(err)
	}

	pods, err := client.CoreV1().Pods("demo").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}

	var left []string
	for i := range pods.Items {
		left = append(left, pods.Items[i].Name)
	}

	slices.Sort(left)

	if fmt.Sprint(left) != "[app other]" {
		t.Errorf("left %v", left)
	}
}
