package rds

import (
	"context"
	"fmt"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
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
		return nil, s.explain("reading the database", err)
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
	return s.wait(ctx, fmt.Sprintf("%s %q to be ready for a snapshot", s.word(), database), func(ctx context.Context) (state, error) {
		err := s.takeSnapshot(ctx, database, id)

		switch {
		case err == nil:
			s.run.Journal.Event(fmt.Sprintf("snapshot %s of %s %s begun", id, s.word(), database))

			return state{done: true}, nil
		case exists(err):
			there, findErr := s.findSnapshot(ctx, id)
			if findErr != nil {
				return state{}, findErr
			}

			if there != nil && there.Tag == s.tag {
				return state{done: true}, nil
			}

			return state{}, &record.Failure{Reason: "AlreadyExists", Message: fmt.Sprintf("taking snapshot %q: it exists, and this run has not made it", id)}
		case notReady(err):
			there, findErr := s.find(ctx, database)
			if findErr != nil || there == nil {
				return state{}, cmpErr(findErr, s.noDatabase(database))
			}

			return state{status: there.Status, percent: there.Percent}, nil
		default:
			return state{}, s.explainAsk(fmt.Sprintf("taking a snapshot of %s %q", s.word(), database), err)
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

	return nil, s.wait(ctx, fmt.Sprintf("snapshot %q to be deleted", a.SnapshotID), func(ctx context.Context) (state, error) {
		found, err := s.findSnapshot(ctx, a.SnapshotID)
		if err != nil || found == nil {
			return state{done: err == nil}, err
		}

		// It may still be in use, by a copy or a restore.
		if err := s.dropSnapshot(ctx, a.SnapshotID); err != nil && !notFound(err) && !notReady(err) {
			return state{}, s.explainAsk(fmt.Sprintf("deleting snapshot %q", a.SnapshotID), err)
		}

		return state{status: found.Status, percent: -1}, nil
	})
}
