//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

const customRunner = "kubectl-kanister/custom-runner:dev"

// The module of docs/examples/custom-runner: its image runs its own function, with what --grant gives it and nothing else.
func TestCustomRunner(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: ` + toolsImage + `}]}
`)

	blueprint := "../docs/examples/custom-runner/blueprint.yaml"

	if r := w.Want(2, "backup", "deploy/web", "--blueprint", blueprint); !strings.Contains(r.Stderr, `there is no function "StampObject"`) {
		t.Errorf("with the runner image of this version:\n%s", r.Stderr)
	}

	r := w.Want(3, "backup", "deploy/web", "--blueprint", blueprint, "--runner-image", customRunner, "--name", "denied")
	for _, want := range []string{"StampObject", "--grant", "forbidden"} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("without a grant, nothing about %q:\n%s", want, r.Stderr)
		}
	}

	w.Want(0, "forget", "denied") // its denied request is the point, and no fault

	w.Want(0, "backup", "deploy/web", "--blueprint", blueprint, "--runner-image", customRunner, "--grant", "patch:deployments.apps=web", "--name", "stamped")

	stamp := w.Kubectl("get", "deploy", "web", "-o", `jsonpath={.metadata.annotations.example\.com/last-backup}`)
	if kept := w.Kubectl("get", "cm", "stamped", "-o", "jsonpath={.data.artifacts}"); stamp == "" || !strings.Contains(kept, stamp) {
		t.Errorf("the deployment has %q, the record %s", stamp, kept)
	}
}
