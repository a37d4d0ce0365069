package plan

import (
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// partial renders args as far as p knows: rendered holds the arguments that came out whole, unknown the names of the others,
// which depend on what the run itself finds out, sorted. An error is a template that the run could not render either. With a
// nil p (the user may not read the target) nothing can be said of a template that fails: it is unknown.
func partial(args map[string]any, p *params.TemplateParams) (rendered map[string]any, unknown []string, err error) {
	rendered = map[string]any{}

	for _, name := range sortedKeys(args) {
		out, unresolved, err := template.RenderPartialArgs(map[string]any{name: args[name]}, p)

		switch {
		case err != nil && p == nil, err == nil && len(unresolved) > 0:
			unknown = append(unknown, name)
		case err != nil:
			return nil, nil, err
		default:
			rendered[name] = out[name]
		}
	}

	return rendered, unknown, nil
}
