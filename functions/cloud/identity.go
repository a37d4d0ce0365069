package cloud

import "github.com/kubectl-kanister/kubectl-kanister/functions"

// TagKey is the tag of what a run makes in AWS. Its value is TagOf the phase.
const TagKey = "kanister.io/run"

// TagOf is the value of TagKey for what the running phase makes: "namespace/run/phase".
func TagOf(run *functions.Run) string { return run.Namespace + "/" + run.Name + "/" + run.Phase }

// Unique differs between runs, also of the same name, and phases, but not when a phase is repeated.
func Unique(run *functions.Run) string {
	unique := TagOf(run)
	if run.Owner != nil {
		unique += string(run.Owner.Reference.UID)
	}

	return unique
}
