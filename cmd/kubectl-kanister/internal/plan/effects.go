package plan

import (
	"strings"
	"text/template"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

// notYet stands for a value that only the run itself will know.
const notYet = "…"

// effects renders what the function does in words; objects are those that its documents and references name. A sentence that
// does not render is left out: it is talk, not contract.
func effects(function spec.Function, args map[string]any, unknown map[string]bool, objects string) []string {
	values := map[string]any{"objects": objects}

	for _, arg := range function.Args {
		switch value, known := args[arg.Name]; {
		case unknown[arg.Name]:
			values[arg.Name] = notYet
		case known:
			values[arg.Name] = value
		default:
			values[arg.Name] = ""
		}
	}

	var lines []string

	for _, text := range function.Effects {
		parsed, err := template.New("effect").Option("missingkey=zero").Parse(text)
		if err != nil {
			continue
		}

		var out strings.Builder
		if err := parsed.Execute(&out, values); err != nil {
			continue
		}

		if line := strings.Join(strings.Fields(out.String()), " "); line != "" {
			lines = append(lines, line)
		}
	}

	return lines
}
