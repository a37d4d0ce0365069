package runs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// longest value of an output that is shown whole, in bytes.
const longest = 300

// sheet is the text of `describe`.
func sheet(run Run, seen evidence, commands ui.Commands, now time.Time) string {
	w := &writer{}
	r := run.Record

	w.field("Name", r.Run)
	w.field("Namespace", r.Namespace)
	w.field("State", string(r.State))
	w.field("Action", r.Action)
	w.field("Target", ui.TargetName(r))

	if r.Target.Namespace != r.Namespace {
		w.field("Target namespace", r.Target.Namespace)
	}

	source := ""
	if r.Blueprint.Source != "" {
		source = " (" + r.Blueprint.Source + ")"
	}

	w.field("Blueprint", r.Blueprint.Name+source)
	w.field("Profile", r.Profile)
	w.field("Server", r.Server)
	w.field("From", r.From)
	w.field("Created", moment(&r.Created, now))
	w.field("Started", moment(r.Started, now))
	w.field("Ended", moment(r.Ended, now))

	if d, known := run.duration(now); known {
		w.field("Duration", ui.Duration(d))
	}

	if r.Attempts > 1 {
		w.field("Runners", fmt.Sprintf("%d: each but the last died and was succeeded", r.Attempts))
	}

	w.field("Cancelled", ui.Clean(r.CancelReason))

	if reason := run.ConfigMap.Annotations[record.AnnotationCancel]; reason != "" && r.CancelReason == "" && !r.State.Finished() {
		w.field("Cancel asked", ui.Clean(reason))
	}

	if run.Broken != nil {
		w.field("Unreadable", ui.Clean(run.Broken.Error()))
	}

	w.phases(r)
	w.failure("Failure", r.Error)
	w.failure("deferPhase failure", r.DeferError)
	w.undo(r)
	w.list("Warnings", r.Warnings)
	w.artifacts(r)
	w.history(r)

	if !r.State.Finished() {
		w.problems(seen.problems)
	}

	w.events(seen, now)
	w.list("Next", next(run, commands))

	return w.String()
}

// writer lays out a sheet.
type writer struct{ strings.Builder }

func (w *writer) field(name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%-18s%s\n", name+":", value)
	}
}

func (w *writer) title(name string) { fmt.Fprintf(w, "\n%s:\n", name) }

func (w *writer) line(depth int, format string, args ...any) {
	w.WriteString(strings.Repeat("  ", depth) + strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (w *writer) list(name string, texts []string) {
	if len(texts) == 0 {
		return
	}

	w.title(name)

	for _, text := range texts {
		w.line(1, "%s", ui.Clean(text))
	}
}

func (w *writer) phases(r *record.Record) {
	if len(r.Phases) == 0 && r.Defer == nil {
		return
	}

	w.title("Phases")

	for i := range r.Phases {
		w.phase(fmt.Sprint(i+1), &r.Phases[i])
	}

	if r.Defer != nil {
		w.phase("deferPhase", r.Defer)
	}
}

func (w *writer) phase(number string, p *record.Phase) {
	took := ""
	if d, known := ui.Span(p.Started, p.Ended); known {
		took = " in " + ui.Duration(d)
	}

	w.line(1, "%s %s: %s%s (%s)", number, p.Name, p.State, took, p.Func)

	if text := ui.PhaseProgress(p); text != "" {
		w.line(3, "%s", text)
	}

	if p.Attempts > 1 {
		w.line(3, "attempts: %d", p.Attempts)
	}

	if p.Error != nil && p.Error.Message != "" {
		w.line(3, "error: %s", ui.Clean(p.Error.Message))
	}

	for _, pod := range p.Pods {
		w.line(3, "pod: %s/%s", pod.Namespace, pod.Name)
	}

	if len(p.Output) > 0 {
		w.line(3, "output:")
		w.values(4, p.Output)
	}
}

// values prints a map as YAML, long texts cut with a word about it.
func (w *writer) values(depth int, values map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		raw, err := yaml.Marshal(map[string]any{key: values[key]})
		if err != nil {
			raw = fmt.Appendf(nil, "%s: %v", key, values[key])
		}

		text := strings.TrimRight(string(raw), "\n")
		if len(text) > longest {
			text = record.Shorten(text, longest, fmt.Sprintf("… (%s in all: get run -o json)", ui.Bytes(int64(len(text)))))
		}

		for line := range strings.SplitSeq(text, "\n") {
			w.line(depth, "%s", ui.Clean(line))
		}
	}
}

func (w *writer) failure(name string, f *record.Failure) {
	if f == nil {
		return
	}

	w.title(name)

	for _, line := range ui.FailureLines(f) {
		w.line(0, "%s", line)
	}

	if f.Hint != "" {
		w.line(1, "%-10s %s", "hint", ui.Clean(f.Hint))
	}
}

func (w *writer) undo(r *record.Record) {
	if len(r.Undo) == 0 && len(r.UndoErrors) == 0 {
		return
	}

	w.title("Undo")

	for _, undo := range r.Undo {
		state := "to be done at the end of the run"

		switch {
		case undo.Failed != "":
			state = "FAILED: " + ui.Clean(undo.Failed)
		case undo.Done:
			state = "done"
		case r.State.Finished():
			state = "NOT done"
		}

		w.line(1, "%s: %s", ui.Clean(undo.Text), state)
	}

	for _, text := range r.OtherUndoErrors() {
		w.line(1, "FAILED: %s", ui.Clean(text))
	}
}

func (w *writer) artifacts(r *record.Record) {
	if len(r.Artifacts) == 0 {
		return
	}

	w.title("Artifacts")

	for _, name := range slices.Sorted(maps.Keys(r.Artifacts)) {
		w.line(1, "%s:", name)

		values := map[string]any{}
		for key, value := range r.Artifacts[name].KeyValue {
			values[key] = value
		}

		w.values(2, values)

		if snapshot := r.Artifacts[name].KopiaSnapshot; snapshot != "" {
			w.line(2, "kopiaSnapshot: %s", ui.Clean(snapshot))
		}
	}
}

func (w *writer) history(r *record.Record) {
	if len(r.Events) == 0 {
		return
	}

	w.title("History")

	for _, event := range r.Events {
		kind := ""
		if event.Type == corev1.EventTypeWarning {
			kind = "warning: "
		}

		w.line(1, "%s  %s%s", event.Time.UTC().Format(time.TimeOnly), kind, ui.Clean(event.Message))
	}
}

func (w *writer) problems(problems []diagnose.Problem) {
	if len(problems) == 0 {
		return
	}

	w.title("Problems now")

	for _, problem := range problems {
		w.line(1, "%s", ui.Clean(problem.String()))

		if problem.Hint != "" {
			w.line(2, "hint: %s", ui.Clean(problem.Hint))
		}
	}
}

func (w *writer) events(seen evidence, now time.Time) {
	if len(seen.denied) > 0 {
		w.title("Not shown, for want of rights")
		w.line(1, "%s", strings.Join(seen.denied, ", "))
	}

	if len(seen.events) == 0 {
		return
	}

	w.title("Events")

	for _, event := range seen.events {
		times := ""
		if event.Count > 1 {
			times = fmt.Sprintf(" (%d times)", event.Count)
		}

		w.line(1, "%-7s %-5s %s %s/%s: %s%s", event.Type, age(eventTime(event), now), event.Reason,
			strings.ToLower(event.InvolvedObject.Kind), event.InvolvedObject.Name, ui.Clean(strings.Join(strings.Fields(event.Message), " ")), times)
	}
}

func eventTime(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	default:
		return e.CreationTimestamp.Time
	}
}

func moment(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}

	return t.UTC().Format("2006-01-02 15:04:05 UTC") + " (" + age(*t, now) + " ago)"
}

// next are the commands that make sense for a run in its state.
func next(run Run, commands ui.Commands) []string {
	ref := refOf(run)

	switch {
	case !run.State.Finished():
		return []string{commands.For("wait", ref), commands.For("logs -f", ref), commands.For("cancel", ref)}
	case run.State == record.Complete && run.Action == "backup":
		var lines []string
		if run.restorable(nil) != "no" {
			lines = append(lines, commands.For("restore --from", ref))
		}

		if actions, known := run.actions(); !known || actions["delete"] {
			lines = append(lines, commands.For("delete --from", ref))
		}

		return append(lines, commands.For("logs", ref))
	default:
		return []string{commands.For("logs", ref), commands.For("forget", ref)}
	}
}
