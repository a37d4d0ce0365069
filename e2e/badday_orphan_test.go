//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// stopped is a blueprint that stops the application, works for a minute and would start it again.
func (w *World) stopped() string {
	return w.Blueprint(`    phases:
      - {func: ScaleWorkload, name: down, args: {replicas: 0}}
` + task("work", "sleep 60") + `      - {func: ScaleWorkload, name: up, args: {replicas: 1}}
`)
}

func (w *World) backWithin(limit time.Duration) {
	w.Helper()
	w.Eventually(limit, func() string {
		if got := w.Kubectl("get", "deploy", "app", "-o", "jsonpath={.spec.replicas}"); got != "1" {
			return "replicas " + got
		}

		return ""
	})
}

func TestBadJobDeletedBringsTheWorkloadBack(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	run := w.start("run", "test", "deploy/app", "--blueprint", w.stopped())
	w.inPhase(run, "work")
	w.Kubectl("delete", "job", run)

	// The one who waits hears the verdict of the runner, not that the Job is gone.
	w.Contains(w.Want(3, "wait", run, "--timeout", "60s").Stderr, "its Job was deleted")
	w.backWithin(10 * time.Second)

	if rec := w.Record(run); rec.State != record.Cancelled || rec.CancelReason != "its Job was deleted" || len(rec.UndoErrors) > 0 {
		t.Errorf("state %s, %q, not undone %v", rec.State, rec.CancelReason, rec.UndoErrors)
	}

	// What the pod held on to goes with it.
	w.Eventually(60*time.Second, func() string {
		return w.Kubectl("get", "jobs,pods,secrets,serviceaccounts,roles,rolebindings", "-l", "kanister.io/run="+run, "-o", "name")
	})
}

func TestBadJobDeadlineBringsTheWorkloadBack(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Deployment()
	run := w.start("run", "test", "deploy/app", "--blueprint", w.stopped())
	w.inPhase(run, "work")
	w.Kubectl("patch", "job", run, "-p", `{"spec":{"activeDeadlineSeconds":1}}`)
	w.Want(3, "wait", run, "--timeout", "60s")
	w.backWithin(10 * time.Second)

	if rec := w.Record(run); rec.State != record.Cancelled || len(rec.UndoErrors) > 0 {
		t.Errorf("state %s, %q, not undone %v", rec.State, rec.CancelReason, rec.UndoErrors)
	}

	w.NothingLeft(run)
}
