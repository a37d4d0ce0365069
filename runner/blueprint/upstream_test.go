package blueprint_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// upstreamDir is where the Go module of upstream's blueprints lies. It is fetched through the module proxy, so a machine without it
// skips, unless KANISTER_COMPAT is set.
func upstreamDir(t *testing.T) string {
	t.Helper()

	download := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/kanisterio/blueprints")
	download.Dir = filepath.Join("testdata", "upstream")
	// The module is not in the public checksum database; go.sum pins it.
	download.Env = append(os.Environ(), "GONOSUMDB=github.com/kanisterio/*", "GOFLAGS=-mod=mod", "GOWORK=off")

	out, err := download.Output()

	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &module); err != nil || jsonErr != nil || module.Dir == "" {
		if os.Getenv("KANISTER_COMPAT") != "" {
			t.Fatalf("fetching upstream's blueprints: %v %v %s", err, jsonErr, module.Error)
		}

		t.Skipf("upstream's blueprints cannot be fetched here: %v %s", err, module.Error)
	}

	return module.Dir
}

// faults are the true faults of upstream's blueprints: what validation must find, and nothing else of severity error.
var faults = map[string][]string{}

func TestUpstreamBlueprints(t *testing.T) {
	t.Parallel()

	dir, found := upstreamDir(t), 0

	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") && !strings.HasSuffix(path, ".yml") {
			return err
		}

		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), "\nkind: Blueprint\n") && !strings.HasPrefix(string(data), "kind: Blueprint\n") {
			return err
		}

		found++
		name := filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator)))

		b, err := blueprint.Load(name, data)
		if err != nil {
			t.Errorf("loading: %v", err)

			return nil
		}

		findings := blueprint.Validate(b, blueprint.Options{Functions: upstreamFunctions})
		checkFaults(t, name, findings)

		for _, f := range findings.Warnings() {
			t.Log(f)
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	if found != 38 {
		t.Errorf("found %d blueprints, want 38", found)
	}
}

func checkFaults(t *testing.T, name string, findings blueprint.Findings) {
	t.Helper()

	want := faults[name]

	for _, f := range findings.Errors() {
		if len(want) > 0 && strings.Contains(f.String(), want[0]) {
			want = want[1:]

			continue
		}

		t.Errorf("%s", f)
	}

	for _, w := range want {
		t.Errorf("%s: no finding with %q", name, w)
	}
}
