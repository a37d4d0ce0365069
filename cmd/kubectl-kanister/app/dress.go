package app

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/release"
)

func userAgent() string {
	return "kubectl-kanister/" + release.Version + " (" + runtime.GOOS + "/" + runtime.GOARCH + ")"
}

// helpTemplate and usageTemplate: kubectl's manner, with the flags that every command takes left to `kubectl kanister options`.
const (
	helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`

	usageTemplate = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{if .HasAvailableSubCommands}}{{$cmds := .Commands}}{{if eq (len .Groups) 0}}Commands:{{range $cmds}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{else}}{{range $group := .Groups}}{{.Title}}{{range $cmds}}{{if (and (eq .GroupID $group.ID) (or .IsAvailableCommand (eq .Name "help")))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}{{if .HasParent}}Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}

{{end}}{{end}}{{if .HasHelpSubCommands}}Topics (kubectl kanister help TOPIC):{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{end}}Usage:
{{if .Runnable}}  {{.UseLine}}
{{end}}{{if .HasAvailableSubCommands}}  {{.CommandPath}} COMMAND [flags]

Use "{{.CommandPath}} COMMAND --help" for more about a command.
{{else}}
{{end}}{{if ne .Name "options"}}Use "kubectl kanister options" for the flags that all commands take (-n, --context, --as, …).
{{end}}`
)

// dress gives all commands the same manners: usage errors have exit code 2, words that are no command are errors, and help
// looks alike.
func dress(root *cobra.Command) {
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit.New(exit.Usage, err, cmd.CommandPath()+" --help")
	})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()

	each(root, func(cmd *cobra.Command) {
		cmd.DisableFlagsInUseLine = true

		if cmd.HasSubCommands() && !cmd.Runnable() {
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = group
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		} else if cmd.Args != nil {
			cmd.Args = usage(cmd.Args)
		}
	})
}

func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)

	for _, sub := range cmd.Commands() {
		each(sub, do)
	}
}

// usage gives complaints about the number of arguments the code for usage errors.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if exit.Of(err) != exit.ToolFailed { // nil, or coded by the command itself
			return err
		}

		return exit.New(exit.Usage, err, cmd.CommandPath()+" --help")
	}
}

// group runs a command that only has commands below it.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}

	hint := cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2

	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + cmd.CommandPath() + " " + strings.Join(near, " or ") + "?"
	}

	return exit.New(exit.Usage, fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath()), hint)
}
