// Package builtin links every built-in function into a runner: import it for its side effect.
package builtin

import (
	// One line per family of functions.
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/csi"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/data"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/ebs"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/exec"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/kopiaserver"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/kubeops"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/location"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/rds"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/task"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/volumes"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/wait"
	_ "github.com/kubectl-kanister/kubectl-kanister/functions/workload"
)
