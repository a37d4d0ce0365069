package runs

import (
	"context"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestWaitSweeps: who sees the end of a run that was detached removes its permissions in the cluster.
func TestWaitSweeps(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	role := func(run string) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: run + "-hash", Labels: map[string]string{
			record.LabelRun: run, pack.LabelRunNamespace: "demo",
		}}}
	}
	f := newFixture(append(allStates(t), role("backup-postgres-good"), role("backup-postgres-busy"))...)
	o := &WaitOptions{IOStreams: f.streams, Session: f.session, Refs: []follow.Ref{{Namespace: "demo", Name: "backup-postgres-good"}}}

	if err := o.Run(ctx); err != nil {
		t.Fatal(err)
	}

	roles, err := f.session.Dynamic.Resource(elsewhere[3]).List(ctx, metav1.ListOptions{})
	if err != nil || len(roles.Items) != 1 || roles.Items[0].GetName() != "backup-postgres-busy-hash" {
		t.Errorf("%v, cluster roles %v", err, roles)
	}
}
