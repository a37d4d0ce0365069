package blueprint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// Options of Validate.
type Options struct {
	// Functions are the functions that the runner has. Without a table neither functions nor their arguments are checked.
	Functions FunctionTable
	// AllowUnknownFunctions makes an unknown function a warning, for runners with functions of their own.
	AllowUnknownFunctions bool
}

// Validate finds, before anything runs, what would fail in the run: unknown functions, missing, unknown and ill-typed arguments,
// templates that do not parse, references to what will not be there. Findings are in the order of the file. A finding of severity
// Error is a fault on every way through the blueprint; what may never be reached, or fails on some runs only, is a Warning.
func Validate(b *Blueprint, o Options) Findings {
	v := &validator{blueprint: b, options: o}

	for _, name := range slices.Sorted(maps.Keys(b.Actions)) {
		if b.Actions[name] != nil {
			v.action(name, b.Actions[name])
		}
	}

	v.duplicates()
	v.findings.sort()

	return slices.CompactFunc(v.findings, func(x, y Finding) bool { return x == y })
}

type validator struct {
	blueprint *Blueprint
	options   Options
	findings  Findings
}

// add reports a finding.
func (v *validator) add(severity Severity, at point, path, suggestion, format string, args ...any) {
	v.findings = append(v.findings, Finding{
		File: v.blueprint.Source.File(), Line: at.line, Column: at.column, Path: path,
		Message: fmt.Sprintf(format, args...), Suggestion: suggestion, Severity: severity,
	})
}

func (v *validator) source() *Source { return v.blueprint.Source }

// function looks a phase's function up; ok is false when its arguments cannot be checked.
func (v *validator) function(p *Phase) (Function, bool) {
	if v.options.Functions == nil {
		return Function{}, false
	}

	return v.options.Functions.Lookup(p.Func)
}

func (v *validator) action(name string, a *Action) {
	path := join("actions", name)

	for i := range a.Phases {
		at := element(path+".phases", i)
		v.phase(at, &a.Phases[i])

		for arg := range v.strings(at+".args", a.Phases[i].Args) {
			arg.scope = scope{action: a, actionName: name, phase: &a.Phases[i], earlier: a.Phases[:i], later: a.Phases[i+1:], place: inArgs}
			v.template(arg)
		}

		v.objects(at, a, &a.Phases[i])
	}

	if a.DeferPhase != nil {
		at := path + ".deferPhase"
		v.phase(at, a.DeferPhase)

		for arg := range v.strings(at+".args", a.DeferPhase.Args) {
			arg.scope = scope{action: a, actionName: name, phase: a.DeferPhase, earlier: a.Phases, place: inDefer}
			v.template(arg)
		}

		v.objects(at, a, a.DeferPhase)
	}

	for _, artifact := range slices.Sorted(maps.Keys(a.OutputArtifacts)) {
		at := join(path+".outputArtifacts", artifact)
		s := scope{action: a, actionName: name, earlier: a.Phases, place: inArtifacts}

		for _, key := range slices.Sorted(maps.Keys(a.OutputArtifacts[artifact].KeyValue)) {
			v.template(text{path: join(at+".keyValue", key), value: a.OutputArtifacts[artifact].KeyValue[key], scope: s})
		}

		v.template(text{path: at + ".kopiaSnapshot", value: a.OutputArtifacts[artifact].KopiaSnapshot, scope: s})
	}
}

// objects checks the references to Secrets and ConfigMaps of a phase, which are rendered before the first phase runs.
func (v *validator) objects(path string, a *Action, p *Phase) {
	for _, name := range slices.Sorted(maps.Keys(p.Objects)) {
		at, ref := join(path+".objects", name), p.Objects[name]

		for _, field := range []struct{ name, value string }{
			{"apiVersion", ref.APIVersion},
			{"group", ref.Group},
			{"resource", ref.Resource},
			{"kind", ref.Kind},
			{"name", ref.Name},
			{"namespace", ref.Namespace},
		} {
			v.template(text{path: join(at, field.name), value: field.value, scope: scope{action: a, phase: p, place: inObjects}})
		}

		kind := strings.ToLower(ref.Kind)

		switch {
		case strings.Contains(kind, "{{"):
		case kind != "secret" && kind != "configmap":
			v.add(Warning, v.source().at(at), at+".kind", suggest.Nearest(ref.Kind, []string{"Secret", "ConfigMap"}),
				"only Secrets and ConfigMaps are fetched; an object of kind %q is passed over", ref.Kind)
		case ref.Name == "":
			v.add(Error, v.source().at(at), at+".name", "", "name is missing")
		}
	}
}

// duplicates finds phases of the same name. Within an action they would share one entry under .Phases. Between actions they are
// harmless, but upstream's validation refuses them (COMPAT §2.4.8), so a blueprint that is to run there too must be told.
func (v *validator) duplicates() {
	type home struct{ action, path string }

	first := map[string]home{}

	for _, name := range slices.Sorted(maps.Keys(v.blueprint.Actions)) {
		action := v.blueprint.Actions[name]
		if action == nil {
			continue
		}

		here := map[string]string{}

		for i := range action.Phases {
			phase := action.Phases[i].Name
			path := element(join("actions", name)+".phases", i) + ".name"

			if phase == "" {
				continue
			}

			if other, twice := here[phase]; twice {
				where := other
				if line := v.source().at(other).line; line > 0 {
					where = fmt.Sprintf("line %d", line)
				}

				v.add(Error, v.source().at(path), path, "", "the phase name %q stands twice in this action, first on %s; outputs would be mixed up",
					phase, where)

				continue
			}

			here[phase] = path

			if other, twice := first[phase]; twice {
				v.add(Warning, v.source().at(path), path, "",
					"the phase name %q is used by action %q too; this runs, but upstream's validation refuses it", phase, other.action)

				continue
			}

			first[phase] = home{name, path}
		}
	}
}
