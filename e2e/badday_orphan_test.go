//go:build e2e

package e2e

import (
	"strings"
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

// A restore whose runner dies while it writes, and that is cancelled before another takes it up, leaves the application down.
func TestBadRestoreCancelledWithoutItsRunner(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash("for i in $(seq 4000); do head -c 2000 /dev/urandom > /data/$i; done")

	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))
	run := w.start("restore", "--from", backup.Run)
	// As soon as its worker runs.
	w.Eventually(60*time.Second, func() string {
		return w.Kubectl("get", "pods", "-l", "kanister.io/run="+run+",kanister.io/phase=restore", "--field-selector=status.phase=Pending", "-o", "name") + w.lacking(run)
	})
	w.Kubectl("delete", "pod", w.runner(run), "--grace-period=0", "--force")
	w.Want(0, "cancel", run, "--wait", "--timeout", "120s")

	rec := w.Record(run)
	if rec.Attempts < 2 || rec.State != record.Cancelled && rec.State != record.Failed {
		t.Fatalf("state %s after %d runners", rec.State, rec.Attempts)
	}

	if n := replicas(w, "app"); n != "0" || len(rec.UndoErrors) != 1 {
		t.Errorf("%s replicas on half a restore; not undone: %q", n, rec.UndoErrors)
	}

	// Doing it again mends it.
	w.Want(0, "restore", "--from", backup.Run)

	if got := w.Kubectl("scale", "sts/app", "--replicas=1"); got == "" {
		t.Error("not started")
	}

	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	if n := strings.TrimSpace(w.Bash("ls /data | wc -l")); n != "4000" {
		t.Errorf("%s files, want 4000", n)
	}
}

func (w *World) lacking(run string) string {
	w.Helper()

	if len(w.workers(run)) == 0 {
		return "no worker pod"
	}

	return ""
}
