package plan

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// WriteTo writes the plan for people: what will happen, with which rights, what to know before. It never writes rendered
// arguments, which may hold credentials.
func (p *Plan) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder

	in := p.Input
	fmt.Fprintf(&b, "plan      run/%s in namespace %s\n", in.Run, in.Namespace)
	fmt.Fprintf(&b, "action    %s of %s/%s\n", in.Action, in.Target.Kind, in.Target.Name)
	fmt.Fprintf(&b, "blueprint %s (%s)\n", in.Blueprint.Name, in.BlueprintSource)

	if in.Profile != nil {
		fmt.Fprintf(&b, "profile   %s (%s)\n", in.Profile.Reference(in.Namespace), location(in.Profile.Location))
	}

	if in.RepositoryServer != nil {
		fmt.Fprintf(&b, "server    %s (%s)\n", in.RepositoryServer.Name, in.RepositoryServer.Address)
	}

	if in.From != "" {
		fmt.Fprintf(&b, "from      %s\n", in.From)
	}

	fmt.Fprintf(&b, "images    %s\n", strings.Join(p.Images, ", "))

	for _, phase := range p.Phases {
		phase.write(&b, "phase")
	}

	if p.Defer != nil {
		p.Defer.write(&b, "defer")
	}

	if p.ServiceAccount != "" {
		fmt.Fprintf(&b, "rights    those of serviceaccount/%s, which exists\n", p.ServiceAccount)
	} else {
		p.writeRights(&b)
	}

	for _, warning := range p.Warnings {
		fmt.Fprintf(&b, "warning   %s\n", warning)
	}

	n, err := io.WriteString(w, b.String())

	return int64(n), err
}

func (p *Plan) writeRights(b *strings.Builder) {
	head := "rights"

	for _, grant := range p.Grants {
		names := ""
		if len(grant.Rule.ResourceNames) > 0 {
			names = " " + strings.Join(grant.Rule.ResourceNames, ",")
		}

		where := "cluster"
		if grant.Namespace != "" {
			where = grant.Namespace
		}

		resources := slices.Clone(grant.Rule.Resources)
		if group := grant.Rule.APIGroups[0]; group != "" {
			for i := range resources {
				resources[i] += "." + group
			}
		}

		fmt.Fprintf(b, "%-9s %s: %s %s%s\n", head, where, strings.Join(grant.Rule.Verbs, ","), strings.Join(resources, ","), names)
		head = ""
	}
}

func (p *Phase) write(b *strings.Builder, head string) {
	fmt.Fprintf(b, "%-9s %s (%s)\n", head, p.Name, p.Func)

	for _, effect := range p.Effects {
		fmt.Fprintf(b, "%-9s   %s\n", "", effect)
	}
}

func location(l blueprint.Location) string {
	if l.Type == blueprint.LocationFilestore {
		return "claim " + l.ClaimName
	}

	text := string(l.Type) + " " + l.Bucket
	if l.Prefix != "" {
		text += "/" + l.Prefix
	}

	if l.Endpoint != "" {
		text += " at " + l.Endpoint
	}

	return text
}
