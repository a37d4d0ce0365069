package plan

import "github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"

// Text is all that an action says, as JSON.
func Text(action *blueprint.Action) string { return mentions(action) }
