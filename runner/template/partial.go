package template

import (
	"slices"

	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// volatile are the functions that give something else each time.
var volatile = []string{
	"ago", "now", "randAlpha", "randAlphaNum", "randAscii", "randBytes", "randInt", "randNumeric", "shuffle", "uuidv4",
	"encryptAES", "genCA", "genCAWithKey", "genPrivateKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert",
	"genSignedCertWithKey",
}

// RenderPartial renders text as far as that is possible before the run. A template that reads what is not known yet comes back as
// it is, with unresolved true: outputs of phases, Secrets and ConfigMaps that p does not hold, the time of the run, chance. Errors
// are those that the run would meet as well.
func RenderPartial(text string, p *params.TemplateParams) (out string, unresolved bool, err error) {
	refs, err := syntax.References(text)
	if err != nil {
		return "", false, err
	}

	if p == nil {
		p = &params.TemplateParams{}
	}

	for _, r := range refs {
		if pending(r, p) {
			return text, true, nil
		}
	}

	used, err := syntax.Identifiers(text)
	if err != nil {
		return "", false, err
	}

	if slices.ContainsFunc(volatile, func(name string) bool { return used[name] }) {
		return text, true, nil
	}

	out, err = Render(text, p)

	return out, false, err
}

// RenderPartialArgs does for arguments what RenderPartial does for one template; unresolved are the paths of the arguments that
// came back as they were, sorted.
func RenderPartialArgs(args map[string]any, p *params.TemplateParams) (out map[string]any, unresolved []string, err error) {
	left := map[string]bool{}

	out, err = renderMapAt("", args, func(path, text string) (string, error) {
		rendered, pending, err := RenderPartial(text, p)
		if pending {
			left[path] = true
		}

		return rendered, err
	})

	return out, sortedKeys(left), err
}

// pending tells whether what r reads is known only in the run.
func pending(r syntax.Reference, p *params.TemplateParams) bool {
	if len(r.Path) == 0 {
		return true // the whole root, outputs included
	}

	switch r.Path[0] {
	case "Time":
		return true
	case "Phases":
		if len(r.Path) == 1 {
			return !r.Scope
		}

		return pendingPhase(r, r.Path[2:], p.Phases[r.Path[1]])
	case "DeferPhase":
		return pendingPhase(r, r.Path[1:], p.DeferPhase)
	case "CurrentPhase":
		return pendingPhase(r, r.Path[1:], p.CurrentPhase)
	case "Secrets":
		return absent(r.Path[1:], p.Secrets)
	case "ConfigMaps":
		return absent(r.Path[1:], p.ConfigMaps)
	}

	return false
}

// pendingPhase looks at what is read below a phase.
func pendingPhase(r syntax.Reference, below []string, phase *params.Phase) bool {
	switch {
	case phase == nil:
		return true
	case len(below) == 0:
		return !r.Scope
	}

	switch below[0] {
	case "Output":
		return absent(below[1:], phase.Output)
	case "Secrets":
		return absent(below[1:], phase.Secrets)
	case "ConfigMaps":
		return absent(below[1:], phase.ConfigMaps)
	}

	return false
}

func absent[V any](below []string, m map[string]V) bool {
	if len(below) == 0 {
		return len(m) == 0
	}

	_, ok := m[below[0]]

	return !ok
}

// Sensitive tells whether text reads secret material: Secrets of any kind, the profile's credential, outputs are not counted. When
// in doubt it says yes, and for a text that does not parse as well.
func Sensitive(text string) bool {
	refs, err := syntax.References(text)
	if err != nil {
		return true
	}

	for _, r := range refs {
		if !r.Tested && !r.Scope && sensitive(r.Path) {
			return true
		}
	}

	return false
}

func sensitive(path []string) bool {
	if len(path) == 0 {
		return true
	}

	switch path[0] {
	case "Secrets":
		return true
	case "Profile":
		return len(path) == 1 || path[1] == "Credential" || path[1] == "RepositoryPassword"
	case "RepositoryServer":
		return len(path) == 1 || path[1] == "Credentials"
	case "Phases":
		return len(path) < 3 || path[2] == "Secrets"
	case "CurrentPhase", "DeferPhase":
		return len(path) < 2 || path[1] == "Secrets"
	case "Object":
		// The target may be a Secret.
		return len(path) < 2 || path[1] == "data" || path[1] == "stringData"
	}

	return false
}
