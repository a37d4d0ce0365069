package restic

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Snapshot is one of restic's.
type Snapshot struct {
	ID      string    `json:"id"`
	ShortID string    `json:"short_id"`
	Tags    []string  `json:"tags"`
	Time    time.Time `json:"time"`
}

// Snapshots reads the answer to List, the oldest first.
func Snapshots(lines []string) ([]Snapshot, error) {
	for _, line := range slices.Backward(lines) {
		var found []Snapshot
		if line = strings.TrimSpace(line); line == "null" {
			return nil, nil
		}

		if strings.HasPrefix(line, "[") && json.Unmarshal([]byte(line), &found) == nil {
			slices.SortFunc(found, func(a, b Snapshot) int { return a.Time.Compare(b.Time) })

			return found, nil
		}
	}

	return nil, fmt.Errorf("reading what restic says: there is no list of snapshots")
}

// Is tells whether id, whole or its beginning of at least 8 characters as upstream's functions give it, names the snapshot.
func (s Snapshot) Is(id string) bool {
	return id != "" && (s.ID == id || s.ShortID == id || len(id) >= 8 && strings.HasPrefix(s.ID, id))
}

// Stats are figures of one snapshot.
type Stats struct {
	Bytes int64 `json:"total_size"`
	Files int64 `json:"total_file_count"`
	Blobs int64 `json:"total_blob_count"`
}

// ParseStats reads the answer to Stats.
func ParseStats(lines []string) (Stats, error) {
	for _, line := range slices.Backward(lines) {
		var s Stats
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &s) == nil {
			return s, nil
		}
	}

	return Stats{}, fmt.Errorf("reading what restic says: there are no figures")
}

// freed is what restic prints of a prune (0.12 and later).
var freed = regexp.MustCompile(`^(?:total prune|frees|this removes):?\s+[0-9]+ blobs / ([0-9.]+ \S*B)`)

// Freed reads from the answer to Forget what pruning has freed, as restic writes it: "1.234 MiB"; "0 B" if it did not.
func Freed(lines []string) string {
	out := "0 B"

	for _, line := range lines {
		if m := freed.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			out = m[1]
		}
	}

	return out
}

// Reason tells from what restic wrote why it failed.
type Reason int

// Reasons.
const (
	Unknown Reason = iota
	WrongPassword
	NoSnapshot
	Locked
)

// Why reads it from the lines that restic wrote before it failed.
func Why(lines []string) Reason {
	text := strings.Join(lines, "\n")

	for _, known := range []struct {
		text   string
		reason Reason
	}{
		{"wrong password", WrongPassword},
		{"no key could be found", WrongPassword},
		{"no matching ID found", NoSnapshot},
		{"no snapshot found", NoSnapshot},
		{"no snapshots found", NoSnapshot},
		{"repository is already locked", Locked},
	} {
		if strings.Contains(text, known.text) {
			return known.reason
		}
	}

	return Unknown
}

// ownership are the complaints of a restore that could not give a file back what belongs to it besides its content.
var ownership = regexp.MustCompile(`^ignoring error for (.+): (?:lchown|chmod|UtimesNano|utimes|Setxattr|xattr\.\S+|lsetxattr)\b.*: (?:operation not permitted|operation not supported)`)

var errorCount = regexp.MustCompile(`(?:There were|Summary: .*|Fatal: There were) ([0-9]+) errors?`)

// OnlyOwners tells whether all that went wrong in a restore is that owners, modes, times or extended attributes could not be set
// back, and of how many files; examples are some of them.
func OnlyOwners(lines []string) (count int, examples []string, only bool) {
	total := ""

	for _, line := range lines {
		line = strings.TrimSpace(line)

		if m := ownership.FindStringSubmatch(line); m != nil {
			count++

			if len(examples) < 3 {
				examples = append(examples, m[1])
			}
		} else if m := errorCount.FindStringSubmatch(line); m != nil {
			total = m[1]
		}
	}

	return count, examples, count > 0 && total == fmt.Sprint(count)
}
