package rds

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/dump"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Exec implements functions.Func.
func (f RestoreRDSSnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(ctx, f.Function, run, args)
	if err != nil {
		return nil, err
	}

	restore := s.fromDump
	if a.SnapshotID != "" {
		restore = s.fromSnapshot
	}

	found, err := restore(ctx, a)
	if err != nil {
		return nil, err
	}

	return map[string]any{"endpoint": found.Host}, nil
}

// fromSnapshot replaces the database by what the snapshot holds. All that can be checked is checked before it is deleted.
func (s *session) fromSnapshot(ctx context.Context, a arguments) (*database, error) {
	from, err := s.waitSnapshot(ctx, a.SnapshotID)
	if err != nil {
		return nil, err
	}

	r := restoration{ID: a.InstanceID, Snapshot: *from}

	there, err := s.find(ctx, a.InstanceID)
	if err != nil {
		return nil, cloud.Explain("reading the database", err)
	}

	// What this phase has made before a crash is not deleted again.
	if there != nil && there.Tag == s.tag && there.Status != deleting {
		return s.waitAvailable(ctx, r)
	}

	like, err := s.replaced(ctx, there)
	if err != nil {
		return nil, err
	}

	if r.settings, err = s.network(a, like); err != nil {
		return nil, err
	}

	if like != nil {
		r.Parameters, r.Class = like.Parameters, like.Class
	}

	if there != nil {
		if err := s.clear(ctx, there); err != nil {
			return nil, err
		}
	}

	if err := s.make(ctx, r); err != nil {
		return nil, err
	}

	return s.waitAvailable(ctx, r)
}

// replaced are the settings of the database that is about to be deleted, or of the one that an earlier runner of this phase has begun
// to delete: of that one, nothing else tells them. Nil if there was none.
func (s *session) replaced(ctx context.Context, there *database) (*settings, error) {
	const key = "replaced"

	if there != nil {
		if err := s.run.Journal.Note(ctx, key, there.settings); err != nil {
			return nil, err
		}
	}

	var like settings
	if found, err := s.run.Journal.Noted(key, &like); err != nil || !found {
		return nil, err
	}

	return &like, nil
}

// clear deletes the database that is in the way. Its settings are said: if the run ends before the new one is there, a person needs them.
func (s *session) clear(ctx context.Context, there *database) error {
	if there.Protected {
		return &record.Failure{
			Reason: "DeletionProtection", Message: fmt.Sprintf("restoring %s %q: it is protected from deletion, and restoring a snapshot means to delete it", s.word(), there.ID),
			Hint: "turn deletion protection off if it may go: aws rds modify-db-" + s.word() + " --no-deletion-protection --apply-immediately --db-" + s.word() + "-identifier " + there.ID,
		}
	}

	s.run.Journal.Event(fmt.Sprintf("deleting %s %s (%s), to make it again from its snapshot", s.word(), there.ID, there.settings))

	return s.waitGone(ctx, there.ID, false)
}

// fromDump restores a dump into the live database.
func (s *session) fromDump(ctx context.Context, a arguments) (*database, error) {
	if a.BackupID == "" {
		return nil, fmt.Errorf("reading argument %q: it is empty, and so is %q; one of them says what to restore", "backupID", "snapshotID")
	}

	if a.DBEngine != "" && !postgres(a.DBEngine) {
		return nil, fmt.Errorf("reading argument %q: there are no dumps of %q", "dbEngine", a.DBEngine)
	}

	found, err := s.find(ctx, a.InstanceID)
	if err != nil {
		return nil, cloud.Explain("reading the database", err)
	}

	if found == nil {
		return nil, s.noDatabase(a.InstanceID)
	}

	if found, err = s.waitAvailable(ctx, restoration{ID: a.InstanceID}); err != nil {
		return nil, err
	}

	result, err := s.work(ctx, a, dump.Request{
		Op: dump.OpRestore, Key: artifact(a, a.BackupID), Host: found.Host, Port: found.Port, User: cmp.Or(a.Username, found.User), Password: a.Password,
	})
	if err != nil {
		return nil, err
	}

	s.run.Journal.Event(fmt.Sprintf("restored %s of %s from %s", strings.Join(result.Databases, ", "), a.InstanceID, result.Place))

	return found, nil
}
