package kanx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	// chunk is how much output is sent at once; gRPC takes 4 MiB.
	chunk = 64 << 10
	// farewell is what processes get to end when the server is told to, and what is left of it for their readers.
	farewell = 10 * time.Second
)

// Server runs processes. What they write is also written to Out and ErrOut, the log of the container.
type Server struct {
	Out, ErrOut io.Writer
	// Dir is for the files with the outputs; empty means the system's.
	Dir string

	mu        sync.Mutex
	processes map[int64]*process
}

// Serve listens on a unix socket until ctx ends, and then tells the processes to end, too.
func (s *Server) Serve(ctx context.Context, address string) error {
	listener, err := listen(ctx, address)
	if err != nil {
		return err
	}

	s.Out, s.ErrOut = &locked{w: s.Out}, &locked{w: s.ErrOut}
	s.processes = map[int64]*process{}

	server := grpc.NewServer()
	server.RegisterService(&description, s)

	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})

	go func() { // ends with ctx
		defer close(stopped)
		<-ctx.Done()

		s.finish()

		last := time.AfterFunc(farewell, server.Stop) // a reader that does not read
		defer last.Stop()

		server.GracefulStop()
	}()

	err = server.Serve(listener)

	cancel()
	<-stopped

	for _, p := range s.all() {
		err = errors.Join(err, p.remove())
	}

	if err != nil {
		return fmt.Errorf("serving %q: %w", address, err)
	}

	return nil
}

// listen takes the socket over from a server that died, not from one that lives.
func listen(ctx context.Context, address string) (net.Listener, error) {
	if info, err := os.Lstat(address); err == nil && info.Mode()&fs.ModeSocket != 0 {
		var dialer net.Dialer

		conn, err := dialer.DialContext(ctx, "unix", address)
		if err == nil {
			_ = conn.Close()

			return nil, fmt.Errorf("listening on %q: another server does", address)
		}

		if errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(address)
		}
	}

	var config net.ListenConfig

	listener, err := config.Listen(ctx, "unix", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", address, err)
	}

	return listener, nil
}

// finish ends all processes: SIGTERM, and SIGKILL for those that do not heed it.
func (s *Server) finish() {
	all := s.all()
	for _, p := range all {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}

	limit := time.NewTimer(farewell)
	defer limit.Stop()

	for _, p := range all {
		select {
		case <-p.done:
		case <-limit.C:
			for _, p := range all {
				_ = p.cmd.Process.Kill()
			}

			return
		}
	}
}

// all are the processes, in the order of their PIDs.
func (s *Server) all() []*process {
	s.mu.Lock()
	defer s.mu.Unlock()

	var all []*process
	for _, pid := range slices.Sorted(maps.Keys(s.processes)) {
		all = append(all, s.processes[pid])
	}

	return all
}

func (s *Server) find(request *dynamicpb.Message) (*process, error) {
	pid := number(request, "pid")

	s.mu.Lock()
	defer s.mu.Unlock()

	p, ok := s.processes[pid]
	if !ok {
		// Upstream's has no code of its own for this, and its clients then end with 15 + Unknown.
		return nil, status.Errorf(codes.Unknown, "Process not found: this server has started no process %d", pid)
	}

	return p, nil
}

func (s *Server) create(request *dynamicpb.Message) (Process, error) {
	var args []string

	list := request.Get(request.Descriptor().Fields().ByName("args")).List()
	for i := range list.Len() {
		args = append(args, list.Get(i).String())
	}

	p, err := start(s.Dir, text(request, "name"), args, s.Out, s.ErrOut)
	if err != nil {
		return Process{}, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	pid := int64(p.cmd.Process.Pid)
	if old := s.processes[pid]; old != nil { // the number has come round
		_ = old.remove()
	}

	s.processes[pid] = p

	return Process{PID: pid, State: Running}, nil
}

func (s *Server) signal(request *dynamicpb.Message) (Process, error) {
	p, err := s.find(request)
	if err != nil {
		return Process{}, err
	}

	if err := p.cmd.Process.Signal(syscall.Signal(number(request, "signal"))); err != nil {
		return Process{}, fmt.Errorf("sending signal %d to process %d: %w", number(request, "signal"), p.cmd.Process.Pid, err)
	}

	return p.describe(), nil
}

// follow sends what a process writes until it has ended.
func follow(s *spool, stream grpc.ServerStream) error {
	in, err := os.Open(s.file.Name()) // a reader of its own
	if err != nil {
		return err
	}
	defer in.Close() // read only

	buffer := make([]byte, chunk)
	kept := 0 // the beginning of a character whose rest is not there yet

	for {
		size, ended, grown := s.state()

		n, err := in.Read(buffer[kept:])
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}

		if n == 0 {
			position, err := in.Seek(0, io.SeekCurrent)

			switch {
			case err != nil:
				return err
			case position < size:
				continue
			case ended:
				return send(stream, buffer[:kept])
			}

			select {
			case <-grown:
			case <-stream.Context().Done():
				return stream.Context().Err()
			}

			continue
		}

		n += kept
		kept = unfinished(buffer[:n])

		if err := send(stream, buffer[:n-kept]); err != nil {
			return err
		}

		copy(buffer, buffer[n-kept:n])
	}
}

// send sends output, which the protocol has as text: what is none is replaced.
func send(stream grpc.ServerStream, output []byte) error {
	if len(output) == 0 {
		return nil
	}

	m := message("Output")
	set(m, "output", string([]rune(string(output))))

	return stream.SendMsg(m)
}

// unfinished is how many bytes at the end are the beginning of a character.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}

			return n
		}
	}

	return 0
}

// locked is a writer for several.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.w.Write(p)
}
