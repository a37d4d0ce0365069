package template

import (
	"slices"

	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// changers are the functions that change a map or list in place.
var changers = []string{
	"set", "unset", "merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite", "append", "push", "mustAppend", "mustPush", "concat",
}

// isolated gives parameters that text may change: its own copy of what sprig's functions can reach, if it calls one that changes
// its arguments. Upstream lets such a change live on in later templates, by accident of sharing; here each template sees the
// same parameters.
func isolated(text string, p *params.TemplateParams) (*params.TemplateParams, error) {
	used, err := syntax.Identifiers(text)
	if err != nil {
		return nil, err
	}

	if !slices.ContainsFunc(changers, func(name string) bool { return used[name] }) {
		return p, nil
	}

	out := *p
	out.Object, out.PodOverride = cloneMap(p.Object), cloneMap(p.PodOverride)
	out.CurrentPhase, out.DeferPhase = clonePhase(p.CurrentPhase), clonePhase(p.DeferPhase)

	if p.Phases != nil {
		out.Phases = make(map[string]*params.Phase, len(p.Phases))
		for name, phase := range p.Phases {
			out.Phases[name] = clonePhase(phase)
		}
	}

	return &out, nil
}

func clonePhase(p *params.Phase) *params.Phase {
	if p == nil {
		return nil
	}

	out := *p
	out.Output = cloneMap(p.Output)

	return &out
}

// cloneMap copies maps and lists as deep as they go; other values are shared, because nothing can change them.
func cloneMap(in map[string]any) map[string]any {
	if in == nil {
		return nil
	}

	out := make(map[string]any, len(in))
	for key, value := range in {
		out[key] = cloneValue(value)
	}

	return out
}

func cloneValue(in any) any {
	switch v := in.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cloneValue(v[i])
		}

		return out
	default:
		return in
	}
}
