// Package ebs holds the functions around snapshots of Amazon EBS volumes (COMPAT §4.14–4.17).
package ebs

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
)

type (
	// CreateVolumeSnapshot takes snapshots.
	CreateVolumeSnapshot struct{ spec.Function }
	// WaitForSnapshotCompletion waits for snapshots.
	WaitForSnapshotCompletion struct{ spec.Function }
	// CreateVolumeFromSnapshot makes claims again from snapshots.
	CreateVolumeFromSnapshot struct{ spec.Function }
	// DeleteVolumeSnapshot deletes snapshots.
	DeleteVolumeSnapshot struct{ spec.Function }
	// ReleaseEBS deletes what a failed phase has made.
	ReleaseEBS struct{ spec.Function }
)

var (
	_ = functions.Register(CreateVolumeSnapshot{spec.Must("CreateVolumeSnapshot")})
	_ = functions.Register(WaitForSnapshotCompletion{spec.Must("WaitForSnapshotCompletion")})
	_ = functions.Register(CreateVolumeFromSnapshot{spec.Must("CreateVolumeFromSnapshot")})
	_ = functions.Register(DeleteVolumeSnapshot{spec.Must("DeleteVolumeSnapshot")})
	_ = functions.Register(ReleaseEBS{spec.Must("ReleaseEBS")})
)

// arguments are those of all functions of the family; each reads those it declares.
type arguments struct {
	cloud.Access `mapstructure:",squash"`

	Namespace string `mapstructure:"namespace"`
	PVCs      any    `mapstructure:"pvcs"`
	PVCNames  any    `mapstructure:"pvcNames"`
	SkipWait  bool   `mapstructure:"skipWait"`
	Snapshots string `mapstructure:"snapshots"`
	Timeout   string `mapstructure:"timeout"`
	What      string `mapstructure:"what"`
	ID        string `mapstructure:"id"`
	PVs       any    `mapstructure:"persistentVolumes"`
}

// read decodes the arguments and refuses required ones that are empty: templates that rendered to nothing.
func read(f spec.Function, run *functions.Run, args map[string]any) (arguments, *session, error) {
	a := arguments{Timeout: cloud.DefaultTimeout.String()}
	if err := functions.Decode(f, args, &a); err != nil {
		return a, nil, err
	}

	values := map[string]string{"namespace": a.Namespace, "snapshots": a.Snapshots, "what": a.What, "id": a.ID}

	for _, name := range f.RequiredArgs() {
		if strings.TrimSpace(values[name]) == "" {
			return a, nil, fmt.Errorf("reading argument %q: it is empty", name)
		}
	}

	patience, err := cloud.NewPatience(run, "EC2", a.Timeout)
	if err != nil {
		return a, nil, err
	}

	s := &session{Patience: patience, run: run, clients: map[string]place{}, id: a.ID}
	if s.id == "" {
		s.id = phaseID(run)
	}

	s.open = func(ctx context.Context, region string) (place, error) { return open(ctx, run, a.Access, region) }

	return a, s, nil
}

// phaseID is the value of the tag by which a repeated phase, and the undo list, find what the phase has made. It differs between runs
// of one name, so that nothing old is taken for it.
func phaseID(run *functions.Run) string { return cloud.Digest(run)[:20] }
