package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// record is one line of a container's log file.
type logLine struct {
	at   time.Time
	text string
}

// logServer answers log requests as a kubelet does, and breaks connections after a random number of bytes.
type logServer struct {
	mu       sync.Mutex
	lines    []logLine
	breaks   int
	requests int
	random   *rand.Rand
}

func (s *logServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.requests++

	var out bytes.Buffer

	since := time.Time{}
	if text := r.URL.Query().Get("sinceTime"); text != "" {
		since, _ = time.Parse(time.RFC3339, text)
	}

	for _, line := range s.lines {
		if !line.at.Before(since) {
			fmt.Fprintf(&out, "%s %s\n", line.at.Format(time.RFC3339Nano), line.text)
		}
	}

	if s.breaks > 0 && r.URL.Query().Get("follow") == "true" {
		s.breaks--

		cut := s.random.IntN(out.Len())
		w.Header().Set("Content-Length", fmt.Sprint(out.Len()))
		_, _ = w.Write(out.Bytes()[:cut])

		panic(http.ErrAbortHandler)
	}

	_, _ = w.Write(out.Bytes())
}

// dry tells whether no more connections will break.
func (s *logServer) dry() bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.breaks == 0
}

// Every line arrives once and whole, although the connection breaks in the middle of lines, of stamps and of long lines, stamps
// repeat and are not quite in order.
func TestFollowLosesAndDoublesNothing(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 1))
		server := &logServer{breaks: 12, random: random}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

		var want strings.Builder

		for i := range 400 {
			switch random.IntN(4) {
			case 0: // the same stamp again
			case 1:
				at = at.Add(time.Duration(random.IntN(700)) * time.Millisecond)
			default:
				at = at.Add(time.Duration(random.IntN(1000)) * time.Nanosecond)
			}

			stamp := at
			if random.IntN(10) == 0 {
				stamp = at.Add(-time.Duration(random.IntN(3000)))
			}

			text := fmt.Sprintf("line %d", i)
			if random.IntN(50) == 0 {
				text += strings.Repeat("x", 200_000)
			}

			server.lines = append(server.lines, logLine{stamp, text})
			want.WriteString(text + "\n")
		}

		got := followed(t, server)
		if got != want.String() {
			t.Fatalf("seed %d: %d bytes, want %d; %s", seed, len(got), want.Len(), firstDifference(got, want.String()))
		}

		if server.requests < 12 {
			t.Errorf("seed %d: only %d requests", seed, server.requests)
		}
	}
}

func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return fmt.Sprintf("line %d: %.60q, want %.60q", i, as[i], bs[i])
		}
	}

	return "one is longer"
}

func followed(t *testing.T, handler *logServer) string {
	t.Helper()

	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = nil
	server.Start()
	t.Cleanup(server.Close)

	client, err := NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}

	client.Clock = hurried{}

	var out bytes.Buffer

	ended := make(chan struct{})

	go func() {
		defer close(ended)

		for !handler.dry() {
			time.Sleep(time.Millisecond)
		}
	}()

	reader := &logReader{client: client, namespace: "n", pod: "p", name: "c", sink: &out}
	if err := reader.follow(t.Context(), ended); err != nil {
		t.Fatal(err)
	}

	return out.String()
}

// A sink that fails ends the reading with its own error.
func TestFollowStopsWithItsSink(t *testing.T) {
	server := httptest.NewServer(&logServer{lines: []logLine{{time.Now(), "a"}}})
	defer server.Close()

	client, err := NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}

	reader := &logReader{client: client, namespace: "n", pod: "p", name: "c", sink: failing{}}
	if err := reader.follow(context.Background(), make(chan struct{})); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("got %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortBuffer }

func TestTail(t *testing.T) {
	tail := NewTail(2)
	fmt.Fprint(tail, "one\ntwo\n\nthree\n", strings.Repeat("y", 5000))

	lines := tail.Lines()
	if len(lines) != 2 || lines[0] != "three" || len(lines[1]) > tailLine+40 || !strings.Contains(lines[1], "cut") {
		t.Errorf("%q", lines)
	}
}
