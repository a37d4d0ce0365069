package recipe

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
)

// TestDockerfileCopiesWhatTheRunnerImports keeps the release's build from failing for want of a folder.
func TestDockerfileCopiesWhatTheRunnerImports(t *testing.T) {
	hack, err := binaries.Hack()
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile(filepath.Join(hack, "image", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./runner")
	cmd.Dir = filepath.Dir(hack)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	const module = "github.com/kubectl-kanister/kubectl-kanister/"
	for line := range strings.Lines(string(out)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), module)
		if !ok {
			continue
		}
		folder, _, _ := strings.Cut(path, "/")
		if !strings.Contains(string(dockerfile), "COPY "+folder+" "+folder+"\n") {
			t.Errorf("the runner imports %s, but the Dockerfile does not copy %s", path, folder)
		}
	}
}

func TestDockerfileMakesTheSameImage(t *testing.T) {
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append([]string{
		"USER " + runnerConfig.User, `ENTRYPOINT ["` + runnerConfig.Entrypoint[0] + `"]`, "WORKDIR " + runnerConfig.WorkingDir,
		"ln -s /runner /root-fs/usr/local/bin/kando",
	}, runnerConfig.Env[1:]...) {
		if !strings.Contains(string(dockerfile), want) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
}
