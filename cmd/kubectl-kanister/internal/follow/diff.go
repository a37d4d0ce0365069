package follow

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// changes are the events that lead from old, which may be nil, to next. They are in the order in which they happened as far as
// the record tells. The final state is not among them: the caller decides when it is final.
func changes(ref Ref, old, next *record.Record, now time.Time) []Event {
	var (
		events []Event
		keys   []time.Time // what the events are ordered by
	)

	if next.Ended != nil {
		now = *next.Ended // of what the record gives no time, it was over by then
	}

	add := func(e Event) {
		e.Run = ref

		// What the record gives no time for stays behind what it was told after: the clocks of plugin and runner may differ.
		key := e.Time
		if key.IsZero() && len(keys) > 0 {
			key = keys[len(keys)-1]
		}

		if e.Time.IsZero() {
			e.Time = now
		}

		events, keys = append(events, e), append(keys, key)
	}

	if old == nil {
		add(Event{Kind: Attached, Time: next.Created, Record: next})

		old = &record.Record{}
	}

	if old.Started == nil && next.Started != nil {
		add(Event{Kind: RunStarted, Time: *next.Started})
	}

	if old.Attempts > 0 && next.Attempts > old.Attempts {
		add(Event{Kind: Note, Message: fmt.Sprintf("runner %d goes on where its predecessor died", next.Attempts)})
	}

	if old.CancelReason == "" && next.CancelReason != "" {
		add(Event{Kind: Note, Time: said(next, "cancel requested: "+next.CancelReason), Message: "cancelling: " + next.CancelReason})
	}

	for i := range next.Phases {
		phaseChanges(find(old.Phases, next.Phases[i].Name), &next.Phases[i], false, add)
	}

	for _, text := range next.Warnings {
		if !slices.Contains(old.Warnings, text) {
			add(Event{Kind: Warning, Time: said(next, text), Message: text})
		}
	}

	for _, event := range newer(old.Events, next.Events) {
		kind := Note
		if event.Type == "Warning" {
			kind = Warning
		}

		if !slices.Contains(next.Warnings, event.Message) && !echo(next, event.Message) {
			add(Event{Kind: kind, Time: event.Time, Message: event.Message})
		}
	}

	if next.Defer != nil {
		phaseChanges(old.Defer, next.Defer, true, add)
	}

	for _, undo := range next.Undo {
		before := slices.IndexFunc(old.Undo, func(u record.Undo) bool { return u.Key == undo.Key })

		switch {
		case undo.Done && (before < 0 || !old.Undo[before].Done):
			add(Event{Kind: Note, Time: said(next, "undone: "+undo.Text), Message: "undone: " + undo.Text})
		case undo.Failed != "" && (before < 0 || old.Undo[before].Failed != undo.Failed):
			add(Event{Kind: Warning, Message: "not undone: " + undo.Text + ": " + undo.Failed})
		}
	}

	return inOrder(events, keys)
}

// inOrder sorts events by keys and leaves those of the same key as they are.
func inOrder(events []Event, keys []time.Time) []Event {
	order := make([]int, len(events))
	for i := range order {
		order[i] = i
	}

	slices.SortStableFunc(order, func(a, b int) int { return keys[a].Compare(keys[b]) })

	sorted := make([]Event, 0, len(events))
	for _, i := range order {
		sorted = append(sorted, events[i])
	}

	return sorted
}

// said is when the history says message first; zero if it does not.
func said(r *record.Record, message string) time.Time {
	for _, event := range r.Events {
		if event.Message == message {
			return event.Time
		}
	}

	return time.Time{}
}

// lifecycle are the lines of the history that say what other events say.
var lifecycle = regexp.MustCompile(`^(run started$|run \w+ in |phase ".*" (started|complete in |failed: |cancelled: )|undone: |not undone: |` +
	`cancel requested: |runner pod \d+ takes the run over)`)

// echo tells whether a line of the history repeats what another event, or the outcome, tells.
func echo(r *record.Record, message string) bool {
	return lifecycle.MatchString(message) || r.Error != nil && r.Error.Message == message
}

func find(phases []record.Phase, name string) *record.Phase {
	for i := range phases {
		if phases[i].Name == name {
			return &phases[i]
		}
	}

	return nil
}

// phaseChanges never goes back: an older copy of the record, as a watch may replay it, brings no events.
func phaseChanges(old, next *record.Phase, deferred bool, add func(Event)) {
	if old == nil {
		old = &record.Phase{State: record.Pending}
	}

	ended := func(p *record.Phase) bool { return p.State.Finished() || p.State == record.Skipped }
	if ended(old) {
		return
	}

	started := next.State == record.Running || (ended(next) && next.State != record.Skipped)
	if started && old.State != record.Running {
		add(Event{Kind: PhaseStarted, Time: timeOf(next.Started), Phase: next, Defer: deferred})
	}

	if old.Attempts > 0 && next.Attempts > old.Attempts {
		add(Event{Kind: Note, Phase: next, Message: fmt.Sprintf("phase %q is done again from its beginning (attempt %d)", next.Name, next.Attempts)})
	}

	if ended(next) {
		add(Event{Kind: PhaseEnded, Time: timeOf(next.Ended), Phase: next, Defer: deferred})

		return
	}

	if next.Progress != nil && !reflect.DeepEqual(old.Progress, next.Progress) {
		add(Event{Kind: Progress, Phase: next, Defer: deferred})
	}
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}

	return *t
}

// newer are the events of next that old does not have. Both are bounded: the oldest may have been dropped.
func newer(old, next []record.Event) []record.Event {
	if len(old) == 0 {
		return next
	}

	last := old[len(old)-1]
	for i := len(next) - 1; i >= 0; i-- {
		if next[i] == last || next[i].Time.Equal(last.Time) && next[i].Message == last.Message {
			return next[i+1:]
		}
	}

	at := slices.IndexFunc(next, func(e record.Event) bool { return e.Time.After(last.Time) })
	if at < 0 {
		return nil
	}

	return next[at:]
}
