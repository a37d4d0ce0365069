package pack

import (
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// inputSecret is what the runner is told. It holds the profile's credentials, therefore a Secret, and never changes.
func inputSecret(p *plan.Plan) (*corev1.Secret, error) {
	raw, err := json.Marshal(p.Input)
	if err != nil {
		return nil, fmt.Errorf("packing the run's input: %w", err)
	}

	if len(raw) > maxSecret {
		return nil, exit.New(exit.Usage, tooLarge(len(raw)), "")
	}

	immutable := true

	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: meta(p, p.Namespace()),
		Immutable:  &immutable,
		Type:       "kanister.io/run-input",
		Data:       map[string][]byte{record.InputKey: raw},
	}, nil
}

// recordConfigMap is the record of a run that has not begun: what was asked, all phases pending.
func recordConfigMap(p *plan.Plan, o Options) (*corev1.ConfigMap, error) {
	r := Record(p, o)

	data, err := record.Encode(r)
	if err != nil {
		return nil, fmt.Errorf("packing the run record: %w", err)
	}

	blueprint, err := yaml.Marshal(p.Input.Blueprint)
	if err != nil {
		return nil, fmt.Errorf("packing the blueprint %q: %w", p.Input.Blueprint.Name, err)
	}

	data[record.KeyBlueprint] = string(blueprint)

	m := meta(p, p.Namespace())
	maps.Copy(m.Labels, record.Labels(r))

	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: m, Data: data}, nil
}

// Record is the run record before the runner has begun.
func Record(p *plan.Plan, o Options) *record.Record {
	r := &record.Record{
		SchemaVersion: record.SchemaVersion, Run: p.Run(), Namespace: p.Namespace(), Action: p.Input.Action, Digest: p.Digest,
		Blueprint: record.BlueprintInfo{Name: p.Input.Blueprint.Name, Source: p.Input.BlueprintSource, Digest: p.BlueprintDigest},
		Target:    p.Input.Target, State: record.Pending, Created: o.Created.UTC(), From: p.Input.From, Phases: []record.Phase{},
		Server: p.Input.ServerWord,
	}

	if p.Input.Profile != nil {
		r.Profile = p.Input.Profile.Reference(p.Namespace())
	}

	for _, phase := range p.Phases {
		r.Phases = append(r.Phases, record.Phase{Name: phase.Name, Func: phase.Func, State: record.Pending})
	}

	if p.Defer != nil {
		r.Defer = &record.Phase{Name: p.Defer.Name, Func: p.Defer.Func, State: record.Pending}
	}

	return r
}
