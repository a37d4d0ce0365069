// Command cluster runs the project's test bed: a real Kubernetes cluster with storage, out of what this machine has.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubectl-kanister/kubectl-kanister/hack/cluster/kind"
	"github.com/kubectl-kanister/kubectl-kanister/hack/cluster/native"
)

// provider is one way to have a cluster.
type provider interface {
	Up(ctx context.Context, log io.Writer) error
	Down(ctx context.Context, log io.Writer, wipe bool) error
	Status(out io.Writer) (healthy bool, err error)
	LoadImages(ctx context.Context, log io.Writer, files ...string) error
	Restart(ctx context.Context, log io.Writer, part string) error
	Kubeconfig() string
	AuditLog() string
}

// choose takes the named provider, or kind where Docker answers and native elsewhere.
func choose(ctx context.Context, name string) (provider, error) {
	switch {
	case name == "native" || name == "" && !kind.Available(ctx):
		return native.New(), nil
	case name == "kind" || name == "":
		return kind.New()
	default:
		return nil, fmt.Errorf("unknown provider %q; there are native and kind", name)
	}
}

const usage = `usage: cluster [--provider native|kind] COMMAND

commands:
  up                   start the cluster, or mend it; does nothing when it is healthy
  down [--wipe]        stop it; --wipe also deletes volumes, objects and images, not the built binaries
  status               one line for each part; exit code 1 when one is down
  kubeconfig           print the path of the administrator's kubeconfig
  audit-log            print the path of the API server's audit log
  load-image FILE...   import docker-archive files into the node
  restart PART         stop and start one part, e.g. kube-apiserver

Without --provider (or $KANISTER_CLUSTER_PROVIDER) it is kind where a Docker daemon answers, native elsewhere.
State is kept in $KANISTER_CLUSTER_HOME, binaries in the user's cache directory.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(log)
	name := flags.String("provider", os.Getenv("KANISTER_CLUSTER_PROVIDER"), "native or kind")
	flags.Usage = func() { fmt.Fprint(log, usage) }

	if err := flags.Parse(args); err != nil {
		return err
	}

	if flags.NArg() == 0 {
		flags.Usage()

		return errors.New("no command")
	}

	c, err := choose(ctx, *name)
	if err != nil {
		return err
	}

	rest := flags.Args()[1:]

	switch command := flags.Arg(0); command {
	case "up":
		return c.Up(ctx, log)
	case "down":
		down := flag.NewFlagSet("down", flag.ContinueOnError)
		wipe := down.Bool("wipe", false, "delete volumes, objects and images as well")

		if err := down.Parse(rest); err != nil {
			return err
		}

		return c.Down(ctx, log, *wipe)
	case "status":
		healthy, err := c.Status(out)
		if err == nil && !healthy {
			err = errors.New("not all parts are running")
		}

		return err
	case "kubeconfig":
		fmt.Fprintln(out, c.Kubeconfig())

		return nil
	case "audit-log":
		fmt.Fprintln(out, c.AuditLog())

		return nil
	case "load-image":
		return c.LoadImages(ctx, log, rest...)
	case "restart":
		if len(rest) != 1 {
			return errors.New("restart takes the name of one part")
		}

		return c.Restart(ctx, log, rest[0])
	default:
		flags.Usage()

		return fmt.Errorf("unknown command %q", command)
	}
}
