// Package diagnose tells from what Kubernetes says of Jobs and pods why a run does not get on. It reads objects and events
// that others fetched, and asks for nothing itself but, in Tail, the last log lines of a container.
package diagnose

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Reasons that are ours; besides them Reason is Kubernetes' own word (ImagePullBackOff, OOMKilled, Evicted, FailedMount, …).
const (
	Unschedulable = "Unschedulable"
	Quota         = "Quota"        // pods of the run exceed a ResourceQuota
	PodSecurity   = "PodSecurity"  // the namespace's PodSecurity level refuses the pod
	Refused       = "Refused"      // admission (LimitRange, webhook, policy) refuses the pod
	ImageMissing  = "ImageMissing" // the image does not exist or may not be pulled
	Suspended     = "Suspended"    // the Job is suspended
	NoPod         = "NoPod"        // the Job has no pod yet, and why is not to be read
	Starting      = "Starting"     // the pod's containers take long to start
	Died          = "Died"         // a runner pod ended without a verdict
	NodeNotReady  = "NodeNotReady" // the pod's node does not answer; Kubernetes still waits for it
	NodeLost      = "NodeLost"     // a pod was told to end, its time is over, and its node says nothing
)

// Problem is one thing that keeps a run from getting on.
type Problem struct {
	// Object is TYPE/NAME: "pod/backup-x-abcde", "job/backup-x".
	Object    string `json:"object"`
	Namespace string `json:"namespace"`
	Reason    string `json:"reason"`
	// Message is Kubernetes' own text.
	Message string `json:"message"`
	// Hint is the next thing to do or to type; may be empty.
	Hint string `json:"hint,omitempty"`
	// Image that could not be pulled.
	Image string `json:"image,omitempty"`
	// Fatal problems do not go away by waiting.
	Fatal bool `json:"fatal,omitempty"`
	// Grace is how long the problem must last before it is worth a word: many are gone within a second.
	Grace time.Duration `json:"-"`
}

// Key tells problems apart: the same object and reason is the same problem, however its text changes.
func (p Problem) Key() string { return p.Namespace + "/" + p.Object + "/" + p.Reason }

// String is one line: "pod/x: 0/1 nodes are available (Unschedulable)".
func (p Problem) String() string { return p.Object + ": " + p.Message + " (" + p.Reason + ")" }

// Events are the warnings about objects, newest last.
type Events []corev1.Event

// Of keeps the events about the named object. uid may be empty: then name and kind decide.
func (e Events) Of(kind, name, uid string) Events {
	var out Events

	for _, event := range e {
		about := event.InvolvedObject
		if about.Kind == kind && about.Name == name && (uid == "" || about.UID == "" || string(about.UID) == uid) {
			out = append(out, event)
		}
	}

	return out
}

// Lines are the events as text, one line each, equal ones once.
func (e Events) Lines() []string {
	var lines []string

	seen := map[string]bool{}

	for _, event := range e {
		line := event.Reason + ": " + oneLine(event.Message)
		if !seen[line] {
			seen[line] = true

			lines = append(lines, line)
		}
	}

	return lines
}

// last is the newest event with one of the reasons.
func (e Events) last(reasons ...string) (corev1.Event, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		for _, reason := range reasons {
			if e[i].Reason == reason {
				return e[i], true
			}
		}
	}

	return corev1.Event{}, false
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
