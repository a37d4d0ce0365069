package source

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ktesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestStopped(t *testing.T) {
	leaves := func(pods ...string) func(*record.Record) {
		return func(r *record.Record) {
			r.Action, r.State = "restore", record.Failed
			r.Origin = &record.TargetSnapshot{Workload: &params.WorkloadParams{Pods: pods}}
		}
	}
	web := func(r *record.Record) { r.Target.Name = "web" }
	torn := held(t, "torn", and(at(7), leaves("db-9")))
	torn.Data[record.KeyRecord] = "{"
	r, client, _ := resolver(t, nil, held(t, "older", and(at(1), leaves("db-0"))), held(t, "newer", and(at(3), leaves("db-0", "db-1"))),
		held(t, "backup", at(4)), held(t, "none", and(at(5), leaves())), held(t, "web", and(at(6), leaves("web-0"), web)), torn)

	run, found := r.Stopped(t.Context(), "demo", blueprint.ObjectReference{Kind: "statefulset", Name: "db"})
	if !found || run.Run != "newer" || len(run.Origin.Workload.Pods) != 2 {
		t.Errorf("%v, %+v", found, run)
	}

	if run, found := r.Stopped(t.Context(), "demo", blueprint.ObjectReference{Kind: "deployment", Name: "db"}); found {
		t.Errorf("of another kind: %+v", run)
	}

	client.PrependReactor("list", "configmaps", func(ktesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", nil)
	})

	if run, found := r.Stopped(t.Context(), "demo", blueprint.ObjectReference{Kind: "statefulset", Name: "db"}); found {
		t.Errorf("without the right to list: %+v", run)
	}
}
