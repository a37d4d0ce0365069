// Command backends runs object stores in the test cluster.
//
//	backends up [--kind s3|gcs|azure] [--bucket NAME]...    deploy, wait until ready, print access
//	backends env [--kind s3|gcs|azure]                print access again
//	backends bucket create|delete NAME
//	backends down                                     remove all of them, with the data
//
// Access is printed as shell assignments (eval "$(backends env)") or as JSON with -o json.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/azure"
	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/deploy"
	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/gcs"
	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/s3"
	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
	"github.com/kubectl-kanister/kubectl-kanister/hack/cluster/native"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The port forwarder logs every connection that a client closes.
	klog.SetLogger(logr.Discard())
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "backends:", err)
		os.Exit(1)
	}
}

// backend is one kind of object store.
type backend interface {
	Up(ctx context.Context) error
	Access(ctx context.Context) (deploy.Access, error)
	CreateBucket(ctx context.Context, bucket string) error
	DeleteBucket(ctx context.Context, bucket string) error
}

type options struct {
	kubeconfig string
	output     string
	kind       string
	buckets    []string
}

func command() *cobra.Command {
	var o options
	root := &cobra.Command{Use: "backends", Short: "Object stores in the test cluster", SilenceUsage: true, SilenceErrors: true}
	root.PersistentFlags().StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file; $KUBECONFIG or that of the native test cluster when empty")
	root.PersistentFlags().StringVar(&o.kind, "kind", "s3", "which object store: s3, gcs or azure")
	root.PersistentFlags().StringVarP(&o.output, "output", "o", "env", "how to print access: env or json")

	up := o.verb("up", "Deploy an object store, wait until it is ready and print access", func(cmd *cobra.Command, b backend, _ []string) error {
		if err := b.Up(cmd.Context()); err != nil {
			return err
		}
		for _, name := range o.buckets {
			if err := b.CreateBucket(cmd.Context(), name); err != nil {
				return err
			}
		}
		return o.print(cmd, b)
	})
	up.Flags().StringArrayVar(&o.buckets, "bucket", nil, "bucket to create; may be repeated")
	env := o.verb("env", "Print access to an object store", func(cmd *cobra.Command, b backend, _ []string) error { return o.print(cmd, b) })
	down := &cobra.Command{Use: "down", Short: "Remove all object stores with their data", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		cluster, err := o.cluster()
		if err != nil {
			return err
		}
		return cluster.Down(cmd.Context())
	}}
	bucket := &cobra.Command{Use: "bucket", Short: "Create and delete buckets"}
	create := o.verb("create NAME", "Create a bucket", func(cmd *cobra.Command, b backend, args []string) error {
		return b.CreateBucket(cmd.Context(), args[0])
	})
	remove := o.verb("delete NAME", "Delete a bucket and all that is in it", func(cmd *cobra.Command, b backend, args []string) error {
		return b.DeleteBucket(cmd.Context(), args[0])
	})
	create.Args, remove.Args = cobra.ExactArgs(1), cobra.ExactArgs(1)
	bucket.AddCommand(create, remove)
	root.AddCommand(up, env, down, bucket)
	return root
}

func (o *options) verb(use, short string, run func(*cobra.Command, backend, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, args []string) error {
		cluster, err := o.cluster()
		if err != nil {
			return err
		}
		b, err := choose(o.kind, cluster)
		if err != nil {
			return err
		}
		return run(cmd, b, args)
	}}
}

func choose(kind string, cluster *deploy.Cluster) (backend, error) {
	switch kind {
	case "s3":
		return s3.New(cluster)
	case "gcs":
		return gcs.New(cluster)
	case "azure":
		return azure.New(cluster)
	}
	return nil, fmt.Errorf("there is no kind %q: there are s3, gcs and azure", kind)
}

// cluster is the test cluster, never the one that the user's own kubeconfig happens to point to.
func (o *options) cluster() (*deploy.Cluster, error) {
	file := o.kubeconfig
	if file == "" {
		file = os.Getenv("KUBECONFIG")
	}
	if file == "" {
		file = native.New().Kubeconfig()
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig of the test cluster (is it up? go run ./cluster up): %w", err)
	}
	return deploy.New(config)
}

func (o *options) print(cmd *cobra.Command, b backend) error {
	access, err := b.Access(cmd.Context())
	if err != nil {
		return err
	}
	cache, err := binaries.Dir()
	if err != nil {
		return err
	}
	caFile := filepath.Join(cache, "backends", o.kind+"-ca.crt")
	if err := os.MkdirAll(filepath.Dir(caFile), 0o755); err != nil {
		return fmt.Errorf("writing certificate authority: %w", err)
	}
	if err := os.WriteFile(caFile, []byte(access.Authority()), 0o644); err != nil {
		return fmt.Errorf("writing certificate authority: %w", err)
	}
	return write(cmd.OutOrStdout(), o.output, o.kind, access, caFile)
}

// write prints access to a kind of store; caFile has its authority.
func write(out io.Writer, format, kind string, a deploy.Access, caFile string) error {
	switch format {
	case "json":
		fields := map[string]any{}
		data, err := json.Marshal(a)
		if err == nil {
			err = json.Unmarshal(data, &fields)
		}
		if err != nil {
			return fmt.Errorf("printing access: %w", err)
		}
		fields["caFile"] = caFile
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(fields)
	case "env":
		for _, v := range append(a.Vars(), [2]string{strings.ToUpper(kind) + "_CA_FILE", caFile}) {
			if _, err := fmt.Fprintf(out, "export %s='%s'\n", v[0], v[1]); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("printing access: output %q is neither env nor json", format)
}
