// Package mover is the data mover's command: the word "mover" of the runner binary. It reads one Request, moves data between a
// mounted directory and a kopia repository, and writes Events, one JSON object per line, on stdout. It needs no access to the
// cluster, works with a read-only root file system and as any user.
package mover

import (
	"encoding/json"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// What a Request may ask for.
const (
	OpBackup  = "backup"
	OpRestore = "restore"
)

// Where a worker pod finds its request: a file of a mounted Secret, because requests hold credentials.
const (
	RequestDir  = "/etc/kanister/mover"
	RequestFile = "request.json"
)

// TerminationLog is where the kubelet collects the last words of a container. The last Event goes there too, so that a dropped log
// stream loses nothing.
const TerminationLog = "/dev/termination-log"

// maxTermination is how much of it the kubelet keeps, in bytes.
const maxTermination = 4096

// Request is one piece of work.
type Request struct {
	Op      string          `json:"op"`
	Profile *record.Profile `json:"profile,omitempty"`
	// Prefix as the blueprint gives it (backupArtifactPrefix), and the repository's password.
	Prefix   string `json:"prefix,omitempty"`
	Password string `json:"password,omitempty"`
	// Server is a repository server in place of Profile, Prefix and Password.
	Server *kopia.Server `json:"server,omitempty"`
	// Dir stands for the root of the application's file system: what a pod has at /data is at <Dir>/data here.
	Dir string `json:"dir"`
	// Mount is where the filestore claim is mounted; empty means record.LocationMountPath.
	Mount string `json:"mount,omitempty"`

	// Of a backup: Source.Path is what is backed up.
	Source kopia.Source      `json:"source,omitzero"`
	Tags   map[string]string `json:"tags,omitempty"`

	// Of a restore: the snapshot by ID or tag. Its content goes to RestorePath joined with the path that it was backed up from; or, if
	// BackupPath names a part of it (or a directory above it), that part goes to RestorePath itself. Volumes are the paths in the
	// application's file system that are mounted: what lies on none of them would be lost with this container.
	ID          string   `json:"id,omitempty"`
	Tag         string   `json:"tag,omitempty"`
	RestorePath string   `json:"restorePath,omitempty"`
	BackupPath  string   `json:"backupPath,omitempty"`
	Volumes     []string `json:"volumes,omitempty"`
	DeleteExtra bool     `json:"deleteExtra,omitempty"`
	// Flat: BackupPath is relative to the snapshot's root, wherever that was, and its content goes to RestorePath itself.
	Flat bool `json:"flat,omitempty"`
}

// Claim is the filestore claim that has to be mounted where the request is done; empty if none has.
func (r Request) Claim() string {
	if r.Profile == nil || r.Profile.Location.Type != blueprint.LocationFilestore {
		return ""
	}

	return r.Profile.Location.ClaimName
}

// Event is one line. One member is set; an event with Backup, Restore or Error is the last one. A restore that failed after it had begun
// to write has both Restore and Error: the target is a mixture.
type Event struct {
	Progress *kopia.Progress `json:"progress,omitempty"`
	Backup   *Backup         `json:"backup,omitempty"`
	Restore  *Restore        `json:"restore,omitempty"`
	Error    *Error          `json:"error,omitempty"`
}

// Last tells whether no event follows.
func (e Event) Last() bool { return e.Backup != nil || e.Restore != nil || e.Error != nil }

// Backup is the result of a backup.
type Backup struct {
	kopia.Snapshot

	// Place names the repository: bucket/prefix/artifact.
	Place string `json:"place"`
	// Seconds that it took.
	Seconds float64 `json:"seconds"`
}

// Restore is the result of a restore.
type Restore struct {
	kopia.Restored

	// ID of the snapshot and Path that it was restored to.
	ID      string  `json:"id"`
	Path    string  `json:"path"`
	Seconds float64 `json:"seconds"`
}

// Error is why it did not work.
type Error struct {
	Message string `json:"message"`
	Reason  string `json:"reason,omitempty"` // of package location
	Hint    string `json:"hint,omitempty"`
}

// encode gives the event in one line.
func (e Event) encode() []byte {
	line, err := json.Marshal(e)
	if err != nil { // nothing in an Event can fail to marshal
		line, _ = json.Marshal(Event{Error: &Error{Message: "writing the result: " + err.Error()}})
	}

	return append(line, '\n')
}

// fit gives the event in at most limit bytes, by leaving out names of files, then the middle of a long message.
func (e Event) fit(limit int) []byte {
	line := e.encode()
	for left := 5; len(line) > limit && left >= 0; left-- {
		e = e.trimmed(left)
		line = e.encode()
	}

	if len(line) > limit && e.Error != nil {
		keep := max(0, len(e.Error.Message)-(len(line)-limit)-len(" … "))
		short := *e.Error
		short.Message = short.Message[:keep/2] + " … " + short.Message[len(short.Message)-keep/2:]
		line = Event{Error: &short}.encode()
	}

	return line[:min(len(line), limit)]
}

func (e Event) trimmed(left int) Event {
	cut := func(p kopia.Problems) kopia.Problems {
		p.First = p.First[:min(left, len(p.First))]

		return p
	}

	if e.Backup != nil {
		b := *e.Backup
		b.Unreadable, b.Changed, b.Special = cut(b.Unreadable), cut(b.Changed), cut(b.Special)
		e.Backup = &b
	}

	if e.Restore != nil {
		r := *e.Restore
		r.Owner, r.Mode, r.Xattr = cut(r.Owner), cut(r.Mode), cut(r.Xattr)
		e.Restore = &r
	}

	return e
}

// Parse reads the events in a line of output; false if the line is none.
func Parse(line []byte) (Event, bool) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil || e.Progress == nil && !e.Last() {
		return Event{}, false
	}

	return e, true
}

// Interval between two progress events.
const Interval = time.Second
