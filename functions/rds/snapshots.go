package rds

import (
	"context"
	"fmt"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Exec implements functions.Func.
func (f CreateRDSSnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(ctx, f.Function, run, args)
	if err != nil {
		return nil, err
	}

	source, err := s.find(ctx, a.InstanceID)
	if err != nil {
		return nil, cloud.Explain("reading the database", err)
	}

	if source == nil {
		return nil, s.noDatabase(a.InstanceID)
	}

	id := suffixed(run, a.InstanceID)
	if err := s.take(ctx, a.InstanceID, id); err != nil {
		return nil, err
	}

	if _, err := s.waitSnapshot(ctx, id); err != nil {
		return nil, err
	}

	return map[string]any{
		"snapshotID": id, "instanceID": a.InstanceID, "securityGroupID": text(source.SecurityGroups),
		"allocatedStorage": fmt.Sprintf("%dGiB", source.Storage), "dbSubnetGroup": source.SubnetGroup,
	}, nil
}

// take asks for the snapshot as soon as the database is ready for one. One that this phase asked for before is taken for it.
func (s *session) take(ctx context.Context, database, id string) error {
	return s.Wait(ctx, fmt.Sprintf("%s %q to be ready for a snapshot", s.word(), database), func(ctx context.Context) (cloud.State, error) {
		err := s.takeSnapshot(ctx, database, id)

		switch {
		case err == nil:
			s.run.Journal.Event(fmt.Sprintf("snapshot %s of %s %s begun", id, s.word(), database))

			return cloud.State{Done: true}, nil
		case exists(err):
			there, findErr := s.findSnapshot(ctx, id)
			if findErr != nil {
				return cloud.State{}, findErr
			}

			if there != nil && there.Tag == s.tag {
				return cloud.State{Done: true}, nil
			}

			return cloud.State{}, &record.Failure{Reason: "AlreadyExists", Message: fmt.Sprintf("taking snapshot %q: it exists, and this run has not made it", id)}
		case notReady(err):
			there, findErr := s.find(ctx, database)
			if findErr != nil || there == nil {
				return cloud.State{}, cmpErr(findErr, s.noDatabase(database))
			}

			return cloud.State{Status: there.Status, Percent: there.Percent}, nil
		default:
			return cloud.State{}, cloud.ExplainLasting(fmt.Sprintf("taking a snapshot of %s %q", s.word(), database), err)
		}
	})
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}

	return second
}

// Exec implements functions.Func.
func (f DeleteRDSSnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(ctx, f.Function, run, args)
	if err != nil {
		return nil, err
	}

	return nil, s.Wait(ctx, fmt.Sprintf("snapshot %q to be deleted", a.SnapshotID), func(ctx context.Context) (cloud.State, error) {
		found, err := s.findSnapshot(ctx, a.SnapshotID)
		if err != nil || found == nil {
			return cloud.State{Done: err == nil}, err
		}

		// It may still be in use, by a copy or a restore.
		if err := s.dropSnapshot(ctx, a.SnapshotID); err != nil && !notFound(err) && !notReady(err) {
			return cloud.State{}, cloud.ExplainLasting(fmt.Sprintf("deleting snapshot %q", a.SnapshotID), err)
		}

		return cloud.State{Status: found.Status, Percent: -1}, nil
	})
}
