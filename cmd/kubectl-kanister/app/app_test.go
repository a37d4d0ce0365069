package app

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// execute runs a command line without a cluster.
func execute(t *testing.T, args ...string) (code exit.Code, stdout, stderr string) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECTL_KANISTER_RUNNER_IMAGE", "")

	var out, errOut bytes.Buffer

	code = Execute(t.Context(), genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: &errOut}, args)

	return code, out.String(), errOut.String()
}

func commands(t *testing.T) []*cobra.Command {
	t.Helper()

	var all []*cobra.Command

	each(NewCommand(genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}}), func(cmd *cobra.Command) {
		if cmd.Name() != "help" && !strings.HasPrefix(cmd.CommandPath(), "kubectl kanister completion") {
			all = append(all, cmd)
		}
	})

	return all
}

func TestHelp(t *testing.T) {
	var names []string

	for _, cmd := range commands(t) {
		if cmd.GroupID == groupActions { // package action has golden files of its own
			continue
		}

		words := strings.Fields(cmd.CommandPath())[2:]
		name := strings.Join(append([]string{"help"}, words...), "-") + ".txt"
		names = append(names, name)

		t.Run(name, func(t *testing.T) {
			args := append(words, "--help")
			if cmd.IsAdditionalHelpTopicCommand() {
				args = append([]string{"help"}, words...)
			}

			code, stdout, stderr := execute(t, args...)
			if code != exit.Done || stderr != "" {
				t.Fatalf("code %d, stderr %q", code, stderr)
			}

			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, []byte(stdout), 0o644); err != nil {
					t.Fatal(err)
				}
			}

			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(string(want), stdout); diff != "" {
				t.Errorf("-want +got, -update rewrites it:\n%s", diff)
			}
		})
	}

	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}

	for _, file := range files {
		if !slices.Contains(names, file.Name()) {
			t.Errorf("testdata/%s belongs to no command", file.Name())
		}
	}
}

func TestManners(t *testing.T) {
	for _, cmd := range commands(t) {
		if cmd.IsAdditionalHelpTopicCommand() || !cmd.HasParent() {
			continue
		}

		path := cmd.CommandPath()

		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the summary %q is missing or ends with a point", path, cmd.Short)
		}

		if cmd.Example == "" {
			t.Errorf("%s has no example", path)
		}

		if strings.Contains(cmd.Example+cmd.Long, "kubectl-kanister ") {
			t.Errorf("%s: help says kubectl-kanister, users type kubectl kanister", path)
		}

		for line := range strings.SplitSeq(cmd.Long, "\n") {
			if len([]rune(line)) > 135 {
				t.Errorf("%s: a line of the help is %d wide: %q", path, len([]rune(line)), line)
			}
		}

		if cmd.Parent().Parent() == nil && cmd.GroupID == "" {
			t.Errorf("%s is in no group", path)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"bogus":                              "unknown command",
		"get bogus":                          `unknown command "bogus" for "kubectl kanister get"`,
		"get run --bogus":                    "unknown flag",
		"get runs -o bogus":                  "flag --output",
		"profile crate":                      "unknown command",
		"describe":                           "requires at least 1 arg",
		"logs":                               "accepts 1 arg",
		"wait x --progress fancy":            "flag --progress",
		"wait x --timeout banana":            "invalid argument",
		"explain function Bogus":             `looking for function "Bogus"`,
		"explain function KubeTsk":           `looking for function "KubeTsk"`,
		"validate":                           "naming what to validate",
		"validate -f /does/not/exist":        "no such file",
		"version -o xml":                     "flag --output",
		"forget":                             "naming what to forget",
		"profile create s3 --endpoint x":     "flag --bucket",
		"profile create file":                "flag --claim",
		"get runs --context nowhere -o json": "context",
	} {
		t.Run(line, func(t *testing.T) {
			code, stdout, stderr := execute(t, strings.Fields(line)...)
			if code != exit.Usage {
				t.Errorf("exit code %d, want %d; stderr %q", code, exit.Usage, stderr)
			}

			if stdout != "" || !strings.HasPrefix(stderr, "error: ") || !strings.Contains(stderr, want) {
				t.Errorf("stdout %q, stderr %q, want an error with %q", stdout, stderr, want)
			}
		})
	}
}

func TestSuggestions(t *testing.T) {
	for line, want := range map[string]string{
		"get run5":                 "did you mean kubectl kanister get runs?",
		"explain function KubeTsk": "did you mean KubeTask?",
	} {
		if _, _, stderr := execute(t, strings.Fields(line)...); !strings.Contains(stderr, "hint: "+want) {
			t.Errorf("%s: stderr %q, want the hint %q", line, stderr, want)
		}
	}
}

func TestReport(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "s", errors.New("no"))

	for name, test := range map[string]struct {
		err  error
		code exit.Code
		want string
	}{
		"nothing":      {nil, exit.Done, ""},
		"plain":        {errors.New("boom"), exit.ToolFailed, "error: boom\n"},
		"hint":         {exit.New(exit.Usage, errors.New("no bucket"), "give one"), exit.Usage, "error: no bucket\nhint: give one\n"},
		"reported":     {exit.Reported(exit.RunFailed, errors.New("told")), exit.RunFailed, ""},
		"forbidden":    {fmt.Errorf("reading: %w", forbidden), exit.NotPermitted, "error: reading: secrets \"s\" is forbidden: no\n"},
		"joined":       {errors.Join(errors.New("a"), exit.New(exit.Usage, errors.New("b"), "c")), exit.Usage, "error: a\nerror: b\nhint: c\n"},
		"half told":    {errors.Join(exit.Reported(exit.RunFailed, errors.New("told")), errors.New("left behind")), exit.RunFailed, "error: left behind\n"},
		"join wrapped": {exit.New(exit.SomeFailed, errors.Join(errors.New("a"), errors.New("b")), ""), exit.SomeFailed, "error: a\nb\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if code := report(&out, test.err); code != test.code || out.String() != test.want {
				t.Errorf("code %d, %q; want %d, %q", code, out.String(), test.code, test.want)
			}
		})
	}
}

func TestArgs(t *testing.T) {
	for name, test := range map[string]struct{ argv, want []string }{
		"plugin":             {[]string{"/usr/bin/kubectl-kanister", "get", "runs"}, []string{"get", "runs"}},
		"completion":         {[]string{"/usr/bin/kubectl_complete-kanister", "get", ""}, []string{"__complete", "get", ""}},
		"completion on .exe": {[]string{`kubectl_complete-kanister.exe`, "g"}, []string{"__complete", "g"}},
		"nothing":            {nil, nil},
	} {
		if got := Args(test.argv); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	for line, want := range map[string][]string{
		"":                    {"backup", "restore", "get", "describe", "profile"},
		"get |":               {"runs", "backups", "profiles", "blueprints", "functions"},
		"wait x --progress |": {"plain", "json"},
		"explain function |":  {"KubeTask", "KubeExec"},
		"backup |":            {"statefulset/", "pvc/"},
		"profile create |":    {"s3", "file"},
		"get runs --sort |":   {"size", "created"},
	} {
		args := append([]string{"__complete"}, strings.Fields(strings.TrimSuffix(line, "|"))...)
		code, stdout, _ := execute(t, append(args, "")...)

		for _, word := range want {
			if code != exit.Done || !slices.ContainsFunc(strings.Split(stdout, "\n"), func(l string) bool {
				bare, _, _ := strings.Cut(l, "\t")

				return bare == word
			}) {
				t.Errorf("completing %q: code %d, no %q in %q", line, code, word, stdout)
			}
		}
	}
}

// TestPluginStaysLight fails when the plugin starts to link kopia, a cloud SDK or the runner's heavy rooms.
func TestPluginStaysLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "..").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}

	heavy := []string{
		"github.com/kopia/", "github.com/aws/", "github.com/Azure/azure-sdk-for-go", "cloud.google.com/", "google.golang.org/api", "google.golang.org/grpc",
		"gocloud.dev", "github.com/minio/",
		"github.com/kubectl-kanister/kubectl-kanister/runner/kopia", "github.com/kubectl-kanister/kubectl-kanister/runner/location",
		"github.com/kubectl-kanister/kubectl-kanister/runner/engine", "github.com/kubectl-kanister/kubectl-kanister/runner/mover",
	}

	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/spf13/cobra") {
		t.Fatalf("go list does not list the plugin's packages: %d lines", len(deps))
	}

	for _, dep := range deps {
		for _, prefix := range heavy {
			if dep == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(dep, strings.TrimSuffix(prefix, "/")+"/") {
				t.Errorf("the plugin links %s", dep)
			}
		}
	}
}
