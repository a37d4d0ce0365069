package plan_test

import (
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

func TestReadsNamespace(t *testing.T) {
	for text, want := range map[string]bool{
		"{{ .Namespace.Name }}":                      true,
		"{{.Namespace.Name}}":                        true,
		"{{ $.Namespace.Name }}":                     true,
		"{{ with (.Namespace) }}x{{ end }}":          true,
		"{{ .StatefulSet.Namespace }}":               false,
		"{{ (index .X 0).Namespace }}":               false,
		"{{ .NamespaceX }}":                          false,
		"{{ .Object.metadata.namespace }}":           false,
		"{{ .ArtifactsIn.a.KeyValue.ns }}.Namespace": false,
	} {
		action := &blueprint.Action{Phases: []blueprint.Phase{{Func: "KubeTask", Name: "p", Args: map[string]any{"namespace": text}}}}
		if got := plan.ReadsNamespace(action); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
}
