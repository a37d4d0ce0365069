// Command csi is the test bed's CSI driver: volumes with snapshots and clones on btrfs. It serves one node, as root, on the
// host; see package driver. As "csi ebs" it mounts volumes of the stand-in for EC2 instead. As "csi keep PROGRAM [ARG...]" it keeps another program running; see package keeper.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/btrfs"
	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/driver"
	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/keeper"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 2 && os.Args[1] == "keep" {
		k := keeper.Keeper{Command: os.Args[2:], Pause: time.Second, Grace: 5 * time.Second, Log: log}
		if err := k.Run(ctx); err != nil {
			log.Error("starting", "error", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "ebs" {
		if err := ebs(ctx, log, os.Args[2:]); err != nil {
			log.Error("stopping", "error", err)
			os.Exit(1)
		}
		return
	}
	socket := flag.String("socket", "", "Unix socket to serve on, in the kubelet's plugins_registry directory")
	image := flag.String("image", "", "sparse file with the btrfs pool; made when missing")
	root := flag.String("root", "", "directory to mount the pool at")
	size := flag.Int64("size-gib", 64, "largest size of a new pool in GiB; takes no space until written to")
	node := flag.String("node", "", "name of the Kubernetes node")
	flag.Parse()

	for _, name := range []string{"socket", "image", "root", "node"} {
		if flag.Lookup(name).Value.String() == "" {
			log.Error("flag --" + name + " is missing")
			os.Exit(2)
		}
	}
	pool, err := btrfs.Open(ctx, btrfs.Options{Image: *image, Root: *root, Size: *size << 30})
	if err == nil {
		err = (&driver.Driver{Pool: pool, Node: *node, Log: log}).Serve(ctx, *socket)
	}
	if err != nil {
		log.Error("stopping", "error", err)
		os.Exit(1)
	}
}

func ebs(ctx context.Context, log *slog.Logger, args []string) error {
	d := driver.EBS{Log: log}
	flags := flag.NewFlagSet("ebs", flag.ExitOnError)
	socket := flags.String("socket", "", "Unix socket to serve on, in the kubelet's plugins_registry directory")
	flags.StringVar(&d.Volumes, "volumes", "", "directory of the pool's volumes, in which the stand-in for EC2 has its own")
	flags.StringVar(&d.Node, "node", "", "name of the Kubernetes node")
	flags.StringVar(&d.Zone, "zone", "", "zone that the node says it is in")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *socket == "" || d.Volumes == "" || d.Node == "" || d.Zone == "" {
		return errors.New("one of the flags --socket, --volumes, --node, --zone is missing")
	}
	return d.Serve(ctx, *socket)
}
