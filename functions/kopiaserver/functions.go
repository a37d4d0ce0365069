package kopiaserver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/data"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
)

type (
	// Backup is BackupDataUsingKopiaServer.
	Backup struct{ spec.Function }
	// Copy is CopyVolumeDataUsingKopiaServer.
	Copy struct{ spec.Function }
	// Restore is RestoreDataUsingKopiaServer.
	Restore struct{ spec.Function }
	// Delete is DeleteDataUsingKopiaServer.
	Delete struct{ spec.Function }
)

var (
	_ = functions.Register(Backup{spec.Must("BackupDataUsingKopiaServer")})
	_ = functions.Register(Copy{spec.Must("CopyVolumeDataUsingKopiaServer")})
	_ = functions.Register(Restore{spec.Must("RestoreDataUsingKopiaServer")})
	_ = functions.Register(Delete{spec.Must("DeleteDataUsingKopiaServer")})
)

// workers are the arguments about worker pods.
type workers struct {
	PodOverride    map[string]any    `mapstructure:"podOverride"`
	PodLabels      map[string]string `mapstructure:"podLabels"`
	PodAnnotations map[string]string `mapstructure:"podAnnotations"`
}

// Exec implements functions.Func.
func (f Backup) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		Namespace   string `mapstructure:"namespace"`
		Pod         string `mapstructure:"pod"`
		Container   string `mapstructure:"container"`
		IncludePath string `mapstructure:"includePath"`
		Tags        string `mapstructure:"snapshotTags"`
		access      `mapstructure:",squash"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := filled("pod", a.Pod, "container", a.Container, "includePath", a.IncludePath); err != nil {
		return nil, err
	}

	tags, err := tags(a.Tags)
	if err != nil {
		return nil, err
	}

	var made *mover.Backup

	err = a.through(ctx, run, run.NamespaceOr(a.Namespace), "", func(server *kopia.Server, index string) error {
		made, err = data.BackupPod(ctx, run, data.BackupRequest{
			Namespace: a.Namespace, Pod: a.Pod, Container: a.Container, Path: a.IncludePath, Server: server, Tags: tags, Index: index,
		})

		return err
	})
	if err != nil {
		return nil, err
	}

	return map[string]any{"backupID": made.ID, "size": decimal(made.Bytes), "phySize": decimal(made.BytesNew)}, nil
}

// Exec implements functions.Func.
func (f Copy) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		Namespace string `mapstructure:"namespace"`
		Volume    string `mapstructure:"volume"`
		MountPath string `mapstructure:"mountPath"`
		Tags      string `mapstructure:"snapshotTags"`
		Image     string `mapstructure:"image"`
		access    `mapstructure:",squash"`
		workers   `mapstructure:",squash"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := filled("volume", a.Volume); err != nil {
		return nil, err
	}

	tags, err := tags(a.Tags)
	if err != nil {
		return nil, err
	}

	var made data.CopyResult

	err = a.through(ctx, run, run.NamespaceOr(a.Namespace), "", func(server *kopia.Server, index string) error {
		made, err = data.CopyVolume(ctx, run, data.CopyRequest{
			Namespace: a.Namespace, Claim: a.Volume, Root: a.MountPath, Server: server, Tags: tags, Index: index,
			PodOverride: a.PodOverride, PodLabels: a.PodLabels, PodAnnotations: a.PodAnnotations,
		})

		return err
	})
	if err != nil {
		return nil, err
	}

	return map[string]any{
		"backupID": made.BackupID, "size": decimal(made.Bytes), "phySize": decimal(made.BytesNew), "backupRoot": made.Root,
	}, nil
}

// Exec implements functions.Func.
func (f Restore) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		Namespace   string            `mapstructure:"namespace"`
		Image       string            `mapstructure:"image"`
		BackupID    string            `mapstructure:"backupIdentifier"`
		RestorePath string            `mapstructure:"restorePath"`
		Pod         string            `mapstructure:"pod"`
		Volumes     map[string]string `mapstructure:"volumes"`
		access      `mapstructure:",squash"`
		workers     `mapstructure:",squash"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := filled("backupIdentifier", a.BackupID, "restorePath", a.RestorePath); err != nil {
		return nil, err
	}

	if !path.IsAbs(a.RestorePath) {
		return nil, fmt.Errorf("reading argument %q: %q is not absolute", "restorePath", a.RestorePath)
	}

	if (a.Pod == "") == (len(a.Volumes) == 0) {
		return nil, errors.New("reading the arguments: exactly one of pod and volumes must be given, and not be empty")
	}

	return nil, a.through(ctx, run, run.NamespaceOr(a.Namespace), a.BackupID, func(server *kopia.Server, index string) error {
		return data.RestoreFiles(ctx, run, data.FilesRequest{
			Namespace: a.Namespace, Pod: a.Pod, Volumes: a.Volumes, Server: server, BackupID: a.BackupID, RestorePath: a.RestorePath, Flat: true,
			PodOverride: a.PodOverride, PodLabels: a.PodLabels, PodAnnotations: a.PodAnnotations, Index: index,
		})
	})
}

// Exec implements functions.Func.
func (f Delete) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		Namespace string `mapstructure:"namespace"`
		BackupID  string `mapstructure:"backupID"`
		Image     string `mapstructure:"image"`
		access    `mapstructure:",squash"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := filled("backupID", a.BackupID); err != nil {
		return nil, err
	}

	server, err := a.given(run)
	if err != nil {
		return nil, err
	}

	request := data.DeleteRequest{Server: server, BackupIDs: []string{a.BackupID}, MissingOK: run.Attempt > 1}
	if server == nil {
		request.Prefix = a.prefix()
	}

	_, err = data.DeleteSnapshots(ctx, run, request)
	if err != nil && server == nil {
		return nil, missing(err)
	}

	return nil, err
}

// filled refuses empty values of required arguments: templates that rendered to nothing.
func filled(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return fmt.Errorf("reading argument %q: it is empty", pairs[i])
		}
	}

	return nil
}

// tags reads "name:value,name:value", as kopia's command line does with each.
func tags(text string) (map[string]string, error) {
	all := map[string]string{}

	for tag := range strings.SplitSeq(text, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			continue
		}

		name, value, found := strings.Cut(tag, ":")
		if !found || name == "" {
			return nil, fmt.Errorf("reading argument %q: %q is not name:value", "snapshotTags", tag)
		}

		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("reading argument %q: tag %q is given twice", "snapshotTags", name)
		}

		all[name] = value
	}

	return all, nil
}

// decimal writes a size as kopia does, which blueprints print: "6.7 GB".
func decimal(bytes int64) string {
	const unit = 1000

	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}

	value, units := float64(bytes)/unit, []string{"KB", "MB", "GB", "TB"}
	for value >= unit && len(units) > 1 {
		value, units = value/unit, units[1:]
	}

	return fmt.Sprintf("%.1f %s", value, units[0])
}
