package functest_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

var update = flag.Bool("update", false, "rewrite docs/function-tests.md")

const (
	page  = "../../docs/function-tests.md"
	world = "../../e2e"
)

// declared are the strings and the names in a declaration of the end-to-end tests; methods have a dot before their name.
type declared struct {
	texts string
	names map[string]bool
}

// undoing are functions of no blueprint's: the undo list calls them when a phase of the other function fails.
var undoing = map[string]string{"ReleaseEBS": "CreateVolumeSnapshot", "ReleaseRDSInstance": "ExportRDSSnapshotToLocation"}

// TestEveryFunctionRunsOnTheCluster: each function is named by a test on the real cluster, and docs/function-tests.md says by which.
func TestEveryFunctionRunsOnTheCluster(t *testing.T) {
	t.Parallel()

	tests := cluster(t)
	// A backup, restore and delete without a blueprint call the functions of the built-in one.
	builtIn := builtInBlueprints(t)

	var b strings.Builder

	b.WriteString("# Functions and their tests\n\nMade by `go test ./functions/functest -update`. Every function also passes the conformance test of `functions/functest`.\n" +
		"`make test-functions` runs all of them. The right column is read from the tests' sources: whose blueprints or calls name the function;\n" +
		"TestVolumes… use the built-in blueprint, which names its functions itself. TestRealAWS is skipped unless it is asked for.\n\n" +
		"| function | tests on the cluster |\n|---|---|\n")

	for _, entry := range spec.All() {
		word := regexp.MustCompile(`\b` + entry.ID + `\b`)

		var by []string

		for _, name := range slices.Sorted(maps.Keys(tests)) {
			if word.MatchString(tests[name]) || strings.HasPrefix(name, "TestVolumes") && word.MatchString(builtIn) {
				by = append(by, name)
			}
		}

		if of := undoing[entry.ID]; of != "" {
			by = []string{"undoes " + of + ", by whose failures it is tested"}
		}

		if len(by) == 0 {
			t.Errorf("no test in e2e calls %s", entry.ID)
		}

		fmt.Fprintf(&b, "| %s | %s |\n", entry.ID, strings.Join(by, ", "))
	}

	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil { //nolint:gosec // a page of the documentation
			t.Fatal(err)
		}

		return
	}

	if have, err := os.ReadFile(page); err != nil || string(have) != b.String() {
		t.Errorf("docs/function-tests.md is out of date (%v): go test ./functions/functest -update", err)
	}
}

// cluster gives all the text that each end-to-end test has or refers to.
func cluster(t *testing.T) map[string]string {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(world, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("reading %s: %v", world, err)
	}

	all := map[string]declared{}

	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}

		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					name = "." + name
				}

				all[name] = contentOf(d, all[name])
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if value, ok := s.(*ast.ValueSpec); ok {
						for _, name := range value.Names {
							all[name.Name] = contentOf(value, all[name.Name])
						}
					}
				}
			}
		}
	}

	tests := map[string]string{}

	for name := range all {
		if strings.HasPrefix(name, "Test") {
			tests[name] = reach(all, name, map[string]bool{})
		}
	}

	return tests
}

func contentOf(node ast.Node, to declared) declared {
	if to.names == nil {
		to.names = map[string]bool{}
	}

	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			to.texts += n.Value + "\n"
		case *ast.SelectorExpr:
			to.names["."+n.Sel.Name] = true
		case *ast.Ident:
			to.names[n.Name] = true
		}

		return true
	})

	return to
}

func reach(all map[string]declared, name string, seen map[string]bool) string {
	if seen[name] {
		return ""
	}

	seen[name] = true
	text := all[name].texts

	for other := range all[name].names {
		if _, ok := all[other]; ok {
			text += reach(all, other, seen)
		}
	}

	return text
}

func builtInBlueprints(t *testing.T) string {
	t.Helper()

	var text strings.Builder

	if err := fs.WalkDir(os.DirFS("../../manifests/blueprints"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}

		data, err := os.ReadFile(filepath.Join("../../manifests/blueprints", path))
		text.Write(data)

		return err
	}); err != nil {
		t.Fatal(err)
	}

	return text.String()
}
