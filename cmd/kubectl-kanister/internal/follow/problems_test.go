package follow

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestFatalProblemsEndFollowingAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		play   func(*world)
		reason string
		text   string
		within time.Duration
	}{
		"pod security": {
			func(w *world) {
				w.warn("Job", runName, "FailedCreate", `Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged`)
			},
			diagnose.PodSecurity, `violates PodSecurity "restricted:latest"`, time.Second,
		},
		"admission webhook": {
			func(w *world) {
				w.warn("Job", runName, "FailedCreate", `Error creating: admission webhook "policy.example" denied the request: no root`)
			},
			diagnose.Refused, "no root", time.Second,
		},
		"image not there": {
			func(w *world) {
				w.pod(runName+"-1", waiting("ErrImagePull", `failed to pull "runner:v1": manifest unknown`))
			},
			diagnose.ImageMissing, "manifest unknown", time.Second,
		},
		"image never pulled": {
			func(w *world) { w.pod(runName+"-1", waiting("ErrImageNeverPull", "not present")) },
			diagnose.ImageMissing, "not present", time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.job(nil)
				w.write(func(*record.Record) {})
				w.follow(Follower{StartTimeout: time.Hour})

				began := time.Now()

				test.play(w)

				result := w.result()

				var cannot *CannotStartError
				if !errors.As(result.Err, &cannot) {
					t.Fatalf("error %v, want CannotStartError", result.Err)
				}

				if p := cannot.Problem; p.Reason != test.reason || !p.Fatal || !strings.Contains(p.Message, test.text) || p.Hint == "" {
					t.Errorf("problem %+v", p)
				}

				if took := time.Since(began); took > test.within {
					t.Errorf("told after %s", took)
				}
			})
		})
	}
}

func TestPassingProblems(t *testing.T) {
	quota := `Error creating: pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1`

	t.Run("said once and taken back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.job(nil)
			w.write(func(*record.Record) {})
			w.follow(Follower{StartTimeout: 10 * time.Minute})

			for range 3 { // the Job controller tries again and again
				w.warn("Job", runName, "FailedCreate", quota)
				time.Sleep(10 * time.Second)
			}

			w.pod(runName+"-1", started)
			w.write(begin)
			w.wantSeen("attached", "podProblem job/"+runName+" Quota", "podRecovered job/"+runName+" Quota", "runStarted", "phaseStarted snapshot")
			w.stop()
		})
	})

	t.Run("end following at StartTimeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.job(nil)
			w.write(func(*record.Record) {})
			w.follow(Follower{StartTimeout: 30 * time.Second})
			w.warn("Job", runName, "FailedCreate", quota)

			began := time.Now()

			var cannot *CannotStartError
			if result := w.result(); !errors.As(result.Err, &cannot) || cannot.Problem.Reason != diagnose.Quota || cannot.Problem.Fatal {
				t.Fatalf("error %v", result.Err)
			}

			if took := time.Since(began); took < 29*time.Second || took > 31*time.Second {
				t.Errorf("given up after %s", took)
			}
		})
	})

	t.Run("gone within their grace are not told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.job(nil)
			w.write(func(*record.Record) {})
			w.follow(Follower{})
			w.pod(runName+"-1", func(pod *corev1.Pod) {
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "unbound claims"}}
			})
			time.Sleep(time.Second)
			w.pod(runName+"-1", func(pod *corev1.Pod) { pod.Status.Conditions = nil; started(pod) })
			time.Sleep(10 * time.Second)
			w.wantSeen("attached")
			w.stop()
		})
	})

	t.Run("no node", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.job(nil)
			w.write(func(*record.Record) {})
			w.follow(Follower{})
			w.pod(runName+"-1", func(pod *corev1.Pod) {
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available: 1 Insufficient cpu."}}
			})
			time.Sleep(3 * time.Second)
			w.wantSeen("attached", "podProblem pod/"+runName+"-1 Unschedulable")
			w.stop()
		})
	})

	t.Run("suspended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.job(func(job *batchv1.Job) { yes := true; job.Spec.Suspend = &yes })
			w.write(func(*record.Record) {})
			w.follow(Follower{})
			time.Sleep(10 * time.Second)
			w.wantSeen("attached", "podProblem job/"+runName+" Suspended")
			w.stop()
		})
	})

	t.Run("of worker pods do not end following", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.job(nil)
			w.write(begin)
			w.follow(Follower{StartTimeout: time.Second})
			w.pod(runName+"-1", started)
			w.pod("worker", func(pod *corev1.Pod) {
				delete(pod.Labels, batchv1.JobNameLabel)
				waiting("ErrImagePull", "not found")(pod)
			})
			time.Sleep(10 * time.Second)
			w.pod("worker", func(pod *corev1.Pod) {
				pod.Spec.Containers = []corev1.Container{{Name: "runner"}}
				ended(137, "OOMKilled", "")(pod)
			})
			w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "podProblem pod/worker ImageMissing",
				"podRecovered pod/worker ImageMissing", "podProblem pod/worker OOMKilled")
			w.stop()
		})
	})
}

func TestRunnerDiesWithoutVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})
		w.pod(runName+"-1", ended(137, "OOMKilled", ""))
		time.Sleep(time.Minute)
		w.pod(runName+"-2", ended(2, "Error", "panic: no\ngoroutine 1"))
		w.job(jobFailed(2))

		result := w.result()
		if result.Err != nil || result.Record.State != record.Failed {
			t.Fatalf("result %+v", result)
		}

		f := result.Record.Error
		if f.Reason != "RunnerDied" || !strings.Contains(f.Message, "died 2 times") || f.Phase != "snapshot" || f.Exit == nil || *f.Exit != 2 ||
			strings.Join(f.LastLogs, "|") != "panic: no|goroutine 1" || f.Hint == "" {
			t.Errorf("failure %+v", f)
		}

		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "podProblem pod/"+runName+"-1 Died",
			"podProblem pod/"+runName+"-2 Died", "finished failed")
	})
}

func TestVerdictFromThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})

		verdict := record.Verdict{State: record.Failed, Run: runName, Error: &record.Failure{Message: "boom", Phase: "snapshot"}}
		w.pod(runName+"-1", ended(3, "Error", verdict.Message()))
		w.job(jobFailed(1))

		result := w.result()
		if result.Err != nil || result.Record.State != record.Failed || result.Record.Error.Message != "boom" || len(result.Record.Warnings) != 1 {
			t.Fatalf("result %+v", result.Record)
		}
	})
}

func TestRecordThatLagsBehindItsJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})
		w.pod(runName+"-1", ended(0, "Completed", ""))
		w.job(func(job *batchv1.Job) {
			job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
		})
		time.Sleep(2 * time.Second)
		w.write(second)
		w.write(complete)

		if result := w.result(); result.Err != nil || result.Record.State != record.Complete {
			t.Fatalf("result %+v", result)
		}
	})
}

func TestJobDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.write(begin)
		w.follow(Follower{})

		if err := w.client.BatchV1().Jobs(namespace).Delete(t.Context(), runName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}

		began := time.Now()

		result := w.result()
		if result.Err != nil || result.Record.State != record.Failed || result.Record.Error.Reason != "JobGone" {
			t.Fatalf("result %+v", result)
		}

		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("told after %s", took)
		}
	})
}

// TestJobDeletedWhileItsRunnerBringsBack: the runner has the grace period of its pod to end the run itself.
func TestJobDeletedWhileItsRunnerBringsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.pod(runName+"-1", started)
		w.write(begin)
		w.follow(Follower{})
		synctest.Wait()

		if err := w.client.BatchV1().Jobs(namespace).Delete(t.Context(), runName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}

		time.Sleep(40 * time.Second)
		w.write(func(r *record.Record) { r.State, r.CancelReason = record.Cancelled, "its Job was deleted" })

		if result := w.result(); result.Err != nil || result.Record.State != record.Cancelled {
			t.Fatalf("result %+v", result)
		}
	})
}

func TestJobAndRunnerDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.pod(runName+"-1", started)
		w.write(begin)
		w.follow(Follower{})
		synctest.Wait()

		if err := w.client.BatchV1().Jobs(namespace).Delete(t.Context(), runName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}

		time.Sleep(20 * time.Second)

		if err := w.client.CoreV1().Pods(namespace).Delete(t.Context(), runName+"-1", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}

		began := time.Now()

		if result := w.result(); result.Err != nil || result.Record.State != record.Failed || result.Record.Error.Reason != "JobGone" {
			t.Fatalf("result %+v", result)
		}

		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("told after %s", took)
		}
	})
}

// TestNodeLost: the pod of a runner whose node is gone stays; what to do about it is told once its time is over.
func TestNodeLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.job(nil)
		w.pod(runName+"-1", func(pod *corev1.Pod) {
			started(pod)
			pod.Spec.NodeName = "n1"
		})
		w.write(begin)
		w.follow(Follower{})
		w.warn("Pod", runName+"-1", "NodeNotReady", "Node is not ready")
		w.pod(runName+"-1", func(pod *corev1.Pod) {
			pod.DeletionTimestamp = &metav1.Time{Time: time.Now().Add(time.Minute)}
			pod.Finalizers = []string{batchv1.JobTrackingFinalizer}
		})
		time.Sleep(70 * time.Second)
		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "podProblem pod/"+runName+"-1 NodeNotReady")
		time.Sleep(10 * time.Second)
		w.wantSeen("attached", "runStarted", "phaseStarted snapshot", "podProblem pod/"+runName+"-1 NodeNotReady", "podProblem pod/"+runName+"-1 NodeLost")
		w.stop()
	})
}
