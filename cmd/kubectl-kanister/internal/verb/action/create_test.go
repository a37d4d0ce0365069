package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

const jobUID = "the-job"

// errLost: the request was carried out, its answer never came.
var errLost = errors.New("connection reset by peer")

// apiServer is client-go's fake with what the run relies on: the Job gets a uid, and what it owns goes with it.
func apiServer(t *testing.T, existing ...runtime.Object) *fake.Clientset {
	t.Helper()

	client := fake.NewClientset(existing...)
	client.PrependReactor("create", "jobs", func(action k8stesting.Action) (bool, runtime.Object, error) {
		action.(k8stesting.CreateAction).GetObject().(*batchv1.Job).UID = jobUID

		return false, nil, nil
	})

	return client
}

// left are the objects that outlive the deletion of the Job, "resource namespace/name".
func left(t *testing.T, client *fake.Clientset) []string {
	t.Helper()

	var all []string

	for kind, resource := range map[string]schema.GroupVersionResource{
		"Secret": {Version: "v1", Resource: "secrets"}, "ConfigMap": {Version: "v1", Resource: "configmaps"},
		"ServiceAccount": {Version: "v1", Resource: "serviceaccounts"}, "Job": {Group: "batch", Version: "v1", Resource: "jobs"},
		"Role":               {Group: rbacv1.GroupName, Version: "v1", Resource: "roles"},
		"RoleBinding":        {Group: rbacv1.GroupName, Version: "v1", Resource: "rolebindings"},
		"ClusterRole":        {Group: rbacv1.GroupName, Version: "v1", Resource: "clusterroles"},
		"ClusterRoleBinding": {Group: rbacv1.GroupName, Version: "v1", Resource: "clusterrolebindings"},
	} {
		list, err := client.Tracker().List(resource, resource.GroupVersion().WithKind(kind), "")
		if err != nil {
			t.Fatal(err)
		}

		items, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
		if err != nil {
			t.Fatal(err)
		}

		objects, _ := items["items"].([]any)
		for _, item := range objects {
			m := item.(map[string]any)["metadata"].(map[string]any)
			if m["ownerReferences"] == nil {
				all = append(all, fmt.Sprintf("%s %v/%v", resource.Resource, m["namespace"], m["name"]))
			}
		}
	}

	return all
}

func packed(t *testing.T) *pack.Objects {
	t.Helper()

	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}

	objects, err := pack.Pack(&plan.Plan{
		Input: record.Input{
			Run: "backup-web-7f3k2", Namespace: "demo", Action: "backup", Blueprint: blueprint.Blueprint{ObjectMeta: metav1.ObjectMeta{Name: "b"}},
			Target: blueprint.ObjectReference{Kind: "deployment", Name: "web", Namespace: "demo"},
		},
		Phases: []plan.Phase{{Name: "one", Func: "KubeTask"}},
		Grants: []plan.Grant{{Rule: rule}, {Namespace: "db", Rule: rule}, {Namespace: "demo", Rule: rule}},
	}, pack.Options{Created: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}

	return objects
}

func TestCreate(t *testing.T) {
	client := apiServer(t)
	if err := create(t.Context(), client, packed(t), alone); err != nil {
		t.Fatal(err)
	}

	actions := client.Actions()
	if first := actions[0]; first.GetResource().Resource != "jobs" || !*first.(k8stesting.CreateAction).GetObject().(*batchv1.Job).Spec.Suspend {
		t.Error("the suspended Job is not the first thing that is made")
	}

	if last := actions[len(actions)-1]; last.GetVerb() != "patch" || last.GetResource().Resource != "jobs" {
		t.Errorf("the last thing is %s %s, not letting the Job go", last.GetVerb(), last.GetResource().Resource)
	}

	job, err := client.BatchV1().Jobs("demo").Get(t.Context(), "backup-web-7f3k2", metav1.GetOptions{})
	if err != nil || job.Spec.Suspend == nil || *job.Spec.Suspend {
		t.Errorf("the Job is still suspended: %v %v", job.Spec.Suspend, err)
	}
}

// TestCreateFailsAnywhere: whichever request is refused or cut off, nothing is left in the end, and the Job never ran.
func TestCreateFailsAnywhere(t *testing.T) {
	reference := apiServer(t)
	if err := create(t.Context(), reference, packed(t), alone); err != nil {
		t.Fatal(err)
	}

	for _, action := range reference.Actions() {
		resource := action.GetResource()

		for name, cause := range map[string]error{
			"forbidden":   apierrors.NewForbidden(resource.GroupResource(), "x", errors.New("no")),
			"interrupted": context.Canceled,
			"lost answer": errLost,
		} {
			t.Run(action.GetVerb()+" "+resource.Resource+" "+name, func(t *testing.T) {
				client := apiServer(t)
				ctx, cancel := context.WithCancel(t.Context())
				client.PrependReactor(action.GetVerb(), resource.Resource, func(sent k8stesting.Action) (bool, runtime.Object, error) {
					switch {
					case errors.Is(cause, context.Canceled):
						cancel()
					case errors.Is(cause, errLost):
						_, _, _ = k8stesting.ObjectReaction(client.Tracker())(sent)
					}

					return true, nil, cause
				})

				err := create(ctx, client, packed(t), alone)
				cancel()

				if !errors.Is(err, cause) {
					t.Fatalf("error %v, want %v", err, cause)
				}

				if want := map[string]exit.Code{"forbidden": exit.NotPermitted, "interrupted": exit.Interrupted, "lost answer": exit.ToolFailed}[name]; exit.Of(err) != want {
					t.Errorf("exit code %d, want %d", exit.Of(err), want)
				}

				if !strings.Contains(err.Error(), strings.TrimSuffix(resource.Resource, "s")) {
					t.Errorf("error %q does not name the %s", err, resource.Resource)
				}

				if rest := left(t, client); len(rest) > 0 {
					t.Errorf("left behind: %q", rest)
				}
			})
		}
	}
}

// TestCreateTwice: a record or a Job of the same name is somebody else's and stays.
func TestCreateTwice(t *testing.T) {
	other := packed(t)
	other.Record.Data[record.KeyRecord] = `{"schemaVersion":"v1","run":"backup-web-7f3k2","state":"complete"}`

	client := apiServer(t, other.Record)

	err := create(t.Context(), client, packed(t), alone)
	if exit.Of(err) != exit.Usage || !strings.Contains(exit.HintOf(err), "--name") {
		t.Errorf("got %v (code %d, hint %q)", err, exit.Of(err), exit.HintOf(err))
	}

	if rest := left(t, client); len(rest) != 1 || rest[0] != "configmaps demo/backup-web-7f3k2" {
		t.Errorf("left: %q, want the other run's record alone", rest)
	}
}

// alone: no other run is in the way.
func alone(context.Context) error { return nil }
