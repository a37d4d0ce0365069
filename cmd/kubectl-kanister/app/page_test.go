package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
)

// TestCommandsPage: the page in the repository says of every command what its --help says.
func TestCommandsPage(t *testing.T) {
	var list, page strings.Builder

	for _, cmd := range commands(t) {
		if !cmd.HasParent() {
			continue
		}

		words := strings.Fields(cmd.CommandPath())[2:]
		args := append(words, "--help")
		title := cmd.CommandPath()

		if cmd.IsAdditionalHelpTopicCommand() {
			args = append([]string{"help"}, words...)
			title = "kubectl kanister help " + strings.Join(words, " ")
		}

		code, text, _ := execute(t, args...)
		if code != exit.Done {
			t.Fatalf("%s: code %d", title, code)
		}

		fmt.Fprintf(&list, "| [%s](#%s) | %s |\n", title, strings.ReplaceAll(title, " ", "-"), cmd.Short)
		fmt.Fprintf(&page, "\n## %s\n\n~~~text\n%s\n~~~\n", title, strings.TrimSpace(text))
	}

	want := `# Commands

What each command's ` + "`--help`" + ` says: all flags, exit codes, examples. This page is made by ` + "`hack/update-generated.sh`" + `.

| command | |
|---|---|
` + list.String() + page.String()
	path := filepath.Join("..", "..", "..", "docs", "commands.md")

	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	held, err := os.ReadFile(path)
	if err != nil || string(held) != want {
		t.Errorf("%s is not what --help says: run hack/update-generated.sh (%v)", path, err)
	}
}
