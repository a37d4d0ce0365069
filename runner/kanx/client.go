package kanx

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Client talks to a server. Its errors have gRPC's codes (status.Code).
type Client struct{ conn *grpc.ClientConn }

// Dial is a client of the server at a unix socket. Whether there is one shows with the first call.
func Dial(address string) (*Client, error) {
	// It is a socket in a volume of the pod: who can open it may do all.
	conn, err := grpc.NewClient("unix:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("reaching the process server at %q: %w", address, err)
	}

	return &Client{conn}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) call(ctx context.Context, method string, request proto.Message) (Process, error) {
	answer := message("Process")
	err := c.conn.Invoke(ctx, "/"+service+"/"+method, request, answer)

	return processOf(answer), err
}

// Create starts a command.
func (c *Client) Create(ctx context.Context, name string, args ...string) (Process, error) {
	m := message("CreateProcessRequest")
	set(m, "name", name)

	list := m.Mutable(m.Descriptor().Fields().ByName("args")).List()
	for _, arg := range args {
		list.Append(protoreflect.ValueOfString(arg))
	}

	return c.call(ctx, "CreateProcess", m)
}

// Get tells how a process is.
func (c *Client) Get(ctx context.Context, pid int64) (Process, error) {
	return c.call(ctx, "GetProcess", pidRequest(pid))
}

// Signal sends a signal to a process.
func (c *Client) Signal(ctx context.Context, pid, signal int64) (Process, error) {
	m := message("SignalProcessRequest")
	set(m, "pid", pid)
	set(m, "signal", signal)

	return c.call(ctx, "SignalProcess", m)
}

// List gives all processes that the server has started.
func (c *Client) List(ctx context.Context) ([]Process, error) {
	var all []Process

	err := c.stream(ctx, "ListProcesses", message("ListProcessesRequest"), "Process", func(m *dynamicpb.Message) error {
		all = append(all, processOf(m))

		return nil
	})

	return all, err
}

// Stdout writes what a process has written and will write, until it ends.
func (c *Client) Stdout(ctx context.Context, pid int64, out io.Writer) error {
	return c.output(ctx, "Stdout", pid, out)
}

// Stderr is Stdout for the other stream.
func (c *Client) Stderr(ctx context.Context, pid int64, out io.Writer) error {
	return c.output(ctx, "Stderr", pid, out)
}

func (c *Client) output(ctx context.Context, method string, pid int64, out io.Writer) error {
	return c.stream(ctx, method, pidRequest(pid), "Output", func(m *dynamicpb.Message) error {
		_, err := io.WriteString(out, text(m, "output"))

		return err
	})
}

func (c *Client) stream(ctx context.Context, method string, request proto.Message, answer protoreflect.Name, take func(*dynamicpb.Message) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+service+"/"+method)
	if err != nil {
		return err
	}

	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}

	if err := stream.CloseSend(); err != nil {
		return err
	}

	for {
		m := message(answer)

		switch err := stream.RecvMsg(m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}

		if err := take(m); err != nil {
			return err
		}
	}
}
