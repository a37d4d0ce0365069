package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

// TestDocs: every page is reached from README.md by way of the index of docs/, and no link between the files of the repository is broken.
func TestDocs(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	links := func(page string) map[string]bool {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}

		found := map[string]bool{}

		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if target := match[1]; !strings.Contains(target, "://") {
				found[filepath.Join(filepath.Dir(page), target)] = true
			}
		}

		return found
	}

	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}

	index := links(filepath.Join("docs", "README.md"))

	if !links("README.md")[filepath.Join("docs", "README.md")] {
		t.Error("README.md does not link docs/README.md")
	}

	for _, path := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md")) {
		page, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}

		if strings.HasPrefix(page, "docs") && filepath.Base(page) != "README.md" && !index[page] {
			t.Errorf("docs/README.md does not link %s", page)
		}

		for target := range links(page) {
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, target)
			}
		}
	}
}
