package app

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/action"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/function"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/profile"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/runs"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/version"
)

// addCommands adds all commands, by group.
func addCommands(root *cobra.Command, getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) {
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}

	add(groupActions,
		action.NewCmdBackup(getter, streams),
		action.NewCmdRestore(getter, streams),
		action.NewCmdDelete(getter, streams),
		action.NewCmdRun(getter, streams),
	)
	add(groupRuns,
		newGet(getter, streams),
		runs.NewCmdDescribe(getter, streams),
		runs.NewCmdLogs(getter, streams),
		runs.NewCmdWait(getter, streams),
		runs.NewCmdCancel(getter, streams),
		runs.NewCmdForget(getter, streams),
	)
	add(groupSetup,
		profile.NewCmd(getter, streams),
		newValidate(getter, streams),
		newExplain(streams),
	)
	add(groupOther, version.NewCmd(getter, streams), newOptions(streams))
	root.AddCommand(topics()...)
}

// newValidate is `validate`, of files and, by kanctl's words, of profiles in the cluster.
func newValidate(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	cmd := blueprint.NewCmdValidate(streams)
	cmd.AddCommand(profile.NewCmdValidate(getter, streams))

	return cmd
}

// newGet is `get`, put together from the nouns.
func newGet(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get NOUN",
		Short: "List runs, backups, profiles, blueprints or functions",
		Long: `List runs, backups, profiles, blueprints or functions.

Tables by default; -o wide, json, yaml, name, jsonpath and go-template as with kubectl. With -o json and -o yaml it is
always a List, whatever the number of items.`,
		Example: `  kubectl kanister get runs -A
  kubectl kanister get backups -l kanister.io/target-name=postgres
  kubectl kanister get functions`,
	}
	cmd.AddCommand(
		runs.NewCmdGetRuns(getter, streams),
		runs.NewCmdGetBackups(getter, streams),
		profile.NewCmdGet(getter, streams),
		blueprint.NewCmdGet(getter, streams),
		function.NewCmdGet(streams),
	)

	return cmd
}

// newExplain is `explain`.
func newExplain(streams genericiooptions.IOStreams) *cobra.Command {
	functions := function.NewCmdExplain(streams)
	cmd := &cobra.Command{
		Use:               "explain [function] NAME...",
		Short:             "Explain Kanister Functions",
		Example:           `  kubectl kanister explain KubeTask`,
		Args:              functions.Args,
		ValidArgsFunction: functions.ValidArgsFunction,
		RunE:              functions.RunE,
	}
	cmd.AddCommand(functions)

	return cmd
}
