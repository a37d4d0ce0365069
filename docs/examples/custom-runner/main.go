// Command custom-runner is a runner image's program with functions of one's own beside the built-in ones.
package main

import (
	"os"

	_ "github.com/kubectl-kanister/kubectl-kanister/functions/builtin"
	"github.com/kubectl-kanister/kubectl-kanister/runner/app"

	_ "example.com/custom-runner/stamp"
)

func main() {
	os.Exit(app.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
