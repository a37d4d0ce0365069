package plan

import (
	"regexp"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// namespaceField is .Namespace itself, not a member of that name of something else, as in .StatefulSet.Namespace.
var namespaceField = regexp.MustCompile(`(?:^|[^\w)\]}])\.Namespace\b`)

// ReadsNamespace tells whether a template of the action reads .Namespace, which only a namespace as the target sets.
func ReadsNamespace(action *blueprint.Action) bool {
	return namespaceField.MatchString(mentions(action))
}
