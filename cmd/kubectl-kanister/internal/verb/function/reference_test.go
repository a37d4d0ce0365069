package function

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

var update = flag.Bool("update", false, "rewrite docs/functions.md")

// TestReferencePage: the page in the repository says what `explain function` says of every function.
func TestReferencePage(t *testing.T) {
	var page strings.Builder

	page.WriteString(`# Kanister Functions

What a phase's ` + "`func`" + ` can name: arguments, outputs, permissions, and where a function differs from upstream's. In a terminal:
` + "`kubectl kanister get functions` and `kubectl kanister explain function NAME`" + `. This page is made from ` + "`functions/spec`" + ` by
` + "`hack/update-generated.sh`" + `.

| function | family | |
|---|---|---|
`)

	for _, f := range spec.All() {
		name := f.ID
		if f.Ours {
			name += " (not in Kanister)"
		}

		fmt.Fprintf(&page, "| [%s](#%s) | %s | %s |\n", name, strings.ToLower(f.ID), f.Family, strings.Join(strings.Fields(f.Summary), " "))
	}

	for _, f := range spec.All() {
		fmt.Fprintf(&page, "\n## %s\n\n~~~text\n%s~~~\n", f.ID, Page(f))
	}

	path := filepath.Join("..", "..", "..", "..", "..", "docs", "functions.md")

	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	held, err := os.ReadFile(path)
	if err != nil || string(held) != page.String() {
		t.Errorf("%s is not what functions/spec says: run hack/update-generated.sh (%v)", path, err)
	}
}
