// Package blueprinttest gives tests upstream's blueprints, as they are in upstream's own Go module. Nothing is copied: go.mod
// names the module, and go.sum has its checksums, so that a fresh checkout needs nothing but the module proxy.
package blueprinttest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	// For go.mod. The package itself embeds only the blueprints of its first level.
	_ "github.com/kanisterio/blueprints"
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

// Dir is where the module lies on this machine.
func Dir(tb testing.TB) string {
	tb.Helper()

	cmd := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module)

	var stderr bytes.Buffer

	cmd.Stderr = &stderr

	out, err := cmd.Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		tb.Fatalf("finding module %s: %v: %s", module, err, stderr.String())
	}

	return string(bytes.TrimSpace(out))
}
