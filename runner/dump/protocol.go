// Package dump is the runner's word "dump": it moves databases between a PostgreSQL server and one object of a location, with the
// pg_dump and psql of the image that it runs in. It reads one Request and writes Events, one JSON object per line, on stdout. The
// data is streamed: neither memory nor disk depends on its size.
package dump

import (
	"encoding/json"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// What a Request may ask for.
const (
	OpDump    = "dump"
	OpRestore = "restore"
)

// Where a worker pod finds its request: a file of a mounted Secret, because requests hold passwords.
const (
	RequestDir  = "/etc/kanister/dump"
	RequestFile = "request.json"
)

// Interval between two progress events.
const Interval = time.Second

// Request is one piece of work.
type Request struct {
	Op      string          `json:"op"`
	Profile *record.Profile `json:"profile"`
	// Key of the object, below the profile's prefix.
	Key string `json:"key"`
	// The server, and who logs in.
	Host     string `json:"host"`
	Port     int32  `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
	// Databases to dump; none means all but templates and the one that RDS keeps for itself.
	Databases []string `json:"databases,omitempty"`
}

// Event is one line. One member is set; Result or Error is the last one.
type Event struct {
	Progress *Progress    `json:"dumpProgress,omitempty"`
	Result   *Result      `json:"dumpResult,omitempty"`
	Error    *mover.Error `json:"error,omitempty"`
}

// Progress is how far it is. Bytes are those of the SQL text when dumping, of the object when restoring; Total is 0 if unknown.
type Progress struct {
	Database string `json:"database,omitempty"`
	Bytes    int64  `json:"bytes"`
	Total    int64  `json:"total,omitempty"`
	// Number of Of databases; Of is 0 if unknown.
	Number int `json:"number,omitempty"`
	Of     int `json:"of,omitempty"`
}

// Result is what was done.
type Result struct {
	Databases []string `json:"databases,omitempty"`
	// Bytes of SQL text, and Stored of the object.
	Bytes  int64 `json:"bytes"`
	Stored int64 `json:"stored"`
	// Place names the object for people.
	Place string `json:"place"`
}

// Parse reads the event in a line of output; false if the line is none.
func Parse(line []byte) (Event, bool) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil || e.Progress == nil && !e.Last() {
		return Event{}, false
	}

	return e, true
}

// Last tells whether no event follows.
func (e Event) Last() bool { return e.Result != nil || e.Error != nil }
