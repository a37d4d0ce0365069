package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// readParams reads the template parameters, or takes those parts of them from the record that must not change in a run's life.
func (r *run) readParams() error {
	var (
		started time.Time
		origin  *record.TargetSnapshot
		resumed bool
	)

	r.journal.read(func(rec *record.Record) {
		started, origin = *rec.Started, rec.Origin
		resumed = begun(rec)
	})

	res := r.guard(call{parent: r.phases, deadline: r.deadline(), limit: r.limit(), do: func(ctx context.Context) (any, error) {
		return r.Engine.Params(ctx, started)
	}})
	if res.err != nil {
		// The deferPhase may still have something to clean up; it gets what the input alone tells.
		r.params = r.inputParams(started)
		restore(r.params, origin)
		r.rememberOutputs()

		res.err = fmt.Errorf("reading the parameters of the run: %w", res.err)

		return r.launchEnded(record.ReasonParameters, res)
	}

	read, _ := res.value.(*params.TemplateParams)
	r.params = read
	if r.params.Phases == nil {
		r.params.Phases = map[string]*params.Phase{}
	}

	for _, secret := range read.Secrets {
		r.Redactor.AddData(secret.Data)
	}

	if resumed && origin != nil {
		restore(r.params, origin)

		return nil
	}

	snapshot, err := snapshotOf(read)
	if err != nil {
		return r.launchFailed(record.ReasonParameters, "", "", err)
	}

	// Stored with the first phase's start, before anything is changed.
	r.journal.change(func(rec *record.Record) { rec.Origin = snapshot })

	return nil
}

// rememberOutputs brings back for the deferPhase what the record alone tells: outputs of finished phases. Objects that cannot be named
// without the target are an error to a template that asks for them.
func (r *run) rememberOutputs() {
	for name, output := range r.outputs {
		r.params.Phases[name] = &params.Phase{Output: output}
	}

	if r.action.DeferPhase == nil {
		return
	}

	if rendered, err := template.RenderObjects(r.action.DeferPhase.Objects, r.params); err == nil {
		r.deferred = rendered
	}
}

// begun tells whether any phase was ever started.
func begun(rec *record.Record) bool {
	for i := range rec.Phases {
		if rec.Phases[i].Started != nil {
			return true
		}
	}

	return false
}

// inputParams are the parameters as far as the input tells them.
func (r *run) inputParams(started time.Time) *params.TemplateParams {
	in := r.Input

	return &params.TemplateParams{
		ArtifactsIn: in.Artifacts, Time: started.UTC().Format(time.RFC3339Nano), Profile: in.Profile.Params(), Options: in.Options,
		RepositoryServer: in.RepositoryServer,
		Phases:           map[string]*params.Phase{}, PodOverride: in.PodOverride, PodLabels: in.PodLabels, PodAnnotations: in.PodAnnotations,
	}
}

// snapshotOf keeps what a successor must not read again.
func snapshotOf(p *params.TemplateParams) (*record.TargetSnapshot, error) {
	s := &record.TargetSnapshot{Workload: p.Workload()}

	if kind, _ := p.Object["kind"].(string); p.Object == nil || strings.EqualFold(kind, "Secret") {
		return s, nil
	}

	// A copy through JSON: the parameters are the templates' own, and the record only takes plain values.
	raw, err := json.Marshal(p.Object)
	if err != nil {
		return nil, fmt.Errorf("storing the target for a successor: %w", err)
	}

	if err := json.Unmarshal(raw, &s.Object); err != nil {
		return nil, fmt.Errorf("storing the target for a successor: %w", err)
	}

	if metadata, ok := s.Object["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")

		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}

	s.Object, err = record.Normal(s.Object)
	if err != nil {
		return nil, fmt.Errorf("storing the target for a successor: %w", err)
	}

	return s, nil
}

// restore puts the snapshot back where templates look.
func restore(p *params.TemplateParams, s *record.TargetSnapshot) {
	if s == nil {
		return
	}

	if s.Workload != nil {
		switch {
		case p.Deployment != nil:
			p.Deployment = (*params.DeploymentParams)(s.Workload)
		case p.StatefulSet != nil:
			p.StatefulSet = (*params.StatefulSetParams)(s.Workload)
		case p.DeploymentConfig != nil:
			p.DeploymentConfig = (*params.DeploymentConfigParams)(s.Workload)
		default: // the parameters could not be read: the target's kind decides
			switch kind, _ := s.Object["kind"].(string); kind {
			case "Deployment":
				p.Deployment = (*params.DeploymentParams)(s.Workload)
			case "StatefulSet":
				p.StatefulSet = (*params.StatefulSetParams)(s.Workload)
			case "DeploymentConfig":
				p.DeploymentConfig = (*params.DeploymentConfigParams)(s.Workload)
			}
		}
	}

	if s.Object != nil {
		p.Object = s.Object
	}
}

// recall brings back what templates see of the phases that an earlier runner has begun. Secrets and ConfigMaps that are gone
// meanwhile are only an error to a template that asks for them.
func (r *run) recall() error {
	var (
		earlier      []string
		finished     map[string]any
		deferStarted bool
	)

	r.journal.read(func(rec *record.Record) {
		for i := range rec.Phases {
			if rec.Phases[i].Started != nil {
				earlier = append(earlier, rec.Phases[i].Name)
			}
		}

		if rec.Defer != nil && rec.Defer.State == record.Complete {
			deferStarted, finished = true, rec.Defer.Output
		}
	})

	for _, name := range earlier {
		phase, err := r.fetchAgain(name, r.objects[name])
		if err != nil {
			return err
		}

		phase.Output = r.outputs[name]
		r.params.Phases[name] = phase
	}

	if deferStarted {
		phase, err := r.fetchAgain(r.action.DeferPhase.Name, r.deferred)
		if err != nil {
			return err
		}

		phase.Output = finished
		r.params.DeferPhase = phase
	}

	return nil
}

// fetchAgain reads the objects of a phase that an earlier runner has begun. Its error ends the launch.
func (r *run) fetchAgain(name string, references map[string]blueprint.ObjectReference) (*params.Phase, error) {
	phase := &params.Phase{}
	if len(references) == 0 {
		return phase, nil
	}

	res := r.guard(call{parent: r.phases, deadline: r.deadline(), limit: r.limit(), do: func(ctx context.Context) (any, error) {
		return r.Objects(ctx, references)
	}})

	fetched, ok := res.value.(*params.Phase)

	switch {
	case res.err != nil && res.cause != nil:
		return nil, r.launchEnded(record.ReasonParameters, res)
	case res.err != nil:
		r.journal.warn(name, "reading its objects again: "+res.err.Error())
	case ok && fetched != nil:
		phase = fetched
	}

	r.learn(phase)

	return phase, nil
}

// learn makes the redactor hide what a phase may read.
func (r *run) learn(phase *params.Phase) {
	for _, secret := range phase.Secrets {
		r.Redactor.AddData(secret.Data)
	}
}

// copyParams is what one call gets: it may outlive the call that the engine gave up, and must not see later phases come.
func (r *run) copyParams() *params.TemplateParams {
	p := *r.params
	p.Phases = maps.Clone(r.params.Phases)

	return &p
}

// deadline of the phases; zero if there is none, or if they are all over: it does not count for what comes after them.
func (r *run) deadline() time.Time {
	var (
		started time.Time
		open    bool
	)

	r.journal.read(func(rec *record.Record) {
		started, open = *rec.Started, len(rec.Phases) == 0

		for i := range rec.Phases {
			open = open || rec.Phases[i].State == record.Pending || rec.Phases[i].State == record.Running
		}
	})

	if r.Input.TimeoutSeconds <= 0 || !open {
		return time.Time{}
	}

	return started.Add(time.Duration(r.Input.TimeoutSeconds) * time.Second)
}

func (r *run) limit() string {
	return fmt.Sprintf("the run's deadline of %s", time.Duration(r.Input.TimeoutSeconds)*time.Second)
}
