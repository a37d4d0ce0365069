// Package blueprinttest gives tests upstream's blueprints, as they are in upstream's own Go module. Nothing is copied: hack/go.mod
// names the module and hack/go.sum has its checksums, so that a fresh checkout needs nothing but the module proxy. It is not in the
// root's go.mod, because its checksum is not in the public database: whoever imports our module would have to make an exception.
package blueprinttest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const module = "github.com/kanisterio/blueprints"

// Upstream is every Blueprint file of upstream's module by its path there: "postgres/postgres-blueprint.yaml".
func Upstream(tb testing.TB) map[string][]byte {
	tb.Helper()

	root := Dir(tb)
	files := map[string][]byte{}

	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") && !strings.HasSuffix(path, ".yml") {
			return err
		}

		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append([]byte("\n"), data...), []byte("\nkind: Blueprint\n")) {
			return err
		}

		name, err := filepath.Rel(root, path)
		files[filepath.ToSlash(name)] = data

		return err
	})
	if err != nil {
		tb.Fatal(err)
	}

	return files
}

// Dir is where the module lies on this machine; it is fetched if it is not there.
func Dir(tb testing.TB) string {
	tb.Helper()

	_, source, _, _ := runtime.Caller(0)
	hack := filepath.Join(filepath.Dir(source), "..", "..", "..", "hack")

	var (
		stderr     bytes.Buffer
		downloaded struct{ Dir, Error string }
	)

	cmd := exec.CommandContext(tb.Context(), "go", "-C", hack, "mod", "download", "-json", module)
	cmd.Stderr = &stderr

	out, err := cmd.Output()
	if jsonErr := json.Unmarshal(out, &downloaded); err != nil || jsonErr != nil || downloaded.Dir == "" {
		tb.Fatalf("fetching module %s: %v: %s%s", module, err, downloaded.Error, stderr.String())
	}

	return downloaded.Dir
}
