package action

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/complete"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// NewCmdBackup is `backup TARGET`.
func NewCmdBackup(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := NewOptions(getter, streams, Backup, os.LookupEnv)
	cmd := o.command("backup (TYPE/NAME | TYPE NAME | TYPE -l SELECTOR | -f FILE)...", "Back up an application, a volume or a namespace's volumes", backupLong, backupExample)
	o.AddQuiesce(cmd.Flags())

	return cmd
}

// NewCmdRestore is `restore [TARGET] --from RUN`.
func NewCmdRestore(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := NewOptions(getter, streams, Restore, os.LookupEnv)

	return o.command("restore [TYPE/NAME] --from (RUN | latest | actionset/NAME | FILE)", "Restore an application or a volume from a backup", restoreLong, restoreExample)
}

// NewCmdDelete is `delete --from RUN`.
func NewCmdDelete(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := NewOptions(getter, streams, Delete, os.LookupEnv)

	return o.command("delete [TYPE/NAME] --from (RUN | actionset/NAME | FILE)", "Delete what a backup has stored", deleteLong, deleteExample)
}

// NewCmdRun is `run ACTION TARGET`.
func NewCmdRun(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := NewOptions(getter, streams, "", os.LookupEnv)
	cmd := o.command("run (ACTION [TYPE/NAME...] | -f ACTIONSET.yaml)", "Run any action of a blueprint on a target, or an ActionSet", runLong, runExample)
	o.AddQuiesce(cmd.Flags())
	o.AddActionSet(cmd.Flags())

	return cmd
}

// command builds the cobra command around o. Only `run` has no action yet: it takes it from its first argument, or the actions of
// ActionSets.
func (o *Options) command(use, short, long, example string) *cobra.Command {
	named := o.Action == ""
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long + exitStatus, Example: example, DisableFlagsInUseLine: true,
		ValidArgsFunction: complete.Targets(o.Getter),
		RunE: func(cmd *cobra.Command, args []string) error {
			if named {
				switch {
				case len(args) > 0 && strings.Contains(args[0], "/"):
					return exit.New(exit.Usage, fmt.Errorf("reading the action: %q is a target, and the action stands before it", args[0]), "kubectl kanister run ACTION "+args[0])
				case len(args) > 0:
					o.Action, args = args[0], args[1:]
				case len(o.Target.Filenames) == 0:
					return exit.New(exit.Usage, errNoAction, "kubectl kanister run --help")
				}
			}

			if err := o.Complete(cmd, args); err != nil {
				return err
			}

			if err := o.Validate(); err != nil {
				return err
			}

			if o.Action == "" {
				return o.RunActionSets(cmd.Context())
			}

			return o.Run(cmd.Context())
		},
	}
	o.AddFlags(cmd.Flags())
	o.UI.Complete(cmd)

	// These only fail for a flag that does not exist, which the tests would show.
	fixed := func(flag string, words ...string) {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	fixed("dry-run", dryRunNone, dryRunClient, dryRunServer)
	fixed("output", "json", "yaml", "name")
	fixed("image-pull-policy", "Always", "IfNotPresent", "Never")

	_ = cmd.RegisterFlagCompletionFunc("profile", complete.Profiles(o.Getter))
	_ = cmd.RegisterFlagCompletionFunc("from", complete.Runs(o.Getter, complete.Filter{record.LabelAction: "backup", record.LabelState: string(record.Complete)}))

	return cmd
}
