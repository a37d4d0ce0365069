// Package template renders the templates of blueprints: text/template with sprig, as COMPAT §2 has it, with errors that name
// the expression and what there is instead, and with bounds: rendering always ends and never panics.
package template

import (
	"fmt"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// Parse checks that text is a template that the language can parse; it runs nothing. The error is a *syntax.Error, with line
// and column within text.
func Parse(text string) error { return syntax.Parse(text) }

// Render renders text with p. A key that does not exist is an error (COMPAT §2.3); the error is a *syntax.Error that names the
// expression, and the keys that do exist. The result has at most syntax.MaxOutput bytes.
func Render(text string, p *params.TemplateParams) (string, error) {
	if !syntax.IsTemplate(text) {
		return text, nil
	}

	if p == nil {
		p = &params.TemplateParams{}
	}

	p, err := isolated(text, p)
	if err != nil {
		return "", err
	}

	// By value, as upstream: templates see a struct.
	out, err := syntax.Execute(text, *p)
	if err != nil {
		return "", explain(text, p, err)
	}

	return out, nil
}

// RenderArgs renders the arguments of a phase: strings are rendered, lists element by element, maps both keys and values; numbers
// and booleans pass, null becomes nil (COMPAT §2.5). All maps of the result are map[string]any, all lists []any. An error names
// the argument by its path, such as command[2].
func RenderArgs(args map[string]any, p *params.TemplateParams) (map[string]any, error) {
	return renderMapAt("", args, func(_, text string) (string, error) { return Render(text, p) })
}

// RenderObjects renders the references to the Secrets and ConfigMaps of a phase; the names of the entries are not rendered. It
// is called once per run, before the first phase, when no phase has an output yet (COMPAT §2.4.1).
func RenderObjects(objects map[string]blueprint.ObjectReference, p *params.TemplateParams) (
	map[string]blueprint.ObjectReference, error,
) {
	if objects == nil {
		return nil, nil
	}

	out := make(map[string]blueprint.ObjectReference, len(objects))

	for _, name := range sortedKeys(objects) {
		ref := objects[name]

		for field, text := range map[string]*string{
			"apiVersion": &ref.APIVersion, "group": &ref.Group, "resource": &ref.Resource,
			"kind": &ref.Kind, "name": &ref.Name, "namespace": &ref.Namespace,
		} {
			rendered, err := Render(*text, p)
			if err != nil {
				return nil, fmt.Errorf("rendering objects.%s.%s: %w", name, field, err)
			}

			*text = rendered
		}

		out[name] = ref
	}

	return out, nil
}

// RenderArtifacts renders the values of output artifacts; artifact names and the keys of keyValue are not rendered (COMPAT §1.1).
func RenderArtifacts(artifacts map[string]blueprint.Artifact, p *params.TemplateParams) (map[string]blueprint.Artifact, error) {
	if artifacts == nil {
		return nil, nil
	}

	out := make(map[string]blueprint.Artifact, len(artifacts))

	for _, name := range sortedKeys(artifacts) {
		artifact := blueprint.Artifact{}

		if artifacts[name].KeyValue != nil {
			artifact.KeyValue = make(map[string]string, len(artifacts[name].KeyValue))
		}

		for _, key := range sortedKeys(artifacts[name].KeyValue) {
			value, err := Render(artifacts[name].KeyValue[key], p)
			if err != nil {
				return nil, fmt.Errorf("rendering outputArtifacts.%s.keyValue.%s: %w", name, key, err)
			}

			artifact.KeyValue[key] = value
		}

		snapshot, err := Render(artifacts[name].KopiaSnapshot, p)
		if err != nil {
			return nil, fmt.Errorf("rendering outputArtifacts.%s.kopiaSnapshot: %w", name, err)
		}

		artifact.KopiaSnapshot = snapshot
		out[name] = artifact
	}

	return out, nil
}
