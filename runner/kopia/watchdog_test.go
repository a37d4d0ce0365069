package kopia_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// wire is a TCP proxy that can go dead, as a network or a stopped process does: nothing is refused, nothing is answered.
type wire struct {
	net.Listener

	mu    sync.Mutex
	old   chan struct{} // closed: the connections that there are go dead
	fresh chan struct{} // closed: new ones are dead from the start
	conns []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // of a test
	if err != nil {
		t.Fatal(err)
	}

	w := &wire{Listener: listener, old: make(chan struct{}), fresh: make(chan struct{})}

	t.Cleanup(func() { _ = listener.Close() })

	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}

			t.Cleanup(func() { _ = in.Close() })

			select {
			case <-w.fresh:
				continue
			default:
			}

			out, err := net.Dial("tcp", to) //nolint:noctx // of a test
			if err != nil {
				_ = in.Close()

				continue
			}

			t.Cleanup(func() { _ = out.Close() })

			w.mu.Lock()
			dead := w.old
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()

			go pass(out, in, dead)
			go pass(in, out, dead)
		}
	}()

	return w
}

func pass(to, from net.Conn, dead chan struct{}) {
	buffer := make([]byte, 32<<10)

	for {
		n, err := from.Read(buffer)

		select {
		case <-dead:
			return
		default:
		}

		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			_ = to.Close()

			return
		}
	}
}

// freeze kills the connections that there are; later ones live.
func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()

	close(w.old)
	w.old = make(chan struct{})
}

// die kills all of them.
func (w *wire) die() {
	close(w.fresh)
	w.freeze()
}

// cut ends the connections that there are, as a server does that is killed; later ones live, as when it has been started again.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()

	for _, conn := range w.conns {
		_ = conn.Close()
	}
}

// killed cuts them, and refuses later ones.
func (w *wire) killed() {
	_ = w.Listener.Close()
	w.cut()
}

// TestServerKilled: an operation whose server goes away in the middle says that it is gone, not only that a stream ended.
func TestServerKilled(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(*wire)
		text string // none: it does not fail
		do   func(*testing.T, *kopia.Repository, func()) error
	}{
		"killed in a backup":     {(*wire).killed, "the repository server is gone", backupMeanwhile},
		"restarted in a backup":  {(*wire).cut, "the connection to the repository server was cut", backupMeanwhile},
		"killed in a restore":    {(*wire).killed, "the repository server is gone", restoreMeanwhile},
		"restarted in a restore": {(*wire).cut, "", restoreMeanwhile},
		"killed before deleting": {(*wire).killed, "the repository server is gone", deleteAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := serve(t, ofFiles(t))
			w := newWire(t, strings.TrimPrefix(s.Access.URL, "https://"))
			access := s.Access
			access.URL = "https://" + w.Addr().String()

			r, err := kopia.Open(t.Context(), kopia.Hurried(kopia.Options{Server: &access, Scratch: t.TempDir()}, 20*time.Second, 30*time.Second))
			if err != nil {
				t.Fatal(err)
			}

			began := time.Now()
			err = test.do(t, r, sync.OnceFunc(func() { test.harm(w) }))
			reason, hint := location.Explain(err)

			t.Logf("after %s: %v", time.Since(began).Round(time.Millisecond), err)

			switch {
			case test.text == "" && err == nil:
			case err == nil, reason != location.Unreachable, !strings.Contains(err.Error(), test.text), !strings.Contains(hint, "start the run again"):
				t.Errorf("%q, %v; hint %q", reason, err, hint)
			}

			_ = r.Close(t.Context())
		})
	}
}

func backupMeanwhile(t *testing.T, r *kopia.Repository, harm func()) error {
	dir := t.TempDir()
	for i := range 8 {
		noise(t, fmt.Sprintf("%s/file%d", dir, i), 16<<20)
	}

	_, err := r.Snapshot(t.Context(), kopia.Backup{
		Dir: dir, Source: kopia.Source{Namespace: "demo", Path: "/data"}, Interval: time.Millisecond,
		Progress: func(p kopia.Progress) {
			if p.BytesDone > 8<<20 {
				harm()
			}
		},
	})

	return err
}

func restoreMeanwhile(t *testing.T, r *kopia.Repository, harm func()) error {
	dir := t.TempDir()
	noise(t, dir+"/file", 64<<20)

	made, err := r.Snapshot(t.Context(), kopia.Backup{Dir: dir, Source: kopia.Source{Namespace: "demo", Path: "/data"}})
	if err != nil {
		t.Fatal(err)
	}

	_, err = r.Restore(t.Context(), kopia.Restore{
		ID: made.ID, Target: t.TempDir(), Interval: time.Millisecond,
		Progress: func(p kopia.Progress) {
			if p.BytesDone > 8<<20 {
				harm()
			}
		},
	})

	return err
}

func deleteAfter(t *testing.T, r *kopia.Repository, harm func()) error {
	dir := t.TempDir()
	noise(t, dir+"/file", 1<<20)

	made, err := r.Snapshot(t.Context(), kopia.Backup{Dir: dir, Source: kopia.Source{Namespace: "demo", Path: "/data"}})
	if err != nil {
		t.Fatal(err)
	}

	harm()

	return r.Delete(t.Context(), made.ID)
}

// TestServerHangs: no call outlives a server that is silent, in whatever it does then.
func TestServerHangs(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(*wire)
		text string
		do   func(*testing.T, *kopia.Repository) error
	}{
		"gone in a backup":      {(*wire).die, "has not answered for", snapshotOf},
		"hanging in a backup":   {(*wire).freeze, "nothing has moved for", snapshotOf},
		"gone in a listing":     {(*wire).die, "has not answered for", list},
		"hanging in a tar file": {(*wire).freeze, "nothing has moved for", tarOf},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := serve(t, ofFiles(t))
			w := newWire(t, strings.TrimPrefix(s.Access.URL, "https://"))
			access := s.Access
			access.URL = "https://" + w.Addr().String()

			r, err := kopia.Open(t.Context(), kopia.Hurried(kopia.Options{Server: &access, Scratch: t.TempDir()}, 2*time.Second, 3*time.Second))
			if err != nil {
				t.Fatal(err)
			}

			test.harm(w)

			began := time.Now()
			err = test.do(t, r)

			if err == nil || !strings.Contains(err.Error(), test.text) || location.ReasonOf(err) != location.Unreachable {
				t.Errorf("%q: %v", location.ReasonOf(err), err)
			}

			_ = r.Close(t.Context())

			// A probe of a dead wire waits for its own bound.
			if took := time.Since(began); took > 40*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func snapshotOf(t *testing.T, r *kopia.Repository) error {
	dir := t.TempDir()
	noise(t, dir+"/file", 8<<20)

	_, err := r.Snapshot(t.Context(), kopia.Backup{Dir: dir, Source: kopia.Source{Namespace: "demo", Path: "/data"}})

	return err
}

func tarOf(t *testing.T, r *kopia.Repository) error {
	_, err := r.SnapshotTar(t.Context(), kopia.Backup{Dir: "data", Source: kopia.Source{Namespace: "demo", Path: "/data"}}, silentPipe(t))

	return err
}

// silentPipe is a stream of which nothing comes.
func silentPipe(t *testing.T) io.Reader {
	in, out := io.Pipe()
	t.Cleanup(func() { _ = out.Close() })

	return in
}

func list(t *testing.T, r *kopia.Repository) error {
	_, err := r.List(t.Context())

	return err
}
