package record

import (
	"maps"
	"slices"
)

// Clone is a copy that can be read while r changes. Outputs, artifacts, undo arguments and the origin are shared: they are
// never changed in place.
func (r *Record) Clone() *Record {
	if r == nil {
		return nil
	}

	c := *r
	c.Phases = slices.Clone(r.Phases)

	for i := range c.Phases {
		c.Phases[i].detach()
	}

	if r.Defer != nil {
		deferPhase := *r.Defer
		deferPhase.detach()
		c.Defer = &deferPhase
	}

	c.Undo = slices.Clone(r.Undo)
	c.Holds = slices.Clone(r.Holds)
	c.Artifacts = maps.Clone(r.Artifacts)
	c.Error = r.Error.Clone()
	c.DeferError = r.DeferError.Clone()
	c.UndoErrors = slices.Clone(r.UndoErrors)
	c.Warnings = slices.Clone(r.Warnings)
	c.Events = slices.Clone(r.Events)

	return &c
}

func (p *Phase) detach() {
	p.Pods = slices.Clone(p.Pods)
	p.Error = p.Error.Clone()
	p.Output = maps.Clone(p.Output)
	p.Notes = maps.Clone(p.Notes)

	if p.Progress != nil {
		progress := *p.Progress
		p.Progress = &progress
	}
}
