package kando

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kanx"
)

// grpcOffset is added to gRPC's code for the exit code of a client that follows a process, as upstream's (COMPAT §5.1).
const grpcOffset = 15

// exitError ends kando with another code than ExitError. Without an err there is nothing to say: the process has said it.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.code, e.err) }

// processOptions are what the process commands share.
type processOptions struct {
	Streams

	address                string
	asJSON, quiet          bool
	signalProxy, exitProxy bool
}

func newCmdProcess(streams Streams) *cobra.Command {
	o := &processOptions{Streams: streams}
	cmd := &cobra.Command{
		Use:   "process",
		Short: "Run commands in another container of the pod",
		Long: "Run commands in another container of the pod: there, 'kando process server' listens on a socket in a volume that both mount, and " +
			"'kando process client' starts commands in it, follows what they write and learns how they end.",
		Args: known,
		RunE: help,
	}
	cmd.PersistentFlags().StringVarP(&o.address, "address", "a", "/tmp/kanister.sock", "the socket of the server")

	client := &cobra.Command{Use: "client", Short: "Start and follow processes of the server", Args: known, RunE: help}
	client.PersistentFlags().BoolVarP(&o.asJSON, "as-json", "j", false, "describe processes as JSON")
	client.PersistentFlags().BoolVarP(&o.quiet, "quiet", "q", false, "do not describe processes")
	client.AddCommand(o.create(), o.execute(), o.get(), o.list(), o.signal(), o.output())

	cmd.AddCommand(client, &cobra.Command{
		Use:   "server",
		Short: "Run processes for clients, until SIGTERM",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return (&kanx.Server{Out: streams.Out, ErrOut: streams.ErrOut}).Serve(cmd.Context(), o.address)
		},
	})

	return cmd
}

// with calls do with a client.
func (o *processOptions) with(do func(*kanx.Client) error) error {
	client, err := kanx.Dial(o.address)
	if err != nil {
		return err
	}

	return errors.Join(do(client), client.Close())
}

// describe prints a process.
func (o *processOptions) describe(p kanx.Process) error {
	if o.quiet {
		return nil
	}

	text := "Process:  " + prototext.MarshalOptions{}.Format(p.Message())

	if o.asJSON {
		raw, err := protojson.Marshal(p.Message())
		if err != nil {
			return fmt.Errorf("describing process %d: %w", p.PID, err)
		}

		text = string(raw)
	}

	_, err := fmt.Fprintln(o.Out, text)

	return err
}

func (o *processOptions) one(ask func(*kanx.Client) (kanx.Process, error)) error {
	return o.with(func(client *kanx.Client) error {
		p, err := ask(client)
		if err != nil {
			return err
		}

		return o.describe(p)
	})
}

func atLeastOne(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("%s needs a command", cmd.CommandPath())}
	}

	return nil
}

func (o *processOptions) create() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create COMMAND ARG...", Short: "Start a process", Args: atLeastOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.one(func(client *kanx.Client) (kanx.Process, error) {
				return client.Create(cmd.Context(), args[0], args[1:]...)
			})
		},
	}
	cmd.Flags().SetInterspersed(false)

	return cmd
}

func (o *processOptions) get() *cobra.Command {
	return &cobra.Command{
		Use: "get PID", Short: "Tell how a process is", Args: exactly("PID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := integer("PID", args[0])
			if err != nil {
				return err
			}

			return o.one(func(client *kanx.Client) (kanx.Process, error) { return client.Get(cmd.Context(), pid) })
		},
	}
}

func (o *processOptions) signal() *cobra.Command {
	return &cobra.Command{
		Use: "signal PID SIGNAL", Short: "Send a signal, by its number", Args: exactly("PID", "SIGNAL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := integer("PID", args[0])
			if err != nil {
				return err
			}

			number, err := integer("SIGNAL", args[1])
			if err != nil {
				return err
			}

			return o.one(func(client *kanx.Client) (kanx.Process, error) { return client.Signal(cmd.Context(), pid, number) })
		},
	}
}

func integer(what, word string) (int64, error) {
	n, err := strconv.ParseInt(word, 0, 64)
	if err != nil {
		return 0, usageError{fmt.Errorf("%s is %q, and not a number", what, word)}
	}

	return n, nil
}

func (o *processOptions) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Tell how all processes are", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(func(client *kanx.Client) error {
				all, err := client.List(cmd.Context())
				for _, p := range all {
					if err == nil {
						err = o.describe(p)
					}
				}

				return err
			})
		},
	}
}

// proxies adds the flags of commands that follow a process.
func (o *processOptions) proxies(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVarP(&o.signalProxy, "signal-proxy", "p", false, "pass SIGINT and SIGTERM on to the process")
	// What follows the command is its own.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVarP(&o.exitProxy, "exit-proxy", "x", false, "end with the exit code of the process")

	return cmd
}

func (o *processOptions) execute() *cobra.Command {
	return o.proxies(&cobra.Command{
		Use: "execute COMMAND ARG...", Short: "Start a process and write what it writes", Args: atLeastOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			return coded(o.with(func(client *kanx.Client) error {
				p, err := client.Create(cmd.Context(), args[0], args[1:]...)
				if err != nil {
					return err
				}

				if err := o.describe(p); err != nil {
					return err
				}

				return o.follow(cmd.Context(), client, p.PID)
			}))
		},
	})
}

func (o *processOptions) output() *cobra.Command {
	return o.proxies(&cobra.Command{
		Use: "output PID", Short: "Write what a process has written, and what it will", Args: exactly("PID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := integer("PID", args[0])
			if err != nil {
				return err
			}

			return o.with(func(client *kanx.Client) error { return o.follow(cmd.Context(), client, pid) })
		},
	})
}

// coded is the exit code that upstream's execute ends with where the server cannot be reached or refuses.
func coded(err error) error {
	var said interface{ GRPCStatus() *status.Status }
	if errors.As(err, &said) {
		return exitError{grpcOffset + int(said.GRPCStatus().Code()), err}
	}

	return err
}

// follow writes what a process writes until it has ended.
func (o *processOptions) follow(ctx context.Context, client *kanx.Client, pid int64) error {
	if o.signalProxy {
		// The end of kando's context would end the following.
		ctx = context.WithoutCancel(ctx)

		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)

		defer signal.Stop(signals)

		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)

		defer cancel()

		go o.pass(ctx, client, pid, signals)
	}

	ended := make(chan error, 2)

	for _, stream := range []struct {
		read func(context.Context, int64, io.Writer) error
		to   io.Writer
	}{{client.Stdout, o.Out}, {client.Stderr, o.ErrOut}} {
		go func() { ended <- stream.read(ctx, pid, stream.to) }()
	}

	if err := errors.Join(<-ended, <-ended); err != nil {
		return err
	}

	if !o.exitProxy {
		return nil
	}

	p, err := client.Get(ctx, pid)
	if err != nil {
		return err
	}

	switch {
	case p.State != kanx.Failed:
		return nil
	case p.ExitCode > 0:
		return exitError{code: int(p.ExitCode)}
	default: // killed
		return fmt.Errorf("process %d: %s", pid, p.ExitErr)
	}
}

// pass passes signals on to the process until ctx ends.
func (o *processOptions) pass(ctx context.Context, client *kanx.Client, pid int64, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case received := <-signals:
			number, ok := received.(syscall.Signal)
			if !ok {
				continue
			}

			if _, err := client.Signal(ctx, pid, int64(number)); err != nil {
				_, _ = fmt.Fprintf(o.ErrOut, "kando: %v\n", err)
			}
		}
	}
}
