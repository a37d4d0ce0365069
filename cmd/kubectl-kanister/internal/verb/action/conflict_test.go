package action

import (
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func runRecord(t *testing.T, action string, state record.State, attempts int) *corev1.ConfigMap {
	t.Helper()

	r := &record.Record{
		SchemaVersion: record.SchemaVersion, Run: "other", Namespace: "demo", Action: action, State: state, Attempts: attempts, Created: time.Unix(1, 0),
		Target: blueprint.ObjectReference{Kind: "deployment", Name: "web", Namespace: "demo"},
		Phases: []record.Phase{{Name: "one", Func: "KubeTask", State: record.Pending}},
	}

	data, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}

	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "demo", Labels: record.Labels(r)}, Data: data}
}

func runJob(conditions ...batchv1.JobConditionType) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "demo"}}
	for _, condition := range conditions {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: condition, Status: corev1.ConditionTrue})
	}

	return job
}

func optionsFor(objects ...runtime.Object) (*Options, *fake.Clientset) {
	client := fake.NewClientset(objects...)

	return &Options{IOStreams: genericiooptions.NewTestIOStreamsDiscard(), client: client, Now: func() time.Time { return time.Unix(100, 0) }}, client
}

func TestConflict(t *testing.T) {
	for name, test := range map[string]struct {
		action  string
		target  string
		objects []runtime.Object
		refused bool
	}{
		"nobody there":               {action: Restore},
		"restore beside backup":      {action: Restore, objects: []runtime.Object{runRecord(t, Backup, record.Running, 1), runJob()}, refused: true},
		"restore beside a start":     {action: Restore, objects: []runtime.Object{runRecord(t, Backup, record.Pending, 0), runJob(batchv1.JobSuspended)}, refused: true},
		"restore beside restore":     {action: Restore, objects: []runtime.Object{runRecord(t, Restore, record.Running, 1), runJob()}, refused: true},
		"backup beside restore":      {action: Backup, objects: []runtime.Object{runRecord(t, Restore, record.Running, 1), runJob()}, refused: true},
		"backup beside backup":       {action: Backup, objects: []runtime.Object{runRecord(t, Backup, record.Running, 1), runJob()}},
		"restore after backup":       {action: Restore, objects: []runtime.Object{runRecord(t, Backup, record.Complete, 1), runJob()}},
		"restore of something else":  {action: Restore, target: "api", objects: []runtime.Object{runRecord(t, Backup, record.Running, 1), runJob()}},
		"the other's Job is gone":    {action: Restore, objects: []runtime.Object{runRecord(t, Backup, record.Running, 1)}},
		"the other's Job has failed": {action: Restore, objects: []runtime.Object{runRecord(t, Backup, record.Running, 1), runJob(batchv1.JobFailed)}},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := optionsFor(test.objects...)
			p := &plan.Plan{Input: record.Input{Namespace: "demo", Action: test.action, Target: blueprint.ObjectReference{Kind: "deployment", Name: "web", Namespace: "demo"}}}

			if test.target != "" {
				p.Input.Target.Name = test.target
			}

			err := o.conflict(t.Context(), p)
			if (err != nil) != test.refused {
				t.Fatalf("got %v, refused should be %t", err, test.refused)
			}

			if err != nil && (!strings.Contains(err.Error(), `run "other"`) || !strings.Contains(exit.HintOf(err), "cancel other -n demo")) {
				t.Errorf("%v, hint %q", err, exit.HintOf(err))
			}
		})
	}
}

// TestConflictForbidden: a user who may not list records can still run; he is told what could not be checked.
func TestConflictForbidden(t *testing.T) {
	o, client := optionsFor()
	streams, _, _, said := genericiooptions.NewTestIOStreams()
	o.IOStreams = streams
	client.PrependReactor("list", "configmaps", func(action k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", errors.New("no"))
	})

	if err := o.conflict(t.Context(), &plan.Plan{Input: record.Input{Namespace: "demo", Action: Restore}}); err != nil || !strings.Contains(said.String(), "warning:") {
		t.Errorf("%v, said %q", err, said)
	}
}

func TestGiveUp(t *testing.T) {
	cannot := &follow.CannotStartError{
		Ref:     follow.Ref{Namespace: "demo", Name: "other"},
		Problem: diagnose.Problem{Object: "pod/other-x", Reason: "ImagePull", Message: "no such image", Image: "example.org/runner:v9", Hint: "check the image"},
	}

	for name, test := range map[string]struct {
		err      error
		state    record.State
		attempts int
		given    bool
		begun    bool
	}{
		"cannot start":         {cannot, record.Pending, 0, true, false},
		"began after all":      {cannot, record.Running, 1, false, true},
		"began, still pending": {cannot, record.Pending, 1, false, true},
		"another error":        {follow.ErrGone, record.Pending, 0, false, false},
		"no error":             {nil, record.Complete, 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := runRecord(t, Backup, test.state, test.attempts)
			before.Data[record.KeyBlueprint] = "kept"
			o, client := optionsFor(before.DeepCopy(), runJob())

			begun, err := o.giveUp(t.Context(), follow.Result{Ref: cannot.Ref, Err: test.err})
			if err != nil || begun != test.begun {
				t.Fatalf("begun %t, want %t; %v", begun, test.begun, err)
			}

			_, err = client.BatchV1().Jobs("demo").Get(t.Context(), "other", metav1.GetOptions{})
			if gone := apierrors.IsNotFound(err); gone != test.given {
				t.Errorf("Job gone: %t, want %t", gone, test.given)
			}

			held, err := client.CoreV1().ConfigMaps("demo").Get(t.Context(), "other", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}

			r, err := record.Decode(held)
			if err != nil {
				t.Fatal(err)
			}

			if !test.given {
				if r.State != test.state || held.Immutable != nil {
					t.Errorf("the record was touched: %+v", r)
				}

				return
			}

			if r.State != record.Failed || r.Ended == nil || r.Error == nil || !strings.Contains(r.Error.Message, "no such image") || r.Phases[0].State != record.Skipped {
				t.Errorf("record %+v", r)
			}

			if held.Data[record.KeyState] != "failed" || held.Labels[record.LabelState] != "failed" || held.Data[record.KeyBlueprint] != "kept" || held.Immutable == nil || !*held.Immutable {
				t.Errorf("ConfigMap %+v", held)
			}
		})
	}
}

// TestGiveUpConflict: a runner that writes between our reading and writing wins.
func TestGiveUpConflict(t *testing.T) {
	o, client := optionsFor(runRecord(t, Backup, record.Pending, 0), runJob())
	client.PrependReactor("update", "configmaps", func(action k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewConflict(action.GetResource().GroupResource(), "other", errors.New("changed"))
	})

	if _, err := o.giveUp(t.Context(), follow.Result{Ref: follow.Ref{Namespace: "demo", Name: "other"}, Err: &follow.CannotStartError{}}); err == nil {
		t.Error("the conflict is not told")
	}

	if _, err := client.BatchV1().Jobs("demo").Get(t.Context(), "other", metav1.GetOptions{}); err != nil {
		t.Errorf("the Job of a run that has begun was deleted: %v", err)
	}
}

// Once its own record is there, a run gives way to those that were there before it, or came in the same second.
func TestConflictOfRecords(t *testing.T) {
	for name, test := range map[string]struct {
		own, other int64
		kind       string
		refused    bool
	}{
		"the other was first":    {own: 20, other: 10, refused: true},
		"in the same second":     {own: 20, other: 20, refused: true},
		"the other came later":   {own: 20, other: 21},
		"its namespace restored": {own: 20, other: 10, kind: "namespace", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			other, own := runRecord(t, Restore, record.Pending, 0), runRecord(t, Restore, record.Pending, 0)
			other.CreationTimestamp, own.CreationTimestamp = metav1.Unix(test.other, 0), metav1.Unix(test.own, 0)
			own.Name = "mine"

			if test.kind != "" {
				other.Labels[record.LabelTargetKind], other.Labels[record.LabelTargetName] = test.kind, "demo"
			}

			o, _ := optionsFor(other, own, runJob(batchv1.JobSuspended))
			p := &plan.Plan{Input: record.Input{
				Run: "mine", Namespace: "demo", Action: Restore, Target: blueprint.ObjectReference{Kind: "deployment", Name: "web", Namespace: "demo"},
			}}

			if err := o.conflict(t.Context(), p); (err != nil) != test.refused {
				t.Errorf("%v", err)
			}
		})
	}
}
