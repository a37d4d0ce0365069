package data

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

type (
	// DeleteData deletes backups (COMPAT §4.11).
	DeleteData struct{ spec.Function }
	// DeleteDataAll deletes backups of BackupDataAll (COMPAT §4.12).
	DeleteDataAll struct{ spec.Function }
)

var (
	_ = functions.Register(DeleteData{spec.Must("DeleteData")})
	_ = functions.Register(DeleteDataAll{spec.Must("DeleteDataAll")})
)

type deleteArgs struct {
	Prefix        string `mapstructure:"backupArtifactPrefix"`
	BackupID      string `mapstructure:"backupID"`
	BackupTag     string `mapstructure:"backupTag"`
	BackupInfo    string `mapstructure:"backupInfo"`
	ReclaimSpace  bool   `mapstructure:"reclaimSpace"`
	EncryptionKey string `mapstructure:"encryptionKey"`
	InsecureTLS   bool   `mapstructure:"insecureTLS"`
	Namespace     string `mapstructure:"namespace"`
	Image         string `mapstructure:"image"`
	pods          `mapstructure:",squash"`
}

// Exec implements functions.Func.
func (f DeleteData) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a deleteArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	ids, byTag := list(a.BackupID), list(a.BackupTag)
	if (len(ids) == 0) == (len(byTag) == 0) {
		return nil, errors.New("reading the arguments: exactly one of backupID and backupTag must be given, and not be empty")
	}

	names := append(ids, byTag...)

	prefixes := list(a.Prefix)
	if len(prefixes) == 1 {
		prefixes = slices.Repeat(prefixes, len(names))
	}

	if len(prefixes) != len(names) {
		return nil, fmt.Errorf("reading the arguments: backupArtifactPrefix names %d repositories for %d backups; give one, or one for each", len(prefixes), len(names))
	}

	// One visit for each repository, in the order in which they are named.
	byPrefix := map[string]*DeleteRequest{}

	var order []*DeleteRequest

	for i, prefix := range prefixes {
		r := byPrefix[prefix]
		if r == nil {
			r = &DeleteRequest{Prefix: prefix, EncryptionKey: a.EncryptionKey, InsecureTLS: a.InsecureTLS, Reclaim: a.ReclaimSpace}
			byPrefix[prefix] = r
			order = append(order, r)
		}

		if len(ids) > 0 {
			r.BackupIDs = append(r.BackupIDs, names[i])
		} else {
			r.BackupTags = append(r.BackupTags, names[i])
		}
	}

	return a.each(ctx, run, order)
}

// Exec implements functions.Func.
func (f DeleteDataAll) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a deleteArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	info, err := backupInfo(a.BackupInfo)
	if err != nil {
		return nil, err
	}

	var order []*DeleteRequest

	for _, pod := range slices.Sorted(maps.Keys(info)) {
		order = append(order, &DeleteRequest{
			Prefix: podPrefix(a.Prefix, pod), EncryptionKey: a.EncryptionKey, InsecureTLS: a.InsecureTLS, Reclaim: a.ReclaimSpace,
			BackupIDs: []string{info[pod].BackupID}, MissingOK: true,
		})
	}

	return a.each(ctx, run, order)
}

// each deletes from one repository after the other.
func (a deleteArgs) each(ctx context.Context, run *functions.Run, order []*DeleteRequest) (map[string]any, error) {
	var (
		freed int64
		// restic says in words what it has freed.
		said []string
	)

	for i, r := range order {
		// A runner that died in the middle may have deleted some.
		r.MissingOK = r.MissingOK || run.Attempt > 1

		old, err := repository{r.Prefix, r.EncryptionKey, r.InsecureTLS, nil}.old(ctx, run, a.Image, a.Namespace, a.pods)
		if err != nil {
			return nil, err
		}

		ours := *r

		if old != nil {
			var theirs DeleteRequest
			if ours, theirs, err = r.split(ctx, run); err != nil {
				return nil, err
			}

			if !theirs.empty() {
				old.announce()

				text, err := old.delete(ctx, theirs, strconv.Itoa(i))
				if err != nil {
					return nil, err
				}

				said = append(said, text)
			}

			if ours.empty() {
				continue
			}
		}

		n, err := DeleteSnapshots(ctx, run, ours)
		if err != nil {
			return nil, err
		}

		freed += n
	}

	if freed > 0 || len(said) == 0 {
		said = append(said, human(freed))
	}

	return map[string]any{"spaceFreed": strings.Join(said, " + ")}, nil
}

// DeleteRequest asks to delete backups of one repository.
type DeleteRequest struct {
	// Prefix, EncryptionKey and InsecureTLS name the repository as arguments of functions do.
	Prefix, EncryptionKey string
	InsecureTLS           bool
	// Server is a repository server in place of these three; nil: there is none. It reclaims nothing.
	Server *kopia.Server
	// BackupIDs and BackupTags name the backups.
	BackupIDs, BackupTags []string
	// Reclaim frees the space of what no backup uses and is older than a day.
	Reclaim bool
	// MissingOK: a backup that is not there is passed over, with an event.
	MissingOK bool
}

// DeleteSnapshots deletes backups, in the runner itself, and returns how many bytes the repository shrank by: 0 without Reclaim.
func DeleteSnapshots(ctx context.Context, run *functions.Run, d DeleteRequest) (int64, error) {
	var freed int64

	at := repository{d.Prefix, d.EncryptionKey, d.InsecureTLS, d.Server}
	err := at.with(ctx, run, func(r *kopia.Repository) error {
		ids, err := d.find(ctx, run, r)
		if err != nil {
			return err
		}

		run.Journal.Progress(record.Progress{Message: fmt.Sprintf("deleting backups from %s: %d", r.Place(), len(ids))})

		if len(ids) > 0 {
			if err := r.Delete(ctx, ids...); err != nil {
				return err
			}

			run.Journal.Event(fmt.Sprintf("deleted backups from %s: %d", r.Place(), len(ids)))
		}

		if !d.Reclaim {
			return nil
		}

		run.Journal.Progress(record.Progress{Message: "reclaiming space in " + r.Place()})

		freed, err = r.Reclaim(ctx, kopia.Safe)

		return err
	})

	if d.MissingOK && errors.Is(err, kopia.ErrNoRepository) {
		run.Journal.Event(fmt.Sprintf("there is no repository at %s any more", d.Prefix))

		return 0, nil
	}

	return freed, failure(err)
}

func (d DeleteRequest) find(ctx context.Context, run *functions.Run, r *kopia.Repository) ([]string, error) {
	var ids []string

	look := func(id, tag string) error {
		found, err := r.Find(ctx, id, tag)

		switch {
		case err == nil && !slices.Contains(ids, found.ID):
			ids = append(ids, found.ID)
		case errors.Is(err, kopia.ErrNotFound) && d.MissingOK:
			run.Journal.Event(fmt.Sprintf("backup %s%s is not in %s any more", id, tag, r.Place()))

			return nil
		}

		return err
	}

	for _, id := range d.BackupIDs {
		if err := look(id, ""); err != nil {
			return nil, err
		}
	}

	for _, tag := range d.BackupTags {
		if err := look("", tag); err != nil {
			return nil, err
		}
	}

	return ids, nil
}
