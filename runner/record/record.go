// Package record is the contract between plugin and runner: the run record (one ConfigMap per run), its labels and keys,
// and the input that the plugin hands to the runner.
package record

import (
	"slices"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// SchemaVersion is written into every record; readers refuse a newer major one.
const SchemaVersion = "v1"

// Labels on the record and, where they apply, on everything a run creates. Values that are no valid label value
// (too long, odd characters) are shortened with a hash: use LabelValue.
const (
	LabelRecord     = "kanister.io/record" // "true" on run records
	LabelRun        = "kanister.io/run"    // run name: on every object of the run
	LabelAction     = "kanister.io/action"
	LabelTargetKind = "kanister.io/target-kind" // lower case: deployment, statefulset, pvc, namespace, …
	LabelTargetName = "kanister.io/target-name"
	LabelBlueprint  = "kanister.io/blueprint"
	LabelState      = "kanister.io/state"
	LabelPhase      = "kanister.io/phase"   // on worker pods
	LabelProfile    = "kanister.io/profile" // "true" on profile Secrets
	// LabelLocation is "true" on a claim that holds backups, so that a backup of its namespace leaves it out: a restore would take it, and
	// all backups that were made since, back to what it was.
	LabelLocation = "kanister.io/location"
	// AnnotationCancel asks the runner to cancel; its value is the reason. The only thing that others write on a record.
	AnnotationCancel = "kanister.io/cancel-requested"
	// AnnotationDefaultProfile marks a namespace's default profile Secret with "true".
	AnnotationDefaultProfile = "kanister.io/default-profile"
)

// Keys of the ConfigMap. All but KeyRecord are plain text for runbooks that use -o jsonpath.
const (
	KeyState     = "state"
	KeyPhase     = "phase"
	KeyProgress  = "progress"
	KeyError     = "error"
	KeyArtifacts = "artifacts" // JSON object name -> Artifact, present once complete
	KeyRecord    = "record"    // the whole Record as JSON
	KeyBlueprint = "blueprint" // the blueprint as YAML, written by the plugin, so that restore and delete need no file
)

// State of a run or of a phase.
type State string

// States. Skipped is for phases only: a phase after a failed one.
const (
	Pending   State = "pending"
	Running   State = "running"
	Complete  State = "complete"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	Skipped   State = "skipped"
)

// Finished tells whether a run in this state changes no more.
func (s State) Finished() bool { return s == Complete || s == Failed || s == Cancelled }

// Record is one run: what was asked, what happened, what it left. It outlives the Job.
type Record struct {
	SchemaVersion string `json:"schemaVersion"`
	Run           string `json:"run"`
	Namespace     string `json:"namespace"`
	Action        string `json:"action"`
	// Digest is the hex SHA-256 of the Input without secrets: two runs with equal digests were asked the same.
	Digest    string                    `json:"digest,omitempty"`
	Blueprint BlueprintInfo             `json:"blueprint"`
	Target    blueprint.ObjectReference `json:"target"`
	Profile   string                    `json:"profile,omitempty"`
	// Server is the word after --repository-server, as it was typed: a file or [NAMESPACE/]NAME of a custom resource.
	Server  string     `json:"repositoryServer,omitempty"`
	State   State      `json:"state"`
	Created time.Time  `json:"created"`
	Started *time.Time `json:"started,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
	Phases  []Phase    `json:"phases"`
	Defer   *Phase     `json:"deferPhase,omitempty"`
	Undo    []Undo     `json:"undo,omitempty"`
	// Holds keep the undo list from starting applications.
	Holds     []Hold                        `json:"holds,omitempty"`
	Artifacts map[string]blueprint.Artifact `json:"artifacts,omitempty"`
	Error     *Failure                      `json:"error,omitempty"`
	// DeferError and UndoErrors stand beside Error, never instead of it.
	DeferError *Failure `json:"deferError,omitempty"`
	UndoErrors []string `json:"undoErrors,omitempty"`
	// Warnings are what a complete run must not be silent about (unreadable files, live copies, public default key).
	Warnings []string `json:"warnings,omitempty"`
	Events   []Event  `json:"events,omitempty"` // bounded, newest last
	Attempts int      `json:"attempts"`         // how many runner pods have worked on it
	// Runner is the pod that works on it now, or did last.
	Runner string `json:"runner,omitempty"`
	// CancelReason is set once the runner has seen AnnotationCancel.
	CancelReason string `json:"cancelReason,omitempty"`
	// From is the run whose artifacts this one used.
	From string `json:"from,omitempty"`
	// Origin is kept while the run goes on, for a successor of the runner. A run that leaves its target stopped on half restored data
	// keeps the Workload, for the run that restores again: nothing else tells which pods there were.
	Origin *TargetSnapshot `json:"origin,omitempty"`
}

// TargetSnapshot is the target as it was when the run started. Templates see it for the whole run (COMPAT §2.4.4): a runner that
// takes over after a crash must not see the pods that an earlier phase has scaled away.
type TargetSnapshot struct {
	// Workload is .Deployment, .StatefulSet or .DeploymentConfig; nil for other targets.
	Workload *params.WorkloadParams `json:"workload,omitempty"`
	// Object is .Object without managed fields; nil for Secrets, which are read again.
	Object map[string]any `json:"object,omitempty"`
}

// BlueprintInfo says which blueprint ran and where it came from: "file", "configmap", "built in", "cluster".
type BlueprintInfo struct {
	Name   string `json:"name"`
	Source string `json:"source,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// Phase is the journal of one phase.
type Phase struct {
	Name     string     `json:"name"`
	Func     string     `json:"func"`
	State    State      `json:"state"`
	Started  *time.Time `json:"started,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
	Attempts int        `json:"attempts,omitempty"`
	// Evictions are those attempts that ended because the runner pod was told to go; the others that did not finish are crashes.
	Evictions int `json:"evictions,omitempty"`

	Output   map[string]any `json:"output,omitempty"`
	Progress *Progress      `json:"progress,omitempty"`
	Pods     []PodRef       `json:"pods,omitempty"`
	Error    *Failure       `json:"error,omitempty"`
	// Notes are what the function keeps for itself in case it is repeated: JSON by key. A complete phase has none.
	Notes map[string]string `json:"notes,omitempty"`
}

// Progress is what a function reports of itself; a zero member was not reported. Sizes are bytes, Rate bytes per second.
type Progress struct {
	Message    string `json:"message,omitempty"` // what is being done or waited for, e.g. "volume data-postgres-0, CSI snapshot"
	BytesDone  int64  `json:"bytesDone,omitempty"`
	BytesTotal int64  `json:"bytesTotal,omitempty"`
	BytesNew   int64  `json:"bytesNew,omitempty"` // written to the location after dedupe and compression
	FilesDone  int64  `json:"filesDone,omitempty"`
	FilesTotal int64  `json:"filesTotal,omitempty"`
	Rate       int64  `json:"rate,omitempty"`
	Percent    *int   `json:"percent,omitempty"`
}

// PodRef names a pod that a phase used, for diagnosis.
type PodRef struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Undo is one step that brings back what a function changed: a call of Func with Args. Key identifies what is undone, so that
// a later phase that brings it back itself can drop the entry.
type Undo struct {
	Key    string         `json:"key"`
	Text   string         `json:"text"` // "scale statefulset demo/postgres 0→1"
	Func   string         `json:"func"`
	Args   map[string]any `json:"args"`
	Done   bool           `json:"done,omitempty"`
	Failed string         `json:"failed,omitempty"`
	// Attempts counts how often the undo was begun.
	Attempts int `json:"attempts,omitempty"`
	// Starts: the step starts an application. It is not taken while a Hold stands.
	Starts bool `json:"starts,omitempty"`
}

// Hold says that data is neither what it was nor what it shall become, so that no application may start on it. It is stored before
// the first byte changes and goes when the data is whole.
type Hold struct {
	Key string `json:"key"`
	Why string `json:"why"` // "volume data-postgres-0 is half restored"
}

// Failure says what went wrong, for a reader at 3 a.m.
type Failure struct {
	Phase    string   `json:"phase,omitempty"`
	Func     string   `json:"func,omitempty"`
	Message  string   `json:"message"`
	Reason   string   `json:"reason,omitempty"` // machine word, e.g. ImagePull, WrongPassword, AccessDenied, OOMKilled, Timeout
	Pod      *PodRef  `json:"pod,omitempty"`
	Exit     *int     `json:"exitCode,omitempty"`
	LastLogs []string `json:"lastLogs,omitempty"`
	Events   []string `json:"events,omitempty"` // warning events of the pod
	Hint     string   `json:"hint,omitempty"`   // the next command to type
}

// Event is one line of a run's history.
type Event struct {
	Time    time.Time `json:"time"`
	Type    string    `json:"type"` // Normal, Warning
	Message string    `json:"message"`
}

// OtherUndoErrors are those of UndoErrors that no entry of Undo tells already.
func (r *Record) OtherUndoErrors() []string {
	return slices.DeleteFunc(slices.Clone(r.UndoErrors), func(text string) bool {
		return slices.ContainsFunc(r.Undo, func(u Undo) bool { return u.Failed != "" && text == u.Text+": "+u.Failed })
	})
}
