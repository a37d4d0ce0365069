package function

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// TestPages: the page of every function names all that there is to know of it and fits the terminal.
func TestPages(t *testing.T) {
	for _, f := range spec.All() {
		page := Page(f)

		var words []string
		for _, a := range f.Args {
			words = append(words, "  "+a.Name+"  <"+string(a.Type)+">")
			words = append(words, a.Aliases...)
			words = append(words, a.Values...)
		}

		for _, o := range f.Outputs {
			words = append(words, "  "+o.Name+"  <"+string(o.Type)+">")
		}

		for _, rule := range f.Rules {
			words = append(words, rule.Resources...)
		}

		for _, word := range append(words, f.ID, "ARGUMENTS", "OUTPUTS", "PERMISSIONS", strings.SplitN(f.Example, "\n", 2)[0]) {
			if !strings.Contains(page, word) {
				t.Errorf("the page of %s lacks %q", f.ID, word)
			}
		}

		body, _, _ := strings.Cut(page, "\nEXAMPLE")
		for line := range strings.SplitSeq(body, "\n") {
			if len(line) > width+60 { // one long word may stand out
				t.Errorf("the page of %s has a line of %d characters: %q", f.ID, len(line), line)
			}
		}
	}
}

func TestGetFunctions(t *testing.T) {
	for format, want := range map[string]string{
		"": "KubeTask", "wide": "image*", "name": "function.kanister.io/KubeTask", "json": `"kind": "List"`, "jsonpath={.items[*].metadata.name}": "KubeTask",
	} {
		var out bytes.Buffer

		cmd := NewCmdGet(genericiooptions.IOStreams{Out: &out, ErrOut: &out})
		cmd.SetArgs([]string{"kubetask", "-o", format})

		if err := cmd.Execute(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("-o %q: %v, %q lacks %q", format, err, out.String(), want)
		}
	}
}
