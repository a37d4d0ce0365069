package data

import (
	"context"
	"fmt"
	"maps"
	"path"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilrand "k8s.io/apimachinery/pkg/util/rand"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// CopyRequest asks to back up a whole volume.
type CopyRequest struct {
	// Namespace and Claim of the volume.
	Namespace, Claim string
	// Prefix, EncryptionKey and InsecureTLS name the repository as arguments of functions do.
	Prefix, EncryptionKey string
	InsecureTLS           bool
	// Server is a repository server in place of these three; nil: there is none.
	Server *kopia.Server
	// Tags of the snapshot, beside those that every backup has.
	Tags map[string]string
	// Source is the name that the volume is known by in the repository, if Claim is a temporary copy of it; default Claim. Backups of
	// one Source read only what has changed.
	Source string
	// Root is the absolute path of the volume's root in the backup; default /mnt/vol_data/<Source>.
	Root string
	// Like is the pod whose user the worker runs as; nil: that of a pod that uses the claim.
	Like *corev1.PodSpec
	// PodOverride, PodLabels and PodAnnotations as in arguments.
	PodOverride               map[string]any
	PodLabels, PodAnnotations map[string]string
	// Index tells several workers of one phase apart; required if there are several.
	Index string
	// StartLimit bounds the start of the worker; 0 is the usual one. A clone may have to be copied first.
	StartLimit time.Duration
	// Progress gets what would else go to Journal.Progress.
	Progress func(record.Progress)
}

// CopyResult is what is needed to restore, and figures.
type CopyResult struct {
	BackupID, BackupTag string
	// Root of the volume in the backup, and Location of the repository, bucket included.
	Root, Location string
	// Size and PhySize for people.
	Size, PhySize string
	// Bytes and Files of the backup; BytesNew were added to the object store.
	Bytes, BytesNew, Files int64
}

// CopyVolume backs up a whole volume. Several may run at once. What could not be read is a warning in the journal.
func CopyVolume(ctx context.Context, run *functions.Run, r CopyRequest) (CopyResult, error) {
	if r.Source == "" {
		r.Source = r.Claim
	}

	if r.Root == "" {
		r.Root = "/mnt/vol_data/" + r.Source
	}

	if !path.IsAbs(r.Root) {
		return CopyResult{}, fmt.Errorf("reading argument %q: %q is not absolute", "mountPath", r.Root)
	}

	r.Root = path.Clean(r.Root)

	request, err := repository{r.Prefix, r.EncryptionKey, r.InsecureTLS, r.Server}.request(run)
	if err != nil {
		return CopyResult{}, err
	}

	w := &worker{
		run: run, namespace: run.NamespaceOr(r.Namespace), pods: pods{r.PodOverride, r.PodLabels, r.PodAnnotations},
		subject: "volume " + r.Source, mounts: []mount{{claim: r.Claim, path: r.Root}}, progress: r.Progress, request: request,
		startLimit: r.StartLimit,
	}
	w.indexed(r.Index)

	if w.identity, err = whose(ctx, run, w.namespace, r.Like, r.Claim, r.Source); err != nil {
		return CopyResult{}, err
	}

	w.backup(kopia.Source{Namespace: w.namespace, Path: r.Root}, r.Tags)

	e, err := w.do(ctx)
	if err != nil {
		return CopyResult{}, err
	}

	b := e.Backup

	return CopyResult{
		BackupID: b.ID, BackupTag: b.Tags[kopia.BackupTag], Root: r.Root, Location: b.Place,
		Size: human(b.Bytes), PhySize: human(b.BytesNew), Bytes: b.Bytes, BytesNew: b.BytesNew, Files: b.Files,
	}, nil
}

func (w *worker) indexed(index string) {
	if index != "" {
		w.index = []string{index}
	}
}

// backup completes the request for a backup. The tag that counts is the one in the result: an adopted worker has that of the
// runner before.
func (w *worker) backup(source kopia.Source, further map[string]string) {
	all := maps.Clone(further)
	if all == nil {
		all = map[string]string{}
	}

	maps.Copy(all, tags(w.run))

	w.request.Op, w.request.Source, w.request.Tags = mover.OpBackup, source, all
}

// tags of a new backup. backupTag is ten random letters and digits, as upstream's (COMPAT §4.0.4).
func tags(run *functions.Run) map[string]string {
	return map[string]string{kopia.BackupTag: utilrand.String(10), "run": run.Name, "namespace": run.Namespace}
}

// whose finds the pod spec that a worker imitates: the one given, that of a pod that uses the claim (or the volume that it is a
// copy of), that of the target's pod template.
func whose(ctx context.Context, run *functions.Run, namespace string, like *corev1.PodSpec, claims ...string) (identity, error) {
	if like != nil {
		return identityOf(like, "", claims...), nil
	}

	users, err := run.Kube.ConsumersOf(ctx, namespace)
	if err != nil {
		return identity{}, err
	}

	for _, claim := range claims {
		for _, pod := range users[claim] {
			if pod.Labels[record.LabelRun] == "" {
				return identityOf(&pod.Spec, "", claim), nil
			}
		}
	}

	return identityOf(templateOf(run), "", claims...), nil
}

// CopyVolumeData backs up a whole volume (COMPAT §4.10).
type CopyVolumeData struct{ spec.Function }

var _ = functions.Register(CopyVolumeData{spec.Must("CopyVolumeData")})

// Exec implements functions.Func.
func (f CopyVolumeData) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		Namespace     string `mapstructure:"namespace"`
		Volume        string `mapstructure:"volume"`
		Prefix        string `mapstructure:"dataArtifactPrefix"`
		MountPath     string `mapstructure:"mountPath"`
		EncryptionKey string `mapstructure:"encryptionKey"`
		InsecureTLS   bool   `mapstructure:"insecureTLS"`
		Image         string `mapstructure:"image"`
		pods          `mapstructure:",squash"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := given(map[string]string{"volume": a.Volume, "dataArtifactPrefix": a.Prefix}); err != nil {
		return nil, err
	}

	r, err := CopyVolume(ctx, run, CopyRequest{
		Namespace: a.Namespace, Claim: a.Volume, Prefix: a.Prefix, EncryptionKey: a.EncryptionKey, InsecureTLS: a.InsecureTLS,
		Root: a.MountPath, PodOverride: a.PodOverride, PodLabels: a.PodLabels, PodAnnotations: a.PodAnnotations,
	})
	if err != nil {
		return nil, err
	}

	return map[string]any{
		"backupID": r.BackupID, "backupRoot": r.Root, "backupArtifactLocation": r.Location, "backupTag": r.BackupTag,
		"fileCount": strconv.FormatInt(r.Files, 10), "size": r.Size, "phySize": r.PhySize, "version": version,
	}, nil
}

// given refuses empty values of required arguments: templates that rendered to nothing.
func given(values map[string]string) error {
	for name, value := range values {
		if value == "" {
			return fmt.Errorf("reading argument %q: it is empty", name)
		}
	}

	return nil
}
