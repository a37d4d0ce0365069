package volumes

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// warnings is a journal that keeps warnings.
type warnings struct {
	functions.Journal
	texts []string
}

func (w *warnings) Warn(text string) { w.texts = append(w.texts, text) }

func userOf(claim, name string, labels map[string]string, phase corev1.PodPhase) runtime.Object {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: labels}, Status: corev1.PodStatus{Phase: phase},
		Spec: corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}}},
	}
}

// TestUsedMeanwhile: an application that somebody starts while its volume is copied or restored does not go unnoticed; the run's own
// pods, those of other volumes and those that have ended do not count.
func TestUsedMeanwhile(t *testing.T) {
	run := functest.Run()
	journal := &warnings{Journal: run.Journal}
	run.Journal = journal

	for _, test := range []struct {
		name string
		pods []runtime.Object
		used bool
	}{
		{"nobody", nil, false},
		{"others", []runtime.Object{
			userOf("data", "worker", map[string]string{record.LabelRun: record.LabelValue(run.Name)}, corev1.PodRunning),
			userOf("logs", "web-1", nil, corev1.PodRunning), userOf("data", "web-0", nil, corev1.PodSucceeded),
		}, false},
		{"the application", []runtime.Object{userOf("data", "web-0", nil, corev1.PodPending)}, true},
	} {
		run.Kube.Clientset = fake.NewClientset(test.pods...)

		err := restored(t.Context(), run, "shop", "data")
		if kube.IsReason(err, "VolumeInUse") != test.used || test.used != (err != nil && strings.Contains(err.Error(), "web-0")) {
			t.Errorf("%s: restored gives %v", test.name, err)
		}

		for _, idle := range []bool{true, false} {
			journal.texts = nil

			if err := copied(t.Context(), run, Volume{PVC: "data", Namespace: "shop", Method: Live, Idle: idle}); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}

			if warned := len(journal.texts) == 1 && strings.Contains(journal.texts[0], "web-0"); warned != (test.used && idle) {
				t.Errorf("%s, idle %v: %q", test.name, idle, journal.texts)
			}
		}
	}
}
