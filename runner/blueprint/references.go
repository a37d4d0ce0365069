package blueprint

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template/syntax"
)

// jsonPath is how Wait's conditions read the object (COMPAT §4.28).
var jsonPath = regexp.MustCompile(`\{\s*\$\.?[^{}]*\}`)

// members are the fields of the template parameters, by path; "*" is any key. A test holds it against package params.
var members = map[string][]string{
	"": {
		"ArtifactsIn", "ConfigMaps", "CurrentPhase", "DeferPhase", "Deployment", "DeploymentConfig", "Namespace", "Object", "Options",
		"PVC", "Phases", "PodAnnotations", "PodLabels", "PodOverride", "Profile", "RepositoryServer", "Secrets", "StatefulSet", "Time",
	},
	"Deployment":       {"Containers", "Name", "Namespace", "PersistentVolumeClaims", "Pods"},
	"StatefulSet":      {"Containers", "Name", "Namespace", "PersistentVolumeClaims", "Pods"},
	"DeploymentConfig": {"Containers", "Name", "Namespace", "PersistentVolumeClaims", "Pods"},
	"PVC":              {"Name", "Namespace"},
	"Namespace":        {"Name", "Namespace"},
	"ArtifactsIn.*":    {"KeyValue", "KopiaSnapshot"},
	"Phases.*":         {"ConfigMaps", "Output", "Secrets"},
	"DeferPhase":       {"ConfigMaps", "Output", "Secrets"},
	"CurrentPhase":     {"ConfigMaps", "Output", "Secrets"},
	"Profile":          {"CABundle", "Credential", "Location", "Name", "RepositoryPassword", "SkipSSLVerify"},
	"Profile.Location": {"Bucket", "ClaimName", "Endpoint", "Prefix", "Region", "Type"},
	"Profile.Credential": {
		"KeyPair", "KopiaServerSecret", "Secret", "Type",
	},
	"Profile.Credential.KeyPair": {"ID", "Secret"},
	"RepositoryServer": {
		"Address", "ContentCacheMB", "Credentials", "MetadataCacheMB", "Name", "Namespace", "ServerInfo", "Username",
	},
}

// reference checks one reading of the parameters.
func (v *validator) reference(t text, r syntax.Reference) {
	if v.member(t, r) {
		return
	}

	if len(r.Path) < 2 {
		return
	}

	switch r.Path[0] {
	case "Phases":
		v.phaseReference(t, r)
	case "DeferPhase":
		v.deferReference(t, r)
	case "ArtifactsIn":
		v.artifactReference(t, r)
	case "Options":
		v.optionReference(t, r)
	case "Secrets":
		v.listed(t, r, "secretNames", t.scope.action.SecretNames)
	case "ConfigMaps":
		v.listed(t, r, "configMapNames", t.scope.action.ConfigMapNames)
	}
}

// say reports what is wrong with a reference: an error if it is wrong whenever the template is rendered, else a warning.
func (v *validator) say(severity Severity, t text, r syntax.Reference, suggestion, format string, args ...any) {
	if r.Conditional || r.Soft {
		severity = Warning
	}

	fragment := "." + r.Path[len(r.Path)-1]
	v.add(severity, v.within(t, r.Line, r.Column, fragment), t.path, suggestion, r.String()+": "+format, args...)
}

// member reports a field that the parameters never have.
func (v *validator) member(t text, r syntax.Reference) bool {
	path := ""

	for i, name := range r.Path {
		fields, ok := members[path]
		if !ok {
			if fields, ok = members[wildcard(path)]; !ok {
				return false
			}
		}

		// Roots and phases are maps of names below; below them the path goes on with "*".
		if !slices.Contains(fields, name) {
			soft := r
			soft.Soft = false

			parent, near := "."+strings.Join(r.Path[:i], "."), suggest.Nearest(name, fields)

			switch {
			case i == 0 && near != "":
				v.say(Error, t, soft, near, "there is no such parameter")
			case i == 0:
				v.say(Error, t, soft, "", "there is no such parameter; there are %s", strings.Join(fields, ", "))
			default:
				v.say(Error, t, soft, near, "%s has no %q; it has %s", parent, name, strings.Join(fields, ", "))
			}

			return true
		}

		path = strings.TrimPrefix(path+"."+name, ".")

		// The key of a map of things is skipped over.
		if _, ok := members[path+".*"]; ok && i+1 < len(r.Path) {
			return v.below(t, r, i+2, path+".*")
		}
	}

	return false
}

// below checks the field under a key of a map.
func (v *validator) below(t text, r syntax.Reference, i int, path string) bool {
	if i >= len(r.Path) || slices.Contains(members[path], r.Path[i]) {
		return false
	}

	soft := r
	soft.Soft = false
	v.say(Error, t, soft, suggest.Nearest(r.Path[i], members[path]), ".%s has no %q; it has %s", strings.Join(r.Path[:i], "."), r.Path[i],
		strings.Join(members[path], ", "))

	return true
}

func wildcard(path string) string {
	cut := strings.LastIndex(path, ".")
	if cut < 0 {
		return "*"
	}

	return path[:cut] + ".*"
}

func (v *validator) phaseReference(t text, r syntax.Reference) {
	name := r.Path[1]

	if t.scope.place == inObjects {
		v.say(Error, t, r, "", "objects are rendered before the first phase runs, so no phase can be read here")

		return
	}

	if self := t.scope.phase; self != nil && t.scope.place == inArgs && self.Name == name {
		v.own(t, r, self)

		return
	}

	if i := slices.IndexFunc(t.scope.earlier, func(p Phase) bool { return p.Name == name }); i >= 0 {
		v.outcome(t, r, &t.scope.earlier[i], r.Path[2:])
		v.uncertain(t, r)

		return
	}

	if slices.ContainsFunc(t.scope.later, func(p Phase) bool { return p.Name == name }) {
		v.say(Error, t, r, "", "phase %q runs later", name)

		return
	}

	if d := t.scope.action.DeferPhase; d != nil && d.Name == name {
		v.say(Error, t, r, "", "%q is the deferPhase; what it has is read as .DeferPhase, in output artifacts only", name)

		return
	}

	names := make([]string, len(t.scope.earlier))
	for i := range t.scope.earlier {
		names[i] = t.scope.earlier[i].Name
	}

	v.say(Error, t, r, suggest.Nearest(name, names), "no earlier phase of action %q is named %q", t.scope.actionName, name)
}

// own checks what a phase reads of itself: its Secrets and ConfigMaps are there, its output is not.
func (v *validator) own(t text, r syntax.Reference, p *Phase) {
	if len(r.Path) > 2 && r.Path[2] == "Output" {
		v.say(Error, t, r, "", "this is the phase's own output, which is not there before it ran")

		return
	}

	v.outcome(t, r, p, r.Path[2:])
}

// uncertain warns of a deferPhase that cannot be rendered when the phase it reads did not complete (COMPAT §6.2).
func (v *validator) uncertain(t text, r syntax.Reference) {
	if t.scope.place == inDefer && !r.Conditional && len(r.Path) > 2 && r.Path[2] == "Output" {
		v.say(Warning, t, r, "", "when phase %q does not complete, the deferPhase cannot be rendered", r.Path[1])
	}
}

// outcome checks what is read of a phase that ran: below is the path under the phase.
func (v *validator) outcome(t text, r syntax.Reference, p *Phase, below []string) {
	if len(below) < 2 {
		return
	}

	key := below[1]

	switch below[0] {
	case "Output":
		f, ok := v.function(p)
		if !ok || f.OpenOutputs || slices.Contains(f.Outputs, key) {
			return
		}

		outputs := "it gives " + strings.Join(f.Outputs, ", ")
		if len(f.Outputs) == 0 {
			outputs = "it gives none"
		}

		v.say(Error, t, r, suggest.Nearest(key, f.Outputs), "%s gives no output %q; %s", p.Func, key, outputs)
	case "Secrets":
		v.object(t, r, p, key, "secret")
	case "ConfigMaps":
		v.object(t, r, p, key, "configmap")
	}
}

// object checks a Secret or ConfigMap that is read of a phase.
func (v *validator) object(t text, r syntax.Reference, p *Phase, key, kind string) {
	ref, ok := p.Objects[key]

	switch {
	case !ok:
		v.say(Error, t, r, suggest.Nearest(key, slices.Collect(maps.Keys(p.Objects))), "phase %q has no object %q", p.Name, key)
	case syntax.IsTemplate(ref.Kind):
	case strings.ToLower(ref.Kind) != kind:
		v.say(Error, t, r, "", "object %q of phase %q is of kind %q", key, p.Name, ref.Kind)
	}
}

func (v *validator) deferReference(t text, r syntax.Reference) {
	d := t.scope.action.DeferPhase

	switch {
	case d == nil:
		v.say(Error, t, r, "", "action %q has no deferPhase", t.scope.actionName)
	case t.scope.place == inArgs || t.scope.place == inObjects:
		v.say(Error, t, r, "", "the deferPhase runs later")
	case t.scope.place == inDefer && r.Path[1] == "Output":
		v.say(Error, t, r, "", "this is the phase's own output, which is not there before it ran")
	default:
		v.outcome(t, r, d, r.Path[1:])
	}
}

// artifactReference warns of artifacts that nothing gives. They come from another run, perhaps of another blueprint, so it is never
// an error.
func (v *validator) artifactReference(t text, r syntax.Reference) {
	name := r.Path[1]

	if v.listed(t, r, "inputArtifactNames", t.scope.action.InputArtifactNames) {
		return
	}

	var (
		given  []string
		values map[string]string
		found  bool
	)

	for _, action := range v.blueprint.Actions {
		if action == nil {
			continue
		}

		given = append(given, slices.Collect(maps.Keys(action.OutputArtifacts))...)

		if a, ok := action.OutputArtifacts[name]; ok {
			found = true

			if values == nil {
				values = map[string]string{}
			}

			maps.Copy(values, a.KeyValue)
		}
	}

	if len(given) == 0 {
		return
	}

	if !found {
		v.say(Warning, t, r, suggest.Nearest(name, given), "no action of this blueprint gives an artifact %q", name)

		return
	}

	if len(r.Path) > 3 && r.Path[2] == "KeyValue" {
		if _, ok := values[r.Path[3]]; !ok && len(values) > 0 {
			keys := slices.Sorted(maps.Keys(values))
			v.say(Warning, t, r, suggest.Nearest(r.Path[3], keys), "artifact %q has no key %q; it has %s", name, r.Path[3],
				strings.Join(keys, ", "))
		}
	}
}

// listed warns of a name that the action's list, where it has one, does not have. The lists are documentation only.
func (v *validator) listed(t text, r syntax.Reference, field string, names []string) bool {
	if len(names) == 0 || slices.Contains(names, r.Path[1]) {
		return false
	}

	v.say(Warning, t, r, suggest.Nearest(r.Path[1], names), "%q is not among the action's %s", r.Path[1], field)

	return true
}

// fallbacks are functions that look as if they could do with an option that is not given, but are never reached then.
var fallbacks = []string{"default", "coalesce", "empty", "if", "with", "and", "or", "not", "ternary", "eq", "ne"}

// optionReference warns of an option that looks optional but fails the run when it is not given (COMPAT §2.3, §8.1).
func (v *validator) optionReference(t text, r syntax.Reference) {
	if r.Soft || len(r.Path) != 2 {
		return
	}

	name := r.Path[1]
	guarded := slices.Contains(r.Guards, "Options."+name)

	switch {
	case guarded:
	case slices.Contains(fallbacks, r.Function) || r.Tested:
		v.say(Warning, t, r, "index .Options \""+name+"\"", "when option %q is not given, reading it fails the run before %s can look at it", name, r.Function)
	case slices.Contains(r.Guards, "Options"):
		v.say(Warning, t, r, "if index .Options \""+name+"\"",
			"the condition asks for any option; when another one than %q is given, this fails", name)
	}
}
