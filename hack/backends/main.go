// Command backends runs object stores in the test cluster.
//
//	backends up [--bucket NAME]...    deploy, wait until ready, print access
//	backends env                      print access again
//	backends bucket create|delete NAME
//	backends down                     remove all, with the data
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
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/s3"
	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
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

type options struct {
	kubeconfig string
	output     string
	buckets    []string
}

func command() *cobra.Command {
	var o options
	root := &cobra.Command{Use: "backends", Short: "Object stores in the test cluster", SilenceUsage: true, SilenceErrors: true}
	root.PersistentFlags().StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file; $KUBECONFIG or the usual one when empty")
	root.PersistentFlags().StringVarP(&o.output, "output", "o", "env", "how to print access: env or json")

	up := o.verb("up", "Deploy the S3 server, wait until it is ready and print access", func(cmd *cobra.Command, s *s3.Server, _ []string) error {
		if err := s.Up(cmd.Context()); err != nil {
			return err
		}
		for _, b := range o.buckets {
			if err := s.CreateBucket(cmd.Context(), b); err != nil {
				return err
			}
		}
		return o.print(cmd, s)
	})
	up.Flags().StringArrayVar(&o.buckets, "bucket", nil, "bucket to create; may be repeated")
	env := o.verb("env", "Print access to the S3 server", func(cmd *cobra.Command, s *s3.Server, _ []string) error { return o.print(cmd, s) })
	down := o.verb("down", "Remove the S3 server with its data", func(cmd *cobra.Command, s *s3.Server, _ []string) error {
		return s.Down(cmd.Context())
	})
	bucket := &cobra.Command{Use: "bucket", Short: "Create and delete buckets"}
	create := o.verb("create NAME", "Create a bucket", func(cmd *cobra.Command, s *s3.Server, args []string) error {
		return s.CreateBucket(cmd.Context(), args[0])
	})
	remove := o.verb("delete NAME", "Delete a bucket and all that is in it", func(cmd *cobra.Command, s *s3.Server, args []string) error {
		return s.DeleteBucket(cmd.Context(), args[0])
	})
	create.Args, remove.Args = cobra.ExactArgs(1), cobra.ExactArgs(1)
	bucket.AddCommand(create, remove)
	root.AddCommand(up, env, down, bucket)
	return root
}

func (o *options) verb(use, short string, run func(*cobra.Command, *s3.Server, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, args []string) error {
		config, err := o.config()
		if err != nil {
			return err
		}
		server, err := s3.New(config)
		if err != nil {
			return err
		}
		return run(cmd, server, args)
	}}
}

func (o *options) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig: %w", err)
	}
	return config, nil
}

func (o *options) print(cmd *cobra.Command, s *s3.Server) error {
	access, err := s.Access(cmd.Context())
	if err != nil {
		return err
	}
	cache, err := binaries.Dir()
	if err != nil {
		return err
	}
	caFile := filepath.Join(cache, "backends", "s3-ca.crt")
	if err := os.MkdirAll(filepath.Dir(caFile), 0o755); err != nil {
		return fmt.Errorf("writing certificate authority: %w", err)
	}
	if err := os.WriteFile(caFile, []byte(access.CA), 0o644); err != nil {
		return fmt.Errorf("writing certificate authority: %w", err)
	}
	return write(cmd.OutOrStdout(), o.output, access, caFile)
}

// write prints access; caFile has its CA.
func write(out io.Writer, format string, a s3.Access, caFile string) error {
	switch format {
	case "json":
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			s3.Access
			CAFile string `json:"caFile"`
		}{a, caFile})
	case "env":
		_, err := fmt.Fprintf(out, "export S3_ENDPOINT='%s'\nexport S3_PLAIN_ENDPOINT='%s'\nexport S3_HOST_ENDPOINT='%s'\nexport S3_REGION='%s'\n"+
			"export S3_CA_FILE='%s'\nexport AWS_ACCESS_KEY_ID='%s'\nexport AWS_SECRET_ACCESS_KEY='%s'\n",
			a.Endpoint, a.PlainEndpoint, a.HostEndpoint, a.Region, caFile, a.AccessKey, a.SecretKey)
		return err
	}
	return fmt.Errorf("printing access: output %q is neither env nor json", format)
}
