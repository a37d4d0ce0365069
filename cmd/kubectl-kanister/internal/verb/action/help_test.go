package action

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func commands(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	t.Setenv(EnvRunnerImage, "")
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))

	getter, streams := genericclioptions.NewConfigFlags(false), genericiooptions.NewTestIOStreamsDiscard()

	return map[string]*cobra.Command{
		"backup": NewCmdBackup(getter, streams), "restore": NewCmdRestore(getter, streams),
		"delete": NewCmdDelete(getter, streams), "run": NewCmdRun(getter, streams),
	}
}

func TestHelp(t *testing.T) {
	for name, cmd := range commands(t) {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer

			cmd.SetOut(&out)

			if err := cmd.Help(); err != nil {
				t.Fatal(err)
			}

			for _, part := range []string{"EXIT STATUS", "WHAT IT NEEDS", "WHAT IT LEAVES BEHIND", "HOW IT FAILS", "Examples:"} {
				if !strings.Contains(out.String(), part) {
					t.Errorf("no %s", part)
				}
			}

			path := filepath.Join("testdata", name+"-help.golden")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}

				if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}

			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
			}
		})
	}
}

// TestExamplesParse: what the help shows can be typed. Files and the cluster are not needed to find that out.
func TestExamplesParse(t *testing.T) {
	for name := range commands(t) {
		for _, line := range strings.Split(commands(t)[name].Example, "\n") {
			words := strings.Fields(strings.Split(line, "|")[0])
			if len(words) < 3 || words[0] != "kubectl" {
				continue
			}

			cmd := commands(t)[words[2]]
			if cmd == nil {
				t.Errorf("%q: no such command", line)

				continue
			}

			if err := cmd.ParseFlags(words[3:]); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
}

// TestUsageErrors: what is wrong on the command line itself is said before the cluster is asked, and all at once.
func TestUsageErrors(t *testing.T) {
	for line, says := range map[string]string{
		"backup":                                    "no target",
		"restore":                                   "or give --from",
		"run":                                       "no action",
		"backup deploy/a --dry-run=perhaps":         `--dry-run="perhaps": want one of none, client, server`,
		"backup deploy/a -o table":                  `--output="table": want one of json, yaml, name`,
		"backup deploy/a --quiesce=freeze":          `--quiesce="freeze"`,
		"backup deploy/a --option x":                `--option "x": want KEY=VALUE`,
		"backup deploy/a --secret x":                `--secret "x": want REF=[NAMESPACE/]NAME`,
		"restore deploy/a --artifact x":             `--artifact "x": want NAME.KEY=VALUE`,
		"run deploy/a":                              `"deploy/a" is a target, and the action stands before it`,
		"backup deploy/a --option a=1 --option a=2": `"a" is given twice`,
		"backup deploy/a --secret db=a/b/c":         `--secret "db=a/b/c": want REF=[NAMESPACE/]NAME`,
		"restore deploy/a --artifact x=1":           `--artifact "x=1": want NAME.KEY=VALUE`,
		"backup deploy/a --name Bad_Name":           `naming the run "Bad_Name"`,
		"backup deploy/a --timeout=-1s":             "--timeout=-1s: it is negative",
		"backup deploy/a --deadline=0s":             "--deadline=0s: want at least 1s",
		"backup deploy/a -p x --profile-file y":     "give one of them",
		"backup deploy/a --pod-label a/b/c=d":       "--pod-label",
		"backup deploy/a --pod-override /nowhere":   "no such file",
		"backup deploy/a --service-account A_B":     `--service-account="A_B"`,
		"backup deploy/a --progress=json -o yaml":   "both write to stdout",
		"backup deploy/a --progress=loud":           "--progress",
		"backup deploy/a --image-pull-policy=Maybe": "want one of Always, IfNotPresent, Never",
	} {
		words := strings.Fields(line)
		cmd := commands(t)[words[0]]
		cmd.SetArgs(words[1:])
		cmd.SilenceErrors, cmd.SilenceUsage = true, true

		err := cmd.ExecuteContext(t.Context())
		if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v (code %d), want %q", line, err, exit.Of(err), says)
		}
	}
}
