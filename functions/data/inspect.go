package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

type (
	// BackupDataStats measures a backup (COMPAT §4.18).
	BackupDataStats struct{ spec.Function }
	// CheckRepository tells whether a repository is there and its password right (COMPAT §4.19).
	CheckRepository struct{ spec.Function }
)

var (
	_ = functions.Register(BackupDataStats{spec.Must("BackupDataStats")})
	_ = functions.Register(CheckRepository{spec.Must("CheckRepository")})
)

// oldArgs are about the pods for repositories of upstream's.
type oldArgs struct {
	Namespace string `mapstructure:"namespace"`
	Image     string `mapstructure:"image"`
	pods      `mapstructure:",squash"`
}

// Exec implements functions.Func.
func (f BackupDataStats) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		oldArgs       `mapstructure:",squash"`
		Prefix        string `mapstructure:"backupArtifactPrefix"`
		BackupID      string `mapstructure:"backupID"`
		Mode          string `mapstructure:"statsMode"`
		EncryptionKey string `mapstructure:"encryptionKey"`
		InsecureTLS   bool   `mapstructure:"insecureTLS"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := given(map[string]string{"backupArtifactPrefix": a.Prefix, "backupID": a.BackupID}); err != nil {
		return nil, err
	}

	mode := strings.ToLower(a.Mode)
	if mode == "" {
		mode = kopia.RestoreSize
	}

	if !slices.Contains(kopia.StatsModes, mode) {
		return nil, fmt.Errorf("reading argument %q: %q is none of %s", "statsMode", a.Mode, strings.Join(kopia.StatsModes, ", "))
	}

	at := repository{a.Prefix, a.EncryptionKey, a.InsecureTLS, nil}

	old, err := at.oldWith(ctx, run, a.BackupID, "", a.Image, a.Namespace, a.pods)
	if err != nil {
		return nil, err
	}

	var s kopia.Stats

	if old != nil {
		figures, err := old.stats(ctx, a.BackupID, mode)
		if err != nil {
			return nil, err
		}

		s = kopia.Stats{Mode: mode, Count: figures.Files, Bytes: figures.Bytes}
		if mode == kopia.RawData {
			s.Count = figures.Blobs
		}
	} else if err := at.with(ctx, run, func(r *kopia.Repository) (err error) {
		s, err = r.Stats(ctx, a.BackupID, mode)

		return err
	}); err != nil {
		return nil, err
	}

	return map[string]any{"mode": s.Mode, "fileCount": strconv.FormatInt(s.Count, 10), "size": human(s.Bytes), "version": version}, nil
}

// Exec implements functions.Func.
func (f CheckRepository) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		oldArgs       `mapstructure:",squash"`
		Prefix        string `mapstructure:"backupArtifactPrefix"`
		EncryptionKey string `mapstructure:"encryptionKey"`
		InsecureTLS   bool   `mapstructure:"insecureTLS"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	at := repository{a.Prefix, a.EncryptionKey, a.InsecureTLS, nil}

	old, err := at.old(ctx, run, a.Image, a.Namespace, a.pods)

	if err != nil {
		return nil, err
	}

	err = at.open(ctx, run)
	absent := errors.Is(err, kopia.ErrNoRepository)

	// Both are to be in order where both are.
	if old != nil && (err == nil || absent) {
		absent = false

		old.announce()

		_, err = old.do(ctx, old.Check(resticDir), nil)
	}

	wrong := location.ReasonOf(err) == location.WrongPassword || isReason(err, string(location.WrongPassword))

	if err != nil && !wrong && !absent {
		return nil, failure(err)
	}

	return map[string]any{"passwordIncorrect": strconv.FormatBool(wrong), "repoUnavailable": strconv.FormatBool(absent), "version": version}, nil
}
