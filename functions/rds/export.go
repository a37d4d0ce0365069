package rds

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/dump"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Exec implements functions.Func.
func (f ExportRDSSnapshotToLocation) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(ctx, f.Function, run, args)
	if err != nil {
		return nil, err
	}

	if !postgres(a.DBEngine) {
		return nil, fmt.Errorf("reading argument %q: databases of %q cannot be dumped; PostgreSQL and aurora-postgresql can", "dbEngine", a.DBEngine)
	}

	names, err := cloud.List("databases", a.Databases)
	if err != nil {
		return nil, err
	}

	found, err := s.find(ctx, a.InstanceID)
	if err != nil {
		return nil, cloud.Explain("finding the network of the database", err)
	}

	var like *settings
	if found != nil {
		like = &found.settings
	}

	network, err := s.network(a, like)
	if err != nil {
		return nil, err
	}

	from, err := s.waitSnapshot(ctx, a.SnapshotID)
	if err != nil {
		return nil, err
	}

	temporary := restoration{ID: suffixed(run, a.InstanceID), Snapshot: *from, settings: network}

	made, err := s.borrow(ctx, a, temporary)
	if err != nil {
		return nil, err
	}

	backupID := "backup-" + temporary.ID[strings.LastIndex(temporary.ID, "-")+1:] + ".sql.gz"

	result, err := s.work(ctx, a, dump.Request{
		Op: dump.OpDump, Key: artifact(a, backupID), Host: made.Host, Port: made.Port, User: cmp.Or(a.Username, made.User), Password: a.Password,
		Databases: names,
	})
	if err != nil {
		return nil, err // the undo list deletes the instance
	}

	run.Journal.Event(fmt.Sprintf("dumped %s of snapshot %s to %s", strings.Join(result.Databases, ", "), a.SnapshotID, result.Place))

	if err := s.giveBack(ctx, temporary.ID); err != nil {
		return nil, err
	}

	return map[string]any{"snapshotID": a.SnapshotID, "instanceID": a.InstanceID, "backupID": backupID, "securityGroupID": text(network.SecurityGroups)}, nil
}

// artifact is the key of the dump.
func artifact(a arguments, backupID string) string {
	return strings.Trim(cmp.Or(a.Prefix, a.InstanceID), "/") + "/" + backupID
}

// network is where a new database goes: the security groups and the subnet group of the arguments, or those of like; nil: there is no
// such database. They belong to one VPC, so that one without the other may not do.
func (s *session) network(a arguments, like *settings) (settings, error) {
	groups, err := cloud.List("securityGroupID", a.SecurityGroups)
	if err != nil {
		return settings{}, err
	}

	if like == nil {
		if len(groups) == 0 {
			s.run.Journal.Warn(fmt.Sprintf("there is no %s %s whose security groups could be taken, and the argument securityGroupID is absent: the new one gets the default group of its VPC",
				s.word(), a.InstanceID))
		}

		like = &settings{}
	}

	if len(groups) == 0 {
		groups = like.SecurityGroups
	}

	return settings{SecurityGroups: groups, SubnetGroup: cmp.Or(a.SubnetGroup, like.SubnetGroup)}, nil
}

func undoKey(id string) string { return "rds-temporary/" + id }

// borrow makes the temporary instance, or goes on with the one that an earlier runner made. How to delete it is noted first.
func (s *session) borrow(ctx context.Context, a arguments, r restoration) (*database, error) {
	args := map[string]any{"instanceID": r.ID, "tag": s.tag}
	maps.Copy(args, a.Access.Arguments())

	if aurora(a.DBEngine) {
		args["dbEngine"] = a.DBEngine
	}

	if err := s.run.Journal.Undo(ctx, record.Undo{
		Key: undoKey(r.ID), Text: "delete the temporary RDS " + s.word() + " " + r.ID, Func: "ReleaseRDSInstance", Args: args,
	}); err != nil {
		return nil, err
	}

	if err := s.make(ctx, r); err != nil {
		return nil, err
	}

	return s.waitAvailable(ctx, r)
}

// make restores the snapshot unless that was done by this phase before.
func (s *session) make(ctx context.Context, r restoration) error {
	return s.Wait(ctx, fmt.Sprintf("%s %q to be made", s.word(), r.ID), func(ctx context.Context) (cloud.State, error) {
		err := s.restore(ctx, r)

		switch {
		case err == nil:
			s.run.Journal.Event(fmt.Sprintf("restoring snapshot %s to %s %s", r.Snapshot.ID, s.word(), r.ID))

			return cloud.State{Done: true}, nil
		case exists(err):
			there, findErr := s.find(ctx, r.ID)

			switch {
			case findErr != nil:
				return cloud.State{}, findErr
			case there == nil || there.Status == deleting:
				return cloud.State{Status: deleting, Percent: -1}, nil
			case there.Tag == s.tag:
				return cloud.State{Done: true}, nil
			}

			return cloud.State{}, &record.Failure{Reason: "AlreadyExists", Message: fmt.Sprintf("making %s %q: it exists, and this run has not made it", s.word(), r.ID)}
		case notReady(err):
			return cloud.State{Status: "the snapshot is not ready", Percent: -1}, nil
		default:
			return cloud.State{}, cloud.ExplainLasting(fmt.Sprintf("restoring snapshot %q to %s %q", r.Snapshot.ID, s.word(), r.ID), err)
		}
	})
}

// giveBack deletes the temporary instance once it has served. RDS takes minutes for the rest, and does it alone.
func (s *session) giveBack(ctx context.Context, id string) error {
	if err := s.waitGone(ctx, id, true); err != nil {
		return fmt.Errorf("the dump is complete, but its temporary %s is left: %w", s.word(), err)
	}

	return s.run.Journal.DropUndo(ctx, undoKey(id))
}

// Exec implements functions.Func.
func (f ReleaseRDSInstance) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(ctx, f.Function, run, args)
	if err != nil {
		return nil, err
	}

	found, err := s.find(ctx, a.InstanceID)
	if err != nil || found == nil {
		return nil, cloud.Explain("reading the temporary "+s.word(), err)
	}

	if found.Tag != a.Tag {
		return nil, &record.Failure{
			Reason: "NotOurs", Message: fmt.Sprintf("deleting %s %q: its tag %s is %q, not %q", s.word(), a.InstanceID, cloud.TagKey, found.Tag, a.Tag),
			Hint: "look whose it is",
		}
	}

	return nil, s.waitGone(ctx, a.InstanceID, true)
}
