package app

import (
	"io"
	"strings"
	"sync"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/kubectl-kanister/kubectl-kanister/runner/engine"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// logger writes the runner's log: one line each, time, phase, source, text. Everything passes the redactor.
type logger struct {
	mu       sync.Mutex
	out      io.Writer
	clock    clock.PassiveClock
	redactor *record.Redactor
}

func newLogger(out io.Writer, c clock.PassiveClock, redactor *record.Redactor) *logger {
	l := &logger{out: out, clock: c, redactor: redactor}

	// client-go's own words go the same way.
	klog.LogToStderr(false)
	klog.SetOutput(lineWriter{l})

	return l
}

// Line writes a line of the engine.
func (l *logger) Line(line engine.Line) {
	var b strings.Builder

	b.WriteString(line.Time.UTC().Format("2006-01-02T15:04:05.000Z"))

	if line.Warning {
		b.WriteString(" !")
	}

	if label := strings.TrimSpace(line.Phase + " " + line.Source); label != "" {
		b.WriteString(" [" + label + "]")
	}

	// A worker's line break must not forge a line of ours.
	text := strings.ReplaceAll(strings.TrimRight(line.Text, "\r\n"), "\n", "\n    ")
	b.WriteString(" " + l.redactor.String(text) + "\n")

	l.mu.Lock()
	defer l.mu.Unlock()

	_, _ = io.WriteString(l.out, b.String()) // a log that cannot be written must not end a backup
}

// Info and Error write the runner's own words.
func (l *logger) Info(text string) { l.Line(engine.Line{Time: l.clock.Now(), Text: text}) }

func (l *logger) Error(text string) {
	l.Line(engine.Line{Time: l.clock.Now(), Text: text, Warning: true})
}

// lineWriter is the logger as klog sees it.
type lineWriter struct{ logger *logger }

func (w lineWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		w.logger.Info("client: " + strings.TrimSpace(line))
	}

	return len(p), nil
}

// warnings are those that the API server sends with its answers.
type warnings struct{ logger *logger }

// HandleWarningHeader implements rest.WarningHandler.
func (w warnings) HandleWarningHeader(code int, _, text string) {
	if code == 299 && text != "" {
		w.logger.Info("API server: " + text)
	}
}
