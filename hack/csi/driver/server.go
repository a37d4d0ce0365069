// Package driver serves a btrfs pool to a kubelet and to the CSI sidecars: the Identity, Controller, Node and kubelet
// registration services on one socket.
package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/kubectl-kanister/kubectl-kanister/hack/csi/btrfs"
)

// Name by which StorageClasses and VolumeSnapshotClasses select this driver.
const Name = "btrfs.csi.kanister.test"

// Version is reported to sidecars and kubelet.
const Version = "1.0.0"

// Driver answers CSI calls. All state is in the pool, none in the process.
type Driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer

	Pool *btrfs.Pool
	// Node is the name of the Kubernetes node that this driver serves.
	Node string
	Log  *slog.Logger
}

// Serve listens on the Unix socket until ctx ends, then lets calls under way finish. The socket must lie in the kubelet's
// plugins_registry directory: its appearance there is what makes the kubelet ask for the driver.
func (d *Driver) Serve(ctx context.Context, socket string) error {
	return listen(ctx, socket, d.Log, func(server *grpc.Server) {
		csi.RegisterIdentityServer(server, d)
		csi.RegisterControllerServer(server, d)
		csi.RegisterNodeServer(server, d)
		registration.RegisterRegistrationServer(server, &registrar{name: Name, socket: socket, log: d.Log})
		d.Log.Info("serving", "socket", socket, "node", d.Node, "quota", d.Pool.QuotaEnabled())
	})
}

func listen(ctx context.Context, socket string, log *slog.Logger, register func(*grpc.Server)) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		return fmt.Errorf("making directory of socket: %w", err)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing stale socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(logged(log)))
	register(server)

	stopped := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(stopped)
		<-ctx.Done()
		server.GracefulStop()
	}()
	err = server.Serve(listener)
	cancel()
	<-stopped
	return err
}

// logged writes one line per call that changes something or fails. Requests may hold secrets, so none is written.
func logged(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		begin := time.Now()
		resp, err := handle(ctx, req)
		level := slog.LevelDebug
		switch req.(type) {
		case *csi.CreateVolumeRequest, *csi.DeleteVolumeRequest, *csi.CreateSnapshotRequest, *csi.DeleteSnapshotRequest,
			*csi.NodePublishVolumeRequest, *csi.NodeUnpublishVolumeRequest:
			level = slog.LevelInfo
		}
		attrs := []any{"call", info.FullMethod, "took", time.Since(begin).Round(time.Microsecond)}
		if err != nil {
			level = slog.LevelError
			attrs = append(attrs, "error", err)
		}
		log.Log(ctx, level, "call", attrs...)
		return resp, err
	}
}

// failure gives the error of the pool the code that sidecars decide on; anything unknown is Internal, which they retry.
func failure(err error) error {
	switch {
	case errors.Is(err, btrfs.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, btrfs.ErrConflict):
		return status.Error(codes.AlreadyExists, err.Error())
	case errors.Is(err, btrfs.ErrCapacity):
		return status.Error(codes.OutOfRange, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

// required is an InvalidArgument error that names the first empty one of pairs (field, value), nil when all are set.
func required(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return status.Errorf(codes.InvalidArgument, "%s is missing", pairs[i])
		}
	}
	return nil
}
