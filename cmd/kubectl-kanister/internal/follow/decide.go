package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
)

// exitVerdict is the runner's exit code when it has written a failure as its verdict: its end is no death.
const exitVerdict = 3

// diagnose looks at Job and pods for what keeps the run from getting on, tells what is new and what is over.
func (t *tracker) diagnose() {
	if t.record == nil {
		return
	}

	found := map[string]diagnose.Problem{}
	runners := t.runners()

	for namespace, pods := range t.pods {
		for _, pod := range pods {
			if diagnose.Started(pod) && t.isRunner(pod) {
				t.started = true
			}

			if t.isRunner(pod) && diagnose.Ended(pod, RunnerContainer) != nil {
				continue // tellDeaths
			}

			for _, problem := range diagnose.Pod(pod, t.warnings[namespace], t.clock.Now()) {
				found[problem.Key()] = problem
			}
		}
	}

	t.tellDeaths()

	if t.jobMissing.IsZero() && !t.started && !t.jobDenied {
		for _, problem := range diagnose.Job(t.job, len(runners), t.warnings[t.ref.Namespace], t.eventsKnown) {
			found[problem.Key()] = problem
		}
	}

	now := t.clock.Now()

	for key, problem := range found {
		known := t.problems[key]
		if known == nil {
			known = &standing{first: now}
			t.problems[key] = known
		}

		known.Problem = problem
	}

	for _, key := range t.sorted() {
		known := t.problems[key]

		if _, still := found[key]; !still {
			if known.told {
				t.emit(Event{Kind: PodRecovered, Problem: &known.Problem, Message: known.Object + ": no longer " + known.Reason})
			}

			delete(t.problems, key)

			continue
		}

		if !known.told && now.Sub(known.first) >= known.Grace {
			known.told = true
			problem := known.Problem
			t.emit(Event{Kind: PodProblem, Problem: &problem, Message: problem.String()})
		}
	}
}

func (t *tracker) sorted() []string {
	keys := make([]string, 0, len(t.problems))
	for key := range t.problems {
		keys = append(keys, key)
	}

	slices.Sort(keys)

	return keys
}

// tellDeaths tells of every runner pod that ended without a verdict, once.
func (t *tracker) tellDeaths() {
	for _, pod := range t.runners() {
		ended := diagnose.Ended(pod, RunnerContainer)
		if ended == nil || ended.ExitCode == 0 || ended.ExitCode == exitVerdict || t.deaths[pod.Name] {
			continue
		}

		t.deaths[pod.Name] = true

		message := fmt.Sprintf("the runner died with exit code %d", ended.ExitCode)
		if meaning := diagnose.ExitCode(int(ended.ExitCode)); meaning != "" {
			message += ", " + meaning
		}

		if why := diagnose.Pod(pod, nil, t.clock.Now()); len(why) > 0 {
			message = "the runner died: " + why[0].Message // out of memory, evicted, preempted, …
		}

		if t.job != nil && diagnose.JobEnd(t.job) == nil {
			message += "; its Job starts another one"
		}

		problem := diagnose.Problem{
			Object: "pod/" + pod.Name, Namespace: pod.Namespace, Reason: diagnose.Died, Message: message,
			Hint: "kubectl kanister logs " + t.ref.Name + " -n " + t.ref.Namespace,
		}
		t.emit(Event{Kind: PodProblem, Problem: &problem, Message: problem.String()})
	}
}

// due is when something is to be looked at again though nothing changes.
func (t *tracker) due() (time.Time, bool) {
	var times []time.Time

	if t.record == nil {
		times = append(times, t.since.Add(graceContact))
	}

	for _, known := range t.problems {
		if !known.told {
			times = append(times, known.first.Add(known.Grace))
		}
	}

	if !t.jobEnded.IsZero() {
		times = append(times, t.jobEnded.Add(graceVerdict))
	}

	if !t.jobMissing.IsZero() {
		times = append(times, t.jobMissing.Add(t.patience()))
	}

	for _, pods := range t.pods {
		for _, pod := range pods {
			if at := diagnose.SilentAt(pod); at.After(t.clock.Now()) {
				times = append(times, at)
			}
		}
	}

	if t.follower.StartTimeout > 0 && !t.started {
		times = append(times, t.since.Add(t.follower.StartTimeout))
	}

	if len(times) == 0 {
		return time.Time{}, false
	}

	return slices.MinFunc(times, time.Time.Compare), true
}

// decide ends following where the record alone never would: a run that cannot start, a Job that is at its end or gone.
func (t *tracker) decide(ctx context.Context) (bool, error) {
	now := t.clock.Now()

	if t.record == nil {
		if now.Sub(t.since) >= graceContact {
			return false, fmt.Errorf("reading run %q: the API server has not answered for %s: %w", t.ref.Name, graceContact, cmp.Or(t.downErr, errSilent))
		}

		return false, nil
	}

	if !t.started {
		if problem, hopeless := t.cannotStart(now); hopeless {
			return false, &CannotStartError{Ref: t.ref, Problem: problem}
		}
	}

	ended := !t.jobEnded.IsZero() && now.Sub(t.jobEnded) >= graceVerdict
	missing := !t.jobMissing.IsZero() && now.Sub(t.jobMissing) >= t.patience()

	if !ended && !missing {
		return false, nil
	}

	// The watch may lag: the record itself has the last word.
	configMap, err := t.follower.Client.CoreV1().ConfigMaps(t.ref.Namespace).Get(ctx, t.ref.Name, metav1.GetOptions{})
	if err != nil {
		t.postpone(now)

		return false, ctx.Err() // asked again; a deleted record is told by its watch
	}

	if done, err := t.update(configMap); done || err != nil {
		return done, err
	}

	job := t.job
	if missing {
		job = nil
	}

	t.record = conclude(t.record, job, t.runners(), now)
	t.lastLogs(ctx)

	return true, nil
}

// patience is how long the run may be without a Job: its last runner may be bringing things back.
func (t *tracker) patience() time.Duration {
	if t.works() {
		return graceLast
	}

	return graceNoJob
}

var errSilent = errors.New("it accepts requests and is silent")

func (t *tracker) postpone(now time.Time) {
	if !t.jobEnded.IsZero() {
		t.jobEnded = now.Add(time.Second - graceVerdict)
	}

	if !t.jobMissing.IsZero() {
		t.jobMissing = now.Add(time.Second - t.patience())
	}
}

// cannotStart is the problem for which following ends before a runner ever ran.
func (t *tracker) cannotStart(now time.Time) (diagnose.Problem, bool) {
	over := t.follower.StartTimeout > 0 && now.Sub(t.since) >= t.follower.StartTimeout

	var standing *diagnose.Problem

	for _, key := range t.sorted() {
		known := t.problems[key]
		if !t.startsRunner(known.Problem) || !known.told {
			continue
		}

		if known.Fatal {
			return known.Problem, true
		}

		standing = &known.Problem
	}

	if !over {
		return diagnose.Problem{}, false
	}

	if standing == nil {
		standing = &diagnose.Problem{
			Object: "job/" + t.ref.Name, Namespace: t.ref.Namespace, Reason: diagnose.Starting,
			Message: "no runner has started within " + t.follower.StartTimeout.String(),
			Hint:    "kubectl describe job " + t.ref.Name + " -n " + t.ref.Namespace,
		}
	}

	return *standing, true
}

// startsRunner tells problems of the Job and its pods from those of other pods.
func (t *tracker) startsRunner(problem diagnose.Problem) bool {
	if problem.Object == "job/"+t.ref.Name {
		return true
	}

	pod := t.pods[problem.Namespace][strings.TrimPrefix(problem.Object, "pod/")]

	return pod != nil && t.isRunner(pod)
}

// lastLogs adds the log of the dead runner to the failure, where it may be read.
func (t *tracker) lastLogs(ctx context.Context) {
	failure := t.record.Error
	if failure == nil || failure.Pod == nil || len(failure.LastLogs) > 0 {
		return
	}

	lines, err := diagnose.Tail(ctx, t.follower.Client, failure.Pod.Namespace, failure.Pod.Name, RunnerContainer, lastLines)
	if err == nil {
		failure.LastLogs = lines
	}

	failure.Events = t.warnings[t.ref.Namespace].Of("Pod", failure.Pod.Name, "").Lines()
}
