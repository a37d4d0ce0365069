package blueprint

import (
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/suggest"
)

// fault reports a finding at the place of a path.
func (d *decoder) fault(at point, path, suggestion, message string) {
	d.findings = append(d.findings, Finding{
		File: d.source.file, Line: at.line, Column: at.column, Path: path, Message: message, Suggestion: suggestion, Severity: Error,
	})
}

// checkBlueprint finds what the types alone do not: actions without phases, phases without function or name.
func (d *decoder) checkBlueprint(b *Blueprint) {
	if len(b.Actions) == 0 && len(d.findings) == 0 {
		d.fault(d.source.at("actions"), "actions", "", "there are no actions")
	}

	for name, action := range b.Actions {
		path := join("actions", name)

		if action == nil {
			d.fault(d.source.keyAt(path), path, "", "the action is empty; it needs phases")

			continue
		}

		if len(action.Phases) == 0 && !d.faulty(path) {
			d.fault(d.source.keyAt(path), path+".phases", "", "the action has no phases")
		}

		for i := range action.Phases {
			at := element(path+".phases", i)

			if d.faulty(at) {
				continue
			}

			if action.Phases[i].Func == "" {
				d.fault(d.source.at(at), at+".func", "", "func is missing: the name of a Kanister Function")
			}

			if action.Phases[i].Name == "" {
				d.fault(d.source.at(at), at+".name", "", "name is missing: outputs and Secrets of a phase are found by it")
			}
		}

		if action.DeferPhase != nil && action.DeferPhase.Func == "" && !d.faulty(path+".deferPhase") {
			d.fault(d.source.at(path+".deferPhase"), path+".deferPhase.func", "", "func is missing: the name of a Kanister Function")
		}
	}
}

// faulty tells whether something at or below path was reported already.
func (d *decoder) faulty(path string) bool {
	return slices.ContainsFunc(d.findings, func(f Finding) bool { return strings.HasPrefix(f.Path, path) })
}

// checkProfile finds a location or credential that cannot work, whatever the Secret holds.
func (d *decoder) checkProfile(node *yaml.Node, p *Profile) {
	if member(node, "location") == nil {
		d.fault(d.source.at(""), "location", "", "location is missing")

		return
	}

	types := []string{string(LocationS3), string(LocationGCS), string(LocationAzure), string(LocationKopia), string(LocationFilestore)}
	if !slices.Contains(types, string(p.Location.Type)) && !d.faulty("location") {
		d.fault(d.source.at("location.type"), "location.type", suggest.Nearest(string(p.Location.Type), types),
			"the location type must be one of "+strings.Join(types, ", "))
	}

	credentials := []string{string(CredentialKeyPair), string(CredentialSecret), string(CredentialKopia)}
	kind := string(p.Credential.Type)

	if kind != "" && !slices.Contains(credentials, kind) && !d.faulty("credential") {
		d.fault(d.source.at("credential.type"), "credential.type", suggest.Nearest(kind, credentials),
			"the credential type must be one of "+strings.Join(credentials, ", "))
	}

	missing := map[CredentialType]bool{
		CredentialKeyPair: p.Credential.KeyPair == nil, CredentialSecret: p.Credential.Secret == nil,
		CredentialKopia: p.Credential.KopiaServerSecret == nil,
	}
	fields := map[CredentialType]string{
		CredentialKeyPair: "keyPair", CredentialSecret: "secret", CredentialKopia: "kopiaServerSecret",
	}

	if missing[p.Credential.Type] && !d.faulty("credential") {
		field := fields[p.Credential.Type]
		d.fault(d.source.at("credential"), "credential."+field, "",
			"credential type "+kind+" needs "+field)
	}
}

// checkActionSet finds an ActionSet that asks for nothing.
func (d *decoder) checkActionSet(_ *yaml.Node, a *ActionSet) {
	if len(d.findings) > 0 {
		return
	}

	if a.Spec == nil || len(a.Spec.Actions) == 0 {
		d.fault(d.source.at("spec"), "spec.actions", "", "there are no actions")

		return
	}

	for i, action := range a.Spec.Actions {
		path := element("spec.actions", i)

		if action.Name == "" {
			d.fault(d.source.at(path), path+".name", "", "name is missing: an action of the blueprint")
		}
	}
}

// secretFile is a Secret as files have it: with stringData, which the API server folds into data.
type secretFile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Immutable  *bool             `json:"immutable,omitempty"`
	Data       map[string][]byte `json:"data,omitempty"`
	StringData map[string]string `json:"stringData,omitempty"`
	Type       corev1.SecretType `json:"type,omitempty"`
}

func (d *decoder) secret(node *yaml.Node) *corev1.Secret {
	var file secretFile

	d.value(node, reflect.ValueOf(&file).Elem(), "", 0)

	secret := &corev1.Secret{
		TypeMeta: file.TypeMeta, ObjectMeta: file.ObjectMeta, Immutable: file.Immutable, Data: file.Data, Type: file.Type,
	}

	for key, value := range file.StringData {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}

		secret.Data[key] = []byte(value)
	}

	return secret
}
