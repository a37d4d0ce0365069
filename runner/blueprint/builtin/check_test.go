package builtin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/builtin"
)

// What would fail in the run whatever the templates give is found before it, and nothing else.
func TestForms(t *testing.T) {
	const named = `objectReference: {apiVersion: v1, group: apps, resource: deployments, name: "{{ .Deployment.Name }}"}`

	for _, test := range []struct {
		function, args string
		says           string // empty: it is valid
	}{
		{"WaitV2", `{timeout: 5m, conditions: {anyOf: [{condition: "{{ $.a }}", ` + named + `}]}}`, ""},
		{"WaitV2", `{timeout: 5, conditions: {anyOf: [{condition: "{{ $.a }}", ` + named + `}]}}`, `timeout: "5" is no duration above zero, such as 5m`},
		{"WaitV2", `{timeout: -5m, conditions: {anyOf: [{condition: "{{ $.a }}", ` + named + `}]}}`, `"-5m" is no duration`},
		{"Wait", `{timeout: "{{ .Options.limit }}", conditions: {allOf: [{condition: "{ $.a }", ` + named + `}]}}`, ""},
		{"Wait", `{timeout: 5m, conditions: {allof: [{condition: "{ $.a }", ` + named + `}]}}`, `there is no field "allof"; did you mean "allOf"?`},
		{"Wait", `{timeout: 5m, conditions: {}}`, "there is no condition in it"},
		{"Wait", `{timeout: 5m, conditions: [a]}`, "wrong type: conditions takes a mapping"},
		{"Wait", `{timeout: 5m, conditions: {allOf: [{condition: "{ $.a }"}]}}`, "allOf[0]: objectReference: it is no mapping"},
		{"WaitV2", `{timeout: 5m, conditions: {anyOf: [{condition: "{{ $.a }}", objectReference: {apiVersion: v1, name: x}}]}}`, "anyOf[0]: objectReference: resource is empty"},
		{"KubeOps", `{operation: delete, objectReference: {apiVersion: v1, resource: "{{ .Phases.x.Output.resource }}", name: x}, timeout: 1h}`, ""},
		{"KubeOps", `{operation: delete, objectReference: {apiVersion: v1, resources: pods, name: x}}`, `there is no field "resources"; did you mean "resource"?`},
		{"KubeOps", `{operation: delete, objectReference: {apiVersion: v1, resource: pods, name: x}, timeout: "5 minutes"}`, `"5 minutes" is no duration`},
		{"KubeOps", `{operation: create, spec: "kind: X", timeout: ""}`, ""},
		{"CreateCSISnapshot", `{pvc: a, namespace: b, snapshotClass: c, timeout: 2}`, `timeout: "2" is no duration`},
	} {
		document := fmt.Sprintf(`
apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: forms}
actions:
  backup:
    phases:
    - func: KubeOps
      name: x
      args: {operation: create, spec: "kind: X"}
    - func: %s
      name: other
      args: %s
`, test.function, test.args)

		bp, err := blueprint.Load("forms.yaml", []byte(document))
		if err != nil {
			t.Fatalf("%s: %v", test.args, err)
		}

		var errors []string

		for _, finding := range blueprint.Validate(bp, blueprint.Options{Functions: builtin.Functions()}) {
			if finding.Severity == blueprint.Error {
				errors = append(errors, finding.String())
			}
		}

		if all := strings.Join(errors, "\n"); (test.says == "") != (all == "") || !strings.Contains(all, test.says) || len(errors) > 1 {
			t.Errorf("%s %s:\ngot  %s\nwant %s", test.function, test.args, all, test.says)
		}
	}
}
