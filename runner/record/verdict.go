package record

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// MaxTerminationMessage is how much the kubelet keeps of a container's termination message, in bytes.
const MaxTerminationMessage = 4096

// Verdict is the end of a run in the runner pod's termination message: enough to tell the user what happened when the record
// itself cannot be reached.
type Verdict struct {
	State State    `json:"state"`
	Run   string   `json:"run"`
	Phase string   `json:"phase,omitempty"` // the failed one
	Error *Failure `json:"error,omitempty"`
	// Artifacts tells that the run left artifacts.
	Artifacts bool `json:"artifacts,omitempty"`
}

// VerdictOf is the verdict on a finished record.
func VerdictOf(r *Record) Verdict {
	v := Verdict{State: r.State, Run: r.Run, Error: r.Error.Clone(), Artifacts: len(r.Artifacts) > 0}
	if v.Error == nil {
		v.Error = r.DeferError.Clone()
	}

	if v.Error != nil {
		v.Phase = v.Error.Phase
	} else if r.CancelReason != "" && r.State == Cancelled {
		v.Error = &Failure{Message: r.CancelReason, Reason: ReasonCancelled}
	}

	return v
}

// Message is the verdict as JSON of at most MaxTerminationMessage bytes: pod logs are dropped first, then events, then the
// message is shortened with a mark.
func (v Verdict) Message() string {
	v.Error = v.Error.Clone()

	for {
		raw, err := json.Marshal(v)
		if err != nil || len(raw) <= MaxTerminationMessage || v.Error == nil { // strings only: err is nil
			return string(raw)
		}

		over := len(raw) - MaxTerminationMessage

		switch f := v.Error; {
		case len(f.LastLogs) > 0:
			f.LastLogs = f.LastLogs[1:]
		case len(f.Events) > 0:
			f.Events = f.Events[1:]
		case f.Hint != "" && len(f.Hint) > 512:
			f.Hint = ""
		case len(f.Message) > 64:
			f.Message = Shorten(f.Message, max(32, len(f.Message)-over-16), "…")
		default:
			v.Error = &Failure{Message: f.Message, Reason: Shorten(f.Reason, 64, "…")}
			v.Phase, v.Run = Shorten(v.Phase, 64, "…"), Shorten(v.Run, 64, "…")

			raw, _ = json.Marshal(v)

			return string(raw)
		}
	}
}

// ParseVerdict reads a termination message; false if it is none of ours.
func ParseVerdict(message string) (Verdict, bool) {
	var v Verdict
	if !strings.HasPrefix(strings.TrimSpace(message), "{") || json.Unmarshal([]byte(message), &v) != nil {
		return Verdict{}, false
	}

	return v, v.State != "" && v.Run != ""
}

// Shorten cuts text to at most limit bytes, between characters, and appends mark if it cut.
func Shorten(text string, limit int, mark string) string {
	if len(text) <= limit {
		return text
	}

	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}

	return text[:limit] + mark
}
