package ui

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/diagnose"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	time.Local = time.UTC

	flag.Parse()
	os.Exit(m.Run())
}

func golden(t *testing.T, name, got string) {
	t.Helper()

	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), -update rewrites it:\n%s", path, diff)
	}
}

var (
	epoch = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)
	demo  = follow.Ref{Namespace: "demo", Name: "backup-postgres-7f3k2"}
)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func ptr[T any](value T) *T { return &value }

// moment is an event and when it is seen.
type moment struct {
	seconds float64
	event   follow.Event
}

func base() *record.Record {
	return &record.Record{
		SchemaVersion: record.SchemaVersion, Run: demo.Name, Namespace: demo.Namespace, Action: "backup", State: record.Running, Created: at(0),
		Blueprint: record.BlueprintInfo{Name: "volumes", Source: "built in"}, Profile: "backups", Started: ptr(at(1)),
		Target: blueprint.ObjectReference{Kind: "statefulset", Name: "postgres", Namespace: "demo"},
		Phases: []record.Phase{
			{Name: "snapshot", Func: "CreateCSISnapshot", State: record.Pending},
			{Name: "copy", Func: "CopyVolumeData", State: record.Pending},
			{Name: "forgetSnapshot", Func: "DeleteCSISnapshot", State: record.Pending},
		},
	}
}

func phase(name, function string, state record.State, from, to float64, p *record.Progress) *record.Phase {
	ph := &record.Phase{Name: name, Func: function, State: state, Progress: p, Started: ptr(at(from))}
	if to > 0 {
		ph.Ended = ptr(at(to))
	}

	return ph
}

func finished(state record.State, change func(*record.Record)) follow.Event {
	r := base()
	r.State, r.Ended = state, ptr(at(7.1))

	if change != nil {
		change(r)
	}

	return follow.Event{Kind: follow.Finished, Time: at(7.1), Run: demo, Record: r}
}

// good is a backup as it should be, with everything that may happen on the way.
func good() []moment {
	snapshot := &record.Progress{Message: "volume data-postgres-0, CSI snapshot: the storage system is still making it"}
	first := &record.Progress{Message: "volume data-postgres-0", BytesDone: 512 << 20, BytesTotal: 1300000000, FilesDone: 1204, Rate: 325058560, Percent: ptr(41)}
	last := &record.Progress{Message: "volume data-postgres-0", BytesDone: 1300000000, BytesTotal: 1300000000, BytesNew: 222298112, FilesDone: 4812, FilesTotal: 4812, Rate: 325058560}
	problem := &diagnose.Problem{
		Object: "pod/backup-postgres-7f3k2-x", Namespace: "demo", Reason: "Unschedulable",
		Message: "0/1 nodes are available: 1 Insufficient memory.", Hint: "kubectl describe pod backup-postgres-7f3k2-x -n demo",
	}
	copying := phase("copy", "CopyVolumeData", record.Running, 2.5, 0, first)

	return []moment{
		{0, follow.Event{Kind: follow.Attached, Time: at(0), Record: base()}},
		{0.5, follow.Event{Kind: follow.PodProblem, Time: at(0.5), Problem: problem}},
		{0.8, follow.Event{Kind: follow.PodRecovered, Time: at(0.8), Problem: problem, Message: problem.Object + ": no longer Unschedulable"}},
		{1, follow.Event{Kind: follow.RunStarted, Time: at(1)}},
		{1, follow.Event{Kind: follow.PhaseStarted, Time: at(1), Phase: phase("snapshot", "CreateCSISnapshot", record.Running, 1, 0, nil)}},
		{2.2, follow.Event{Kind: follow.PhaseEnded, Time: at(2.2), Phase: phase("snapshot", "CreateCSISnapshot", record.Complete, 1, 2.2, snapshot)}},
		{2.5, follow.Event{Kind: follow.PhaseStarted, Time: at(2.5), Phase: phase("copy", "CopyVolumeData", record.Running, 2.5, 0, nil)}},
		{4, follow.Event{Kind: follow.Progress, Time: at(4), Phase: copying}},
		{4.2, follow.Event{Kind: follow.Disconnected, Time: at(4.2), Message: "connection refused"}},
		{4.9, follow.Event{Kind: follow.Reconnected, Time: at(4.9)}},
		{5, follow.Event{Kind: follow.Warning, Time: at(5), Message: "3 files changed while they were read\x1b[31m\r\nand more"}},
		{6, follow.Event{Kind: follow.Note, Time: at(6), Message: "copy: repository opened"}},
		{6.5, follow.Event{Kind: follow.PhaseEnded, Time: at(6.5), Phase: phase("copy", "CopyVolumeData", record.Complete, 2.5, 6.5, last)}},
		{6.6, follow.Event{Kind: follow.PhaseStarted, Time: at(6.6), Defer: true, Phase: phase("forgetSnapshot", "DeleteCSISnapshot", record.Running, 6.6, 0, nil)}},
		{7, follow.Event{Kind: follow.PhaseEnded, Time: at(7), Defer: true, Phase: phase("forgetSnapshot", "DeleteCSISnapshot", record.Complete, 6.6, 7, nil)}},
		{7.1, finished(record.Complete, func(r *record.Record) { r.Warnings = []string{"3 files changed while they were read"} })},
	}
}

// bad is a backup that fails with all the evidence there may be.
func bad() []moment {
	failure := &record.Failure{
		Phase: "copy", Func: "CopyVolumeData", Message: "opening the repository: invalid password", Reason: "WrongPassword", Exit: ptr(137),
		Pod:      &record.PodRef{Namespace: "demo", Name: "backup-postgres-7f3k2-copy"},
		LastLogs: []string{"opening s3://backups", "ERROR invalid \x1b[1mpassword"}, Events: []string{"BackOff: Back-off restarting"},
		Hint: "kubectl kanister profile check backups -n demo",
	}
	failed := phase("copy", "CopyVolumeData", record.Failed, 2.5, 3.3, nil)
	failed.Error = failure

	return []moment{
		{0, follow.Event{Kind: follow.Attached, Time: at(0), Record: base()}},
		{1, follow.Event{Kind: follow.PhaseStarted, Time: at(1), Phase: phase("snapshot", "CreateCSISnapshot", record.Running, 1, 0, nil)}},
		{2.2, follow.Event{Kind: follow.PhaseEnded, Time: at(2.2), Phase: phase("snapshot", "CreateCSISnapshot", record.Complete, 1, 2.2, nil)}},
		{2.5, follow.Event{Kind: follow.PhaseStarted, Time: at(2.5), Phase: phase("copy", "CopyVolumeData", record.Running, 2.5, 0, nil)}},
		{3.3, follow.Event{Kind: follow.PhaseEnded, Time: at(3.3), Phase: failed}},
		{3.4, follow.Event{Kind: follow.PhaseEnded, Time: at(3.4), Phase: &record.Phase{Name: "forgetSnapshot", Func: "DeleteCSISnapshot", State: record.Skipped}}},
		{7.1, finished(record.Failed, func(r *record.Record) {
			r.Error = failure
			r.DeferError = &record.Failure{Phase: "cleanUp", Func: "KubeTask", Message: "no node"}
			r.Undo = []record.Undo{{Key: "a", Text: "scale statefulset demo/postgres 0→1", Done: true}, {Key: "b", Text: "delete claim demo/clone", Failed: "forbidden"}}
		})},
	}
}

func cancelled() []moment {
	return []moment{
		{0, follow.Event{Kind: follow.Attached, Time: at(0), Record: base()}},
		{7.1, finished(record.Cancelled, func(r *record.Record) { r.CancelReason = "maintenance" })},
	}
}

// screen is as much of a terminal as the terminal twin uses.
type screen struct {
	lines []string
	row   int
}

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)

	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexAny(text, "AJ")
			n, _ := strconv.Atoi(text[2:end])

			switch text[end] {
			case 'A':
				s.row -= n
			case 'J':
				s.lines = s.lines[:s.row]
			}

			text = text[end+1:]
		case text[0] == '\r':
			text = text[1:]
		default:
			line, rest, _ := strings.Cut(text, "\n")
			s.lines = append(s.lines[:s.row], line)
			s.row++
			text = rest
		}
	}

	return len(p), nil
}

func play(options Options, show renderer, script []moment) {
	fake, _ := options.Clock.(*clocktesting.FakeClock)

	for _, m := range script {
		fake.SetTime(at(m.seconds))

		m.event.Run = demo
		show.Event(m.event)
		show.Tick(at(m.seconds))
	}
}

func options(out *bytes.Buffer) Options {
	return Options{
		Streams: genericiooptions.IOStreams{Out: out, ErrOut: out}, Clock: clocktesting.NewFakeClock(epoch),
		Warnings: []string{"the volume is copied live"}, Commands: Commands{Default: "default"},
	}
}

func TestTerminal(t *testing.T) {
	for _, width := range []int{120, 50} {
		for name, script := range map[string][]moment{"good": good(), "bad": bad(), "cancelled": cancelled()} {
			t.Run(fmt.Sprintf("%s at %d", name, width), func(t *testing.T) {
				o := options(&bytes.Buffer{})
				s := &screen{}
				o.Streams.ErrOut = s
				twin := newTerminal(o, 1)
				twin.size = func() (int, int) { return width, 24 }

				var frames strings.Builder

				fake, _ := o.Clock.(*clocktesting.FakeClock)
				for _, m := range script {
					fake.SetTime(at(m.seconds))

					m.event.Run = demo
					twin.Event(m.event)
					twin.Tick(at(m.seconds))

					if twin.painted > 0 {
						live := s.lines[len(s.lines)-1]
						fmt.Fprintf(&frames, "%5.1f %s\n", m.seconds, live)

						if n := visible(live); n >= width {
							t.Errorf("the live line is %d wide, the terminal %d: %q", n, width, live)
						}
					}
				}

				twin.Close()
				golden(t, fmt.Sprintf("terminal-%s-%d.txt", name, width),
					strings.Join(s.lines, "\n")+"\n\n--- live lines ---\n"+frames.String())
			})
		}
	}
}

func TestTerminalManyRuns(t *testing.T) {
	o := options(&bytes.Buffer{})
	s := &screen{}
	o.Streams.ErrOut = s
	twin := newTerminal(o, 30)
	twin.size = func() (int, int) { return 80, 10 }

	for i := range 30 {
		ref := follow.Ref{Namespace: "demo", Name: fmt.Sprintf("backup-app%02d-xxxxx", i)}
		twin.Event(follow.Event{Kind: follow.Attached, Time: epoch, Run: ref, Record: base()})

		if twin.painted > 8 {
			t.Fatalf("%d live lines on a terminal of 10 lines", twin.painted)
		}
	}

	twin.Close()

	if len(s.lines) < 30 || twin.painted != 0 {
		t.Errorf("%d lines, %d live ones after Close", len(s.lines), twin.painted)
	}
}

func TestPlain(t *testing.T) {
	for name, script := range map[string][]moment{"good": good(), "bad": bad(), "cancelled": cancelled()} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer

			o := options(&out)
			play(o, newPlain(o, 1), script)
			golden(t, "plain-"+name+".txt", out.String())

			if strings.ContainsAny(out.String(), "\x1b\r") {
				t.Error("there are escape sequences in plain lines")
			}
		})
	}
}

func TestPlainThinsOutProgress(t *testing.T) {
	var out bytes.Buffer

	o := options(&out)
	fake, _ := o.Clock.(*clocktesting.FakeClock)
	twin := newPlain(o, 1)

	for i := range 100 {
		fake.SetTime(at(float64(i)))
		twin.Event(follow.Event{Kind: follow.Progress, Run: demo, Time: at(float64(i)), Phase: phase("copy", "F", record.Running, 0, 0, &record.Progress{BytesDone: int64(i + 1)})})
	}

	if lines := strings.Count(out.String(), "\n"); lines != 10 {
		t.Errorf("%d progress lines in 100 s, want 10", lines)
	}
}

func TestJSONLines(t *testing.T) {
	for name, script := range map[string][]moment{"good": good(), "bad": bad()} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer

			o := options(&out)
			play(o, newJSONLines(o), script)
			golden(t, "json-"+name+".jsonl", out.String())
		})
	}
}

func TestLeft(t *testing.T) {
	var out bytes.Buffer

	last := base()
	last.Phases[1].State = record.Running

	for _, why := range []error{
		fmt.Errorf("%w: %w", follow.ErrStopped, errTimeout),
		fmt.Errorf("%w: %w", follow.ErrStopped, errors.New("interrupt signal received")),
		fmt.Errorf("%w: %q in namespace %q", follow.ErrNotFound, demo.Name, demo.Namespace),
		&follow.CannotStartError{Ref: demo, Problem: diagnose.Problem{Object: "job/x", Namespace: "demo", Reason: diagnose.Quota, Message: "exceeded quota", Hint: "kubectl describe quota -n demo"}},
		fmt.Errorf("%w while run %q was running", follow.ErrGone, demo.Name),
	} {
		o := options(&out)
		newPlain(o, 1).Left(demo, last, why)
		o.Clock.Sleep(0)
		newJSONLines(o).Left(demo, last, why)
		fmt.Fprintln(&out)
	}

	golden(t, "left.txt", out.String())
}

func TestOutcome(t *testing.T) {
	done := func(state record.State) follow.Result {
		return follow.Result{Ref: demo, Record: &record.Record{State: state}}
	}
	failed := func(err error) follow.Result { return follow.Result{Ref: demo, Err: err} }
	timeout := failed(fmt.Errorf("%w: %w", follow.ErrStopped, errTimeout))

	for name, test := range map[string]struct {
		results []follow.Result
		want    exit.Code
	}{
		"complete":                  {[]follow.Result{done(record.Complete)}, exit.Done},
		"failed":                    {[]follow.Result{done(record.Failed)}, exit.RunFailed},
		"cancelled":                 {[]follow.Result{done(record.Cancelled)}, exit.RunFailed},
		"all failed":                {[]follow.Result{done(record.Failed), done(record.Cancelled)}, exit.RunFailed},
		"some failed":               {[]follow.Result{done(record.Failed), done(record.Complete)}, exit.SomeFailed},
		"some failed, some go on":   {[]follow.Result{done(record.Failed), timeout}, exit.SomeFailed},
		"timeout":                   {[]follow.Result{timeout}, exit.StillRunning},
		"timeout and complete":      {[]follow.Result{timeout, done(record.Complete)}, exit.StillRunning},
		"interrupted":               {[]follow.Result{failed(follow.ErrStopped)}, exit.Interrupted},
		"interrupted beside failed": {[]follow.Result{done(record.Failed), failed(follow.ErrStopped)}, exit.Interrupted},
		"cannot start":              {[]follow.Result{failed(&follow.CannotStartError{})}, exit.RunFailed},
		"not found":                 {[]follow.Result{failed(follow.ErrNotFound)}, exit.Usage},
		"forbidden":                 {[]follow.Result{failed(follow.ErrForbidden)}, exit.NotPermitted},
		"record gone":               {[]follow.Result{failed(follow.ErrGone)}, exit.ToolFailed},
	} {
		t.Run(name, func(t *testing.T) {
			err := Outcome(test.results)
			if got := exit.Of(err); got != test.want {
				t.Errorf("code %d, want %d", got, test.want)
			}

			if coded := new(exit.Error); err != nil && (!errors.As(err, &coded) || !coded.Reported) {
				t.Error("the error is not marked as reported: it would be told twice")
			}
		})
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 17: "17 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB", 1299227607: "1.21 GiB", 325058560: "310 MiB",
		1023 << 20: "1 GiB", 999 << 20: "999 MiB", 10 << 30: "10 GiB", 99_900 << 20: "97.6 GiB", 1 << 62: "4 EiB", -2048: "-2 KiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}

	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 4812: "4 812", 1234567: "1 234 567", -1234: "-1 234"} {
		if got := strings.ReplaceAll(Count(n), thin, " "); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}

	for d, want := range map[time.Duration]string{
		0: "0.0s", -time.Second: "0.0s", 340 * time.Millisecond: "0.3s", 9960 * time.Millisecond: "10s", 42 * time.Second: "42s", 59600 * time.Millisecond: "1m00s",
		187 * time.Second: "3m07s", 125 * time.Minute: "2h05m", 76 * time.Hour: "3d04h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%s) = %q, want %q", d, got, want)
		}
	}

	for text, want := range map[string]string{"a\tb": "a b", "\x1b[31mred": "red", "ok": "ok", "x\x00\u009by\n": "x  y"} {
		if got := Clean(text); got != want {
			t.Errorf("Clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFlagsMode(t *testing.T) {
	streams := genericiooptions.IOStreams{Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}}

	for word, want := range map[string]Mode{"auto": Plain, "": Plain, "plain": Plain, "terminal": Terminal, "json": JSON, "none": None} {
		if got, err := (&Flags{progress: word}).Mode(streams); err != nil || got != want {
			t.Errorf("--progress=%s: %q, %v, want %q", word, got, err, want)
		}
	}

	if _, err := (&Flags{progress: "fancy"}).Mode(streams); exit.Of(err) != exit.Usage {
		t.Errorf("--progress=fancy: %v, want a usage error", err)
	}
}

func TestPaletteHonoursNoColor(t *testing.T) {
	if got := (Palette{on: true}).Good("x"); got != "\x1b[32mx\x1b[0m" {
		t.Errorf("coloured: %q", got)
	}

	if got := PaletteFor(&bytes.Buffer{}).Good("x"); got != "x" {
		t.Errorf("no terminal: %q", got)
	}
}
