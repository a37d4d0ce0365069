// Package app is the root command: its flags, groups, help, completion, and the way errors are told.
package app

import (
	"context"
	"flag"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs with auth providers
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

// CompletionName is the name by which kubectl asks the plugin for completions.
const CompletionName = "kubectl_complete-kanister"

// Groups of commands in the help.
const (
	groupActions = "actions"
	groupRuns    = "runs"
	groupSetup   = "setup"
	groupOther   = "other"
)

// Args are the arguments of the root command for a command line: called by its completion name, the program completes.
func Args(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}

	name := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
	if name == CompletionName {
		return append([]string{cobra.ShellCompRequestCmd}, argv[1:]...)
	}

	return argv[1:]
}

// Execute runs the command line args and returns the exit code. Errors are written to streams.ErrOut.
func Execute(ctx context.Context, streams genericiooptions.IOStreams, args []string) exit.Code {
	root := NewCommand(streams)
	root.SetArgs(args)

	return report(streams.ErrOut, root.ExecuteContext(ctx))
}

// NewCommand makes the root command.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	getter := genericclioptions.NewConfigFlags(true).WithWrapConfigFn(func(config *rest.Config) *rest.Config {
		// The API server's own priority and fairness does the throttling.
		config.QPS, config.Burst = -1, -1
		config.UserAgent = userAgent()

		return config
	})

	rest.SetDefaultWarningHandler(rest.NewWarningWriter(streams.ErrOut, rest.WarningWriterOptions{Deduplicate: true}))

	root := &cobra.Command{
		Use:   "kubectl-kanister",
		Short: "Back up, restore and delete applications' data with Kanister blueprints, nothing installed in the cluster",
		Long: `Back up, restore and delete applications' data with Kanister blueprints.

Nothing is installed in the cluster: a run is one Job that executes the blueprint's phases, and one ConfigMap, the run
record, in which its journal is kept.`,
		Example: `  # Once: where backups go
  kubectl kanister profile create s3 --bucket backups --region eu-central-1
  # Back up the volumes of an application, with the built-in blueprint
  kubectl kanister backup statefulset/postgres
  # What there is to restore, and restore it
  kubectl kanister get backups
  kubectl kanister restore --from backup-postgres-7f3k2`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl kanister"},
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}

	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)

	flags := root.PersistentFlags()
	getter.AddFlags(flags)

	verbosity := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(verbosity)
	flags.AddGoFlag(verbosity.Lookup("v"))

	root.AddGroup(
		&cobra.Group{ID: groupActions, Title: "Actions:"},
		&cobra.Group{ID: groupRuns, Title: "Runs and backups:"},
		&cobra.Group{ID: groupSetup, Title: "Profiles, blueprints, functions:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	addCommands(root, getter, streams)
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	dress(root)
	completeGlobals(root, getter)

	return root
}
