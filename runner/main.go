// Command kanister-runner is what runs in the cluster: the runner of a Job, the data mover of worker pods and kando, chosen by the
// name it is called by or by its first word. A runner with functions of one's own is this file with one more import.
package main

import (
	"os"

	_ "github.com/kubectl-kanister/kubectl-kanister/functions/builtin"
	"github.com/kubectl-kanister/kubectl-kanister/runner/app"
)

func main() {
	os.Exit(app.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
