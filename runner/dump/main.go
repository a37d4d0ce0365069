package dump

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: dump FILE
Moves databases between a PostgreSQL server and an object of a location. The request is JSON; events go to stdout, one JSON object
per line. pg_dump and psql are those on the PATH.
`

// Main is the command. args are what follows the word "dump".
func Main(ctx context.Context, args []string, _ io.Reader, out, errOut io.Writer) int {
	if len(args) != 1 {
		_, _ = io.WriteString(errOut, usage)

		return exitUsage
	}

	var mu sync.Mutex

	emit := func(e Event) {
		line, err := json.Marshal(e)
		if err != nil {
			return // nothing in an Event can fail to marshal
		}

		mu.Lock()
		defer mu.Unlock()

		_, _ = out.Write(append(line, '\n'))
	}

	request, err := read(args[0])
	if err != nil {
		emit(Event{Error: &mover.Error{Message: err.Error()}})

		return exitUsage
	}

	result, err := Do(ctx, request, emit)
	if err != nil {
		emit(Event{Error: explain(err)})

		return exitFailed
	}

	emit(Event{Result: &result})

	return exitDone
}

func read(name string) (Request, error) {
	var request Request

	f, err := os.Open(name)
	if err != nil {
		return request, fmt.Errorf("reading the request: %w", err)
	}
	defer f.Close() // read only

	decoder := json.NewDecoder(f)
	decoder.DisallowUnknownFields()

	if err := decoder.Decode(&request); err != nil {
		return request, fmt.Errorf("reading the request: %w", err)
	}

	return request, nil
}

// Do does what a request asks for; emit gets the progress.
func Do(ctx context.Context, r Request, emit func(Event)) (Result, error) {
	store, err := location.Open(ctx, r.Profile.Params())
	if err != nil {
		return Result{}, err
	}
	defer store.Close() // every change was answered

	w := &work{request: r, store: store, server: server{host: r.Host, port: r.Port, user: r.User, password: r.Password}, emit: emit}

	switch r.Op {
	case OpDump:
		return w.dump(ctx)
	case OpRestore:
		return w.restore(ctx)
	default:
		return Result{}, fmt.Errorf("reading the request: unknown operation %q", r.Op)
	}
}

// work is one request being done.
type work struct {
	request Request
	store   location.Store
	server  server
	emit    func(Event)

	mu    sync.Mutex
	now   Progress
	shown time.Time
}

// at changes the progress, and shows it if it has not been shown for a while.
func (w *work) at(change func(*Progress)) {
	w.mu.Lock()
	defer w.mu.Unlock()

	before := w.now.Database
	change(&w.now)

	if now := time.Now(); w.now.Database != before || now.Sub(w.shown) >= Interval { // for the eye, decides nothing
		w.shown = now
		p := w.now
		w.emit(Event{Progress: &p})
	}
}

// Write counts bytes.
func (w *work) Write(p []byte) (int, error) {
	w.at(func(n *Progress) { n.Bytes += int64(len(p)) })

	return len(p), nil
}

// explain tells errors of the server from those of the location.
func explain(err error) *mover.Error {
	var s *serverError
	if errors.As(err, &s) {
		reason, hint := s.explain()

		return &mover.Error{Message: err.Error(), Reason: reason, Hint: hint}
	}

	reason, hint := location.Explain(err)

	return &mover.Error{Message: err.Error(), Reason: string(reason), Hint: hint}
}
