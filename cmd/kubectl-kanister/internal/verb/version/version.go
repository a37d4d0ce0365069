// Package version holds the command version.
package version

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/release"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/action"
)

// Versions is what -o json and yaml print.
type Versions struct {
	Plugin      string `json:"plugin"`
	Go          string `json:"go"`
	Platform    string `json:"platform"`
	RunnerImage string `json:"runnerImage"`
	// APIServer is the cluster's version; absent with --client.
	APIServer string `json:"apiServer,omitempty"`
}

// Options are the options of version.
type Options struct {
	genericiooptions.IOStreams

	Getter  genericclioptions.RESTClientGetter
	Environ func(string) (string, bool)
	Client  bool
	Output  string
}

// NewCmd is `version`.
func NewCmd(getter genericclioptions.RESTClientGetter, streams genericiooptions.IOStreams) *cobra.Command {
	o := &Options{IOStreams: streams, Getter: getter, Environ: os.LookupEnv}
	cmd := &cobra.Command{
		Use:   "version [--client]",
		Short: "Show the versions of plugin, runner image and API server",
		Example: `  # All versions
  kubectl kanister version
  # Without asking the cluster
  kubectl kanister version --client -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return err
			}

			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.Client, "client", false, "Do not ask the cluster")
	cmd.Flags().StringVarP(&o.Output, "output", "o", "", "Output format: json or yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)) // only fails without the flag

	return cmd
}

// Validate refuses unknown formats.
func (o *Options) Validate() error {
	switch o.Output {
	case "", "json", "yaml":
		return nil
	default:
		return exit.New(exit.Usage, fmt.Errorf("flag --output: %q is none of json, yaml", o.Output), "")
	}
}

// Run prints the versions. That the API server does not answer is an error, after the rest was printed.
func (o *Options) Run(_ context.Context) error {
	v := Versions{Plugin: release.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, RunnerImage: release.RunnerImage}
	if image, set := o.Environ(action.EnvRunnerImage); set && image != "" {
		v.RunnerImage = image
	}

	var asked error
	if !o.Client {
		v.APIServer, asked = o.server()
	}

	if err := o.print(v); err != nil {
		return err
	}

	return asked
}

func (o *Options) server() (string, error) {
	s, err := session.New(o.Getter)
	if err != nil {
		return "", err
	}

	version, err := s.Kubernetes.Discovery().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("asking the API server for its version: %w", err)
	}

	return version.GitVersion, nil
}

func (o *Options) print(v Versions) error {
	var (
		text []byte
		err  error
	)

	switch o.Output {
	case "json":
		text, err = json.MarshalIndent(v, "", "    ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(v)
	default:
		text = fmt.Appendf(nil, "plugin        %s (%s, %s)\nrunner image  %s\n", v.Plugin, v.Platform, v.Go, v.RunnerImage)
		if v.APIServer != "" {
			text = fmt.Appendf(text, "API server    %s\n", v.APIServer)
		}
	}

	if err != nil {
		return fmt.Errorf("printing the versions: %w", err)
	}

	_, err = o.Out.Write(text)

	return err
}
