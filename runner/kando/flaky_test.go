package kando

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// flaky passes connections on to a store, and breaks them.
type flaky struct {
	to string
	// each connection is reset after that many bytes to the store, as long as resets are left; from total on there is no store.
	after, total int64
	resets       atomic.Int64
	passed       atomic.Int64
	broken       atomic.Int64
}

// listen gives the address that stands for the store's.
func (f *flaky) listen(t *testing.T) string {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	var (
		all   sync.WaitGroup
		conns sync.Map
	)

	t.Cleanup(func() {
		_ = listener.Close()
		conns.Range(func(conn, _ any) bool { // the SDK keeps some
			_ = conn.(net.Conn).Close()

			return true
		})
		all.Wait()
	})

	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			conns.Store(conn, nil)
			all.Go(func() { f.pass(conn) })
		}
	})

	return listener.Addr().String()
}

func (f *flaky) gone() bool { return f.total > 0 && f.passed.Load() >= f.total }

func (f *flaky) pass(conn net.Conn) {
	defer conn.Close() // whatever came

	if f.gone() {
		f.cut(conn)

		return
	}

	store, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer store.Close() // as above

	go func() { // ends with either connection
		_, _ = io.Copy(conn, store)
		_ = conn.Close()
	}()

	buffer := make([]byte, 64<<10)

	for mine := int64(0); ; {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}

		mine += int64(n)
		f.passed.Add(int64(n))

		if f.gone() || f.after > 0 && mine > f.after && f.resets.Add(-1) >= 0 {
			f.cut(conn)

			return
		}

		if _, err := store.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// cut ends a connection as a firewall does.
func (f *flaky) cut(conn net.Conn) {
	f.broken.Add(1)
	println("cut", time.Now().String())

	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// TestFlakyStore pushes and pulls over connections that break in the middle of parts, and to a store that goes away.
func TestFlakyStore(t *testing.T) {
	server := locationtest.Versitygw(t)
	server.Bucket(t, "bucket-1")

	through := func(f *flaky) string {
		t.Helper()

		f.to = strings.TrimPrefix(server.Endpoint, "https://")
		profile := server.Profile("bucket-1", "")
		profile.Location.Endpoint = "https://" + f.listen(t)

		return asJSON(t, profile)
	}
	content := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), 60<<20) }

	broken := &flaky{after: 5 << 20}
	broken.resets.Store(6)

	profile := through(broken)
	if got := run(t, content(), "location", "push", "-p", profile, "-s", "resumed", "-"); got.code != 0 || got.err != "" {
		t.Errorf("%+v", got)
	}

	if broken.broken.Load() < 5 {
		t.Errorf("%d connections broke: the test proves nothing", broken.broken.Load())
	}

	want, err := io.ReadAll(content())
	if err != nil {
		t.Fatal(err)
	}

	if got, err := os.ReadFile(filepath.Join(server.Dir, "bucket-1", "resumed")); err != nil || string(got) != string(want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	away := &flaky{total: 30 << 20}
	o := newLocationOptions(Streams{In: content()})
	o.profile, o.path = through(away), "resumed"
	o.open = func(ctx context.Context, p *params.Profile) (location.Store, error) {
		return location.Open(ctx, p, location.Attempts(2)) // eight take two minutes
	}

	if err := o.do(t.Context(), func(at place) error { return at.push(t.Context(), o, "-") }); err == nil || !strings.Contains(err.Error(), "bucket-1/resumed") {
		t.Errorf("a store that went away: %v", err)
	}

	// The one from before is whole.
	if got, err := os.ReadFile(filepath.Join(server.Dir, "bucket-1", "resumed")); err != nil || string(got) != string(want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
