package kando

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shared is a buffer for several.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.String()
}

// serveProcesses is a process server, until the test ends or stop is called, which gives its exit code.
func serveProcesses(t *testing.T) (address string, log *shared, stop func() int) {
	t.Helper()

	address, log = filepath.Join(t.TempDir(), "s"), &shared{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)

	go func() {
		done <- Main(ctx, []string{"process", "server", "-a", address}, Streams{Out: log, ErrOut: log}, "")
	}()

	waitForSocket(t, address)

	stop = sync.OnceValue(func() int {
		cancel()

		return <-done
	})

	t.Cleanup(func() { stop() })

	return address, log, stop
}

func waitForSocket(t *testing.T, address string) {
	t.Helper()

	for range 1000 {
		if conn, err := net.Dial("unix", address); err == nil {
			_ = conn.Close()

			return
		}

		time.Sleep(5 * time.Millisecond)
	}

	t.Fatalf("no server listens on %q", address)
}

func TestProcess(t *testing.T) {
	address, log, stop := serveProcesses(t)
	client := func(args ...string) ran {
		t.Helper()

		return run(t, nil, append([]string{"process", "client", "-a", address}, args...)...)
	}

	// What it writes, on both streams, and how it ends.
	got := client("-q", "execute", "-x", "sh", "-c", "echo out; echo err >&2; echo ü; exit 7")
	if got != (ran{7, "out\nü\n", "err\n"}) {
		t.Errorf("%+v", got)
	}

	if got := client("-q", "execute", "sh", "-c", "exit 7"); got != (ran{0, "", ""}) {
		t.Errorf("without --exit-proxy: %+v", got)
	}

	if got := client("-q", "execute", "-x", "sh", "-c", "kill -9 $$"); got.code != ExitError || !strings.Contains(got.err, "signal: killed") {
		t.Errorf("killed: %+v", got)
	}

	if got := client("-q", "execute", "no-such-program"); got.code != 15+2 || !strings.Contains(got.err, "no-such-program") {
		t.Errorf("no program: %+v", got)
	}

	if text := log.String(); !strings.Contains(text, "out\n") || !strings.Contains(text, "err\n") {
		t.Errorf("the server's log: %q", text)
	}

	// One that is started and looked at.
	var p struct{ Pid, State, ExitCode, ExitErr string }

	look := func(args ...string) {
		t.Helper()

		p.State, p.ExitCode, p.ExitErr = "", "", ""

		if got := client(args...); got.code != 0 || json.Unmarshal([]byte(got.out), &p) != nil {
			t.Fatalf("%q: %+v", args, got)
		}
	}

	look("-j", "create", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.02; done")

	if p.State != "PROCESS_STATE_RUNNING" {
		t.Errorf("%+v", p)
	}

	if got := client("get", p.Pid); got.code != 0 || !strings.HasPrefix(got.out, "Process: ") || !strings.Contains(got.out, p.Pid) {
		t.Errorf("%+v", got)
	}

	following := make(chan ran, 1)
	reader, writer := io.Pipe()

	go func() {
		var errOut bytes.Buffer

		code := Main(context.Background(), []string{"process", "client", "-a", address, "output", "-p", "-x", p.Pid}, Streams{Out: writer, ErrOut: &errOut}, "")
		_ = writer.Close()
		following <- ran{code: code, err: errOut.String()}
	}()

	beginning := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(reader, beginning); err != nil || string(beginning) != "ready\n" {
		t.Fatalf("%q %v", beginning, err)
	}

	// A signal to kando goes to the process.
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}

	if rest, err := io.ReadAll(reader); err != nil || string(rest) != "bye\n" {
		t.Errorf("%q %v", rest, err)
	}

	if got := <-following; got.code != 3 || got.err != "" {
		t.Errorf("%+v", got)
	}

	look("-j", "get", p.Pid)

	if p.State != "PROCESS_STATE_FAILED" || p.ExitCode != "3" || p.ExitErr != "exit status 3" {
		t.Errorf("%+v", p)
	}

	// Its output is there for everybody, as often as wanted.
	for range 2 {
		if got := client("output", p.Pid); got != (ran{0, "ready\nbye\n", ""}) {
			t.Errorf("%+v", got)
		}
	}

	if got := client("list"); got.code != 0 || strings.Count(got.out, "Process:") != 4 {
		t.Errorf("%+v", got)
	}

	for _, args := range [][]string{{"get", "1"}, {"signal", "1", "15"}, {"output", "1"}} {
		if got := client(args...); got.code != ExitError || !strings.Contains(got.err, "Process not found") {
			t.Errorf("%q: %+v", args, got)
		}
	}

	if got := client("get", "x"); got.code != ExitError || !strings.Contains(got.err, `PID is "x"`) {
		t.Errorf("%+v", got)
	}

	// Much output, slowly read by nobody: the process is not held up.
	if got := client("-q", "execute", "sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x"); got.code != 0 || len(got.out) != 20000000 {
		t.Errorf("%d, %d bytes, %q", got.code, len(got.out), got.err)
	}

	// Another server does not take the socket away; one that is told to end ends its processes.
	if got := run(t, nil, "process", "server", "-a", address); got.code != ExitError || !strings.Contains(got.err, "another server") {
		t.Errorf("%+v", got)
	}

	look("-j", "create", "sleep", "1000")

	if code := stop(); code != 0 {
		t.Errorf("the server ended with %d: %s", code, log.String())
	}

	if got := client("-q", "execute", "true"); got.code != 15+14 {
		t.Errorf("without a server: %+v", got)
	}
}
