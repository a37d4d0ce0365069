package functions_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestStartPodTakesBack: the time is over while the request for the pod is under way, and the pod is made all the same.
func TestStartPodTakesBack(t *testing.T) {
	for name, test := range map[string]struct {
		cause error
		left  int
	}{"cancelled": {errors.New("cancelled"), 0}, "a successor adopts it": {functions.ErrInterrupted, 1}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			client := fake.NewClientset()
			client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
				pod := action.(clienttesting.CreateAction).GetObject()
				if err := client.Tracker().Create(corev1.SchemeGroupVersion.WithResource("pods"), pod, "demo"); err != nil {
					t.Error(err)
				}

				cancel(test.cause)

				return true, nil, context.Canceled
			})

			run := &functions.Run{Name: "run-1", Namespace: "demo", Phase: "copy", Kube: &kube.Client{Clientset: client}, Input: &record.Input{},
				Labels: map[string]string{record.LabelRun: "run-1", record.LabelPhase: "copy"}}

			options, err := run.PodOptions("", nil, nil, nil)
			if err != nil {
				t.Fatal(err)
			}

			options.Image = "i"

			if _, err := run.StartPod(ctx, options); err == nil {
				t.Fatal("started")
			}

			pods, err := client.CoreV1().Pods("demo").List(t.Context(), metav1.ListOptions{})
			if err != nil || len(pods.Items) != test.left {
				t.Errorf("%d pods are left, want %d; %v", len(pods.Items), test.left, err)
			}
		})
	}
}
