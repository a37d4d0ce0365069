package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

const (
	maxName   = 24 // phase names are padded up to this width
	minDetail = 16 // below this room for details a name is not padded
	noWidth   = 80 // when the terminal does not tell
)

// terminal writes what is over as lasting lines, and keeps a live region of one line per running phase below them.
type terminal struct {
	sayer
	out      io.Writer
	size     func() (width, height int)
	now      time.Time
	clock    func() time.Time
	runs     map[follow.Ref]*liveRun
	order    []follow.Ref
	many     bool
	warnings []string
	quiet    bool
	painted  int // lines of the live region now on the screen
	frame    int
}

// liveRun is what the live region shows of one run.
type liveRun struct {
	nameWidth int
	waiting   string // shown before the first phase
	since     time.Time
	phase     *record.Phase
	deferred  bool
	problem   string
	offline   bool
	over      bool
}

func newTerminal(o Options, runs int) *terminal {
	t := &terminal{
		sayer: sayer{Palette: PaletteFor(o.Streams.ErrOut), commands: o.Commands}, out: o.Streams.ErrOut, clock: o.Clock.Now,
		now: o.Clock.Now(), runs: map[follow.Ref]*liveRun{}, many: runs > 1, warnings: o.Warnings, quiet: o.Quiet,
		size: func() (int, int) { return noWidth, 24 },
	}

	if fd, ok := terminalOf(o.Streams.ErrOut); ok {
		t.size = func() (int, int) {
			width, height, err := term.GetSize(fd)
			if err != nil || width <= 0 {
				return noWidth, 24
			}

			return width, height
		}
	}

	return t
}

func (t *terminal) run(ref follow.Ref) *liveRun {
	live := t.runs[ref]
	if live == nil {
		live = &liveRun{since: t.clock()}
		t.runs[ref] = live
		t.order = append(t.order, ref)
	}

	return live
}

func (t *terminal) Event(e follow.Event) {
	live := t.run(e.Run)
	t.now = t.clock()

	var lasting []string

	switch e.Kind {
	case follow.Attached:
		live.waiting = "waiting for the runner to start"
		live.nameWidth = nameWidth(e.Record)

		if !t.quiet {
			lasting = append(lasting, t.wrap("", t.Bold("run/"+e.Run.Name)+"   ", strings.Split(facts(e.Record), " · "))...)
		}

		for _, text := range t.warnings {
			lasting = append(lasting, "  "+t.Warn("!")+" "+Clean(text))
		}
	case follow.RunStarted:
		live.waiting, live.problem = "starting", ""
	case follow.PhaseStarted:
		live.phase, live.deferred, live.since, live.problem = e.Phase, e.Defer, t.clock(), ""
	case follow.Progress:
		live.phase, live.deferred = e.Phase, e.Defer
	case follow.PhaseEnded:
		live.phase, live.since, live.problem, live.waiting = nil, t.clock(), "", "between two phases"
		lasting = t.ended(live, e)
	case follow.Warning:
		lasting = []string{"  " + t.Warn("!") + " " + Clean(e.Message)}
	case follow.Note:
		lasting = []string{"  " + t.Dim("· "+Clean(e.Message))}
	case follow.PodProblem:
		live.problem = e.Problem.Reason

		for _, text := range t.problem(e.Problem) {
			lasting = append(lasting, "  "+text)
		}
	case follow.PodRecovered:
		live.problem = ""
		lasting = []string{"  " + t.Dim("· "+Clean(e.Message))}
	case follow.Disconnected:
		live.offline = true
	case follow.Reconnected:
		live.offline = false
	case follow.Finished:
		live.over = true
		lasting = t.outcome(e.Run, e.Record)
	case follow.Lost:
		live.over = true
	}

	if t.many && len(lasting) > 0 && e.Kind != follow.Attached && e.Kind != follow.Finished {
		lasting[0] = t.Dim(e.Run.Name) + " " + strings.TrimLeft(lasting[0], " ")
	}

	t.repaint(lasting)
}

func nameWidth(r *record.Record) int {
	width := 0
	for _, phase := range r.Phases {
		width = max(width, utf8.RuneCountInString(phase.Name))
	}

	if r.Defer != nil {
		width = max(width, utf8.RuneCountInString(r.Defer.Name))
	}

	return min(width, maxName)
}

func (t *terminal) ended(live *liveRun, e follow.Event) []string {
	head := "  " + t.mark(e.Phase.State) + " " + t.name(live, e.Phase.Name) + "  "
	parts := phaseParts(e.Phase)

	if e.Defer {
		parts = append([]string{"deferPhase"}, parts...)
	}

	return t.wrap(strings.Repeat(" ", live.nameWidth+6), head, parts)
}

func (t *terminal) name(live *liveRun, name string) string {
	name = Clean(name)
	if width, _ := t.size(); width < live.nameWidth+6+minDetail {
		return name
	}

	if pad := live.nameWidth - utf8.RuneCountInString(name); pad > 0 {
		return name + strings.Repeat(" ", pad)
	}

	return name
}

// wrap joins parts by " · " and breaks the line between two of them where the terminal ends.
func (t *terminal) wrap(indent, head string, parts []string) []string {
	width, _ := t.size()
	if len(indent) > width/2 {
		indent = "    "
	}

	var (
		lines []string
		line  = head
		empty = true
	)

	for _, part := range parts {
		switch {
		case empty:
			line += part
			empty = false
		case visible(line)+3+utf8.RuneCountInString(part) <= width:
			line += " · " + part
		default:
			lines = append(lines, line+" ·")
			line = indent + part
		}
	}

	return append(lines, strings.TrimRight(line, " "))
}

// live is the one live line of a run.
func (t *terminal) live(ref follow.Ref, live *liveRun, width int) string {
	head := "  " + spinner[t.frame%len(spinner)] + " "
	if t.many {
		head += ref.Name + " "
	}

	var parts []string

	if live.phase != nil {
		head += t.name(live, live.phase.Name) + "  "
		parts = progressParts(live.phase.Progress)
	} else {
		parts = []string{live.waiting}
	}

	if live.problem != "" {
		parts = append([]string{live.problem}, parts...)
	}

	if live.offline {
		parts = []string{"the API server does not answer, trying again; the run goes on"}
	}

	elapsed := Duration(t.now.Sub(live.since).Truncate(100 * time.Millisecond))

	// The time is always shown; of the rest the last goes first when the line is narrow.
	for {
		text := head + strings.Join(append(slices.Clone(parts), elapsed), " · ")
		if utf8.RuneCountInString(text) < width || len(parts) == 0 {
			return cut(text, width-1)
		}

		parts = parts[:len(parts)-1]
	}
}

func cut(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}

	return string([]rune(text)[:max(width-1, 0)]) + "…"
}

// visible is the width of text without its colours.
func visible(text string) int {
	n, escape := 0, false

	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			n++
		}
	}

	return n
}

// repaint writes lasting lines above the live region and draws that anew, in one write.
func (t *terminal) repaint(lasting []string) {
	var b strings.Builder

	if t.painted > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.painted)
	}

	b.WriteString("\r\x1b[J")

	for _, line := range lasting {
		b.WriteString(line + "\n")
	}

	width, height := t.size()
	t.painted = 0

	for _, ref := range t.order {
		live := t.runs[ref]
		if live.over || live.waiting == "" {
			continue
		}

		if t.painted >= max(height-2, 1) {
			break
		}

		b.WriteString(t.live(ref, live, width) + "\n")
		t.painted++
	}

	_, _ = io.WriteString(t.out, b.String()) // a terminal that is gone is no reason to stop
}

func (t *terminal) Tick(now time.Time) {
	t.now = now
	t.frame++

	if t.painted > 0 {
		t.repaint(nil)
	}
}

func (t *terminal) Left(ref follow.Ref, last *record.Record, why error) {
	t.run(ref).over = true
	t.repaint(t.left(ref, last, why))
}

func (t *terminal) Close() {
	for _, live := range t.runs {
		live.over = true
	}

	if t.painted > 0 {
		t.repaint(nil)
	}
}
