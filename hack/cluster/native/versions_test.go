package native

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/hack/binaries"
)

func TestVersionsAreThoseOfTheModules(t *testing.T) {
	hack, err := binaries.Hack()
	if err != nil {
		t.Fatal(err)
	}

	data, err := os.ReadFile(filepath.Join(hack, "versions.txt"))
	if err != nil {
		t.Fatal(err)
	}

	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}

		if len(fields) != 4 {
			t.Errorf("line %q: want name, version, directory, module", line)

			continue
		}

		p := binaries.Program{Name: fields[0], Dir: fields[2], Module: fields[3]}
		if version, err := p.Version(); err != nil || version != fields[1] {
			t.Errorf("%s: %s in versions.txt, %s in %s/go.mod (%v)", fields[0], fields[1], version, fields[2], err)
		}
	}
}
