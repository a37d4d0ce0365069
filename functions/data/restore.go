package data

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// RestoreRequest asks to restore a backup into the root of a volume.
type RestoreRequest struct {
	// Namespace and Claim of the volume.
	Namespace, Claim string
	// Prefix, EncryptionKey and InsecureTLS name the repository as arguments of functions do.
	Prefix, EncryptionKey string
	InsecureTLS           bool
	// BackupID or BackupTag name the backup.
	BackupID, BackupTag string
	// Sub is a path inside the backup, relative to its root; empty is all of it.
	Sub string
	// DeleteExtra deletes what the backup does not hold, so that the volume is exactly as it was (lost+found stays).
	DeleteExtra bool
	// The rest as in CopyRequest.
	Like                      *corev1.PodSpec
	PodOverride               map[string]any
	PodLabels, PodAnnotations map[string]string
	Index                     string
	Progress                  func(record.Progress)
}

// RestoreResult are figures.
type RestoreResult struct {
	BackupID              string
	Bytes, Files, Deleted int64
	// Begun: the volume has been changed, or may have been.
	Begun bool
}

// RestoreVolume restores a backup into the root of a volume. Several may run at once. What could not be set back (owners) is a
// warning in the journal. If it fails with Begun, the volume is half as it was and half as it was backed up, and the run's undo list
// starts no application until a restore has succeeded.
func RestoreVolume(ctx context.Context, run *functions.Run, r RestoreRequest) (RestoreResult, error) {
	const root = "/volume"

	request, err := repository{r.Prefix, r.EncryptionKey, r.InsecureTLS, nil}.request(run)
	if err != nil {
		return RestoreResult{}, err
	}

	request.Op, request.ID, request.Tag, request.DeleteExtra = mover.OpRestore, r.BackupID, r.BackupTag, r.DeleteExtra
	request.Flat, request.BackupPath, request.RestorePath = true, r.Sub, root

	w := &worker{
		run: run, namespace: run.NamespaceOr(r.Namespace), pods: pods{r.PodOverride, r.PodLabels, r.PodAnnotations},
		subject: "volume " + r.Claim, mounts: []mount{{claim: r.Claim, path: root}}, write: true, progress: r.Progress, request: request,
	}
	w.indexed(r.Index)

	if w.identity, err = whose(ctx, run, w.namespace, r.Like, r.Claim); err != nil {
		return RestoreResult{}, err
	}

	e, err := w.do(ctx)
	if e.Restore == nil {
		return RestoreResult{Begun: w.begun}, err
	}

	return RestoreResult{Begun: w.begun, BackupID: e.Restore.ID, Bytes: e.Restore.Bytes, Files: e.Restore.Files, Deleted: e.Restore.Deleted}, err
}

// restoreArgs are those of RestoreData and RestoreDataAll; each declares what it reads.
type restoreArgs struct {
	Namespace     string            `mapstructure:"namespace"`
	Image         string            `mapstructure:"image"`
	Prefix        string            `mapstructure:"backupArtifactPrefix"`
	BackupTag     string            `mapstructure:"backupTag"`
	BackupID      string            `mapstructure:"backupIdentifier"`
	BackupInfo    string            `mapstructure:"backupInfo"`
	RestorePath   string            `mapstructure:"restorePath"`
	BackupPath    string            `mapstructure:"backupPath"`
	Pod           string            `mapstructure:"pod"`
	Pods          string            `mapstructure:"pods"`
	Volumes       map[string]string `mapstructure:"volumes"`
	DeleteExtra   bool              `mapstructure:"deleteExtra"`
	EncryptionKey string            `mapstructure:"encryptionKey"`
	InsecureTLS   bool              `mapstructure:"insecureTLS"`
	pods          `mapstructure:",squash"`
}

// RestoreData restores a backup into volumes (COMPAT §4.8).
type RestoreData struct{ spec.Function }

var _ = functions.Register(RestoreData{spec.Must("RestoreData")})

// Exec implements functions.Func.
func (f RestoreData) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a restoreArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if (a.BackupTag == "") == (a.BackupID == "") {
		return nil, errors.New("reading the arguments: exactly one of backupTag and backupIdentifier must be given, and not be empty")
	}

	if (a.Pod == "") == (len(a.Volumes) == 0) {
		return nil, errors.New("reading the arguments: exactly one of pod and volumes must be given, and not be empty")
	}

	return nil, a.restore(ctx, run, "")
}

// restore restores one backup. index tells several at once apart.
func (a restoreArgs) restore(ctx context.Context, run *functions.Run, index string) error {
	return RestoreFiles(ctx, run, FilesRequest{
		Namespace: a.Namespace, Pod: a.Pod, Volumes: a.Volumes, Prefix: a.Prefix, EncryptionKey: a.EncryptionKey, InsecureTLS: a.InsecureTLS,
		BackupID: a.BackupID, BackupTag: a.BackupTag, RestorePath: a.RestorePath, BackupPath: a.BackupPath, DeleteExtra: a.DeleteExtra,
		PodOverride: a.PodOverride, PodLabels: a.PodLabels, PodAnnotations: a.PodAnnotations, Index: index, ResticImage: a.Image,
	})
}

// FilesRequest asks to restore a backup below a path, onto whatever volumes are mounted there.
type FilesRequest struct {
	// Namespace of the volumes: those of Pod, each where it mounts them, or Volumes, mount paths by claim.
	Namespace, Pod string
	Volumes        map[string]string
	// Prefix, EncryptionKey and InsecureTLS name the repository as arguments of functions do.
	Prefix, EncryptionKey string
	InsecureTLS           bool
	// Server is a repository server in place of these three; nil: there is none.
	Server *kopia.Server
	// BackupID or BackupTag name the backup.
	BackupID, BackupTag string
	// RestorePath is where files come back at the path that they were backed up from; Flat: that of the backup's root itself.
	RestorePath string
	Flat        bool
	// BackupPath and DeleteExtra as RestoreData has them.
	BackupPath  string
	DeleteExtra bool
	// PodOverride, PodLabels and PodAnnotations as in arguments.
	PodOverride               map[string]any
	PodLabels, PodAnnotations map[string]string
	// Index tells several workers of one phase apart; required if there are several.
	Index string
	// ResticImage has the restic for a repository of upstream's; "": upstream's tools image.
	ResticImage string
}

// RestoreFiles restores a backup. Several may run at once. What could not be set back (owners) is a warning in the journal.
func RestoreFiles(ctx context.Context, run *functions.Run, a FilesRequest) error {
	at, own := repository{a.Prefix, a.EncryptionKey, a.InsecureTLS, a.Server}, pods{a.PodOverride, a.PodLabels, a.PodAnnotations}

	old, err := at.oldWith(ctx, run, a.BackupID, a.BackupTag, a.ResticImage, a.Namespace, own)
	if err != nil {
		return err
	}

	w := &worker{run: run, namespace: run.NamespaceOr(a.Namespace), pods: own, write: true}
	if old == nil {
		if w.request, err = at.request(run); err != nil {
			return err
		}
	}

	w.indexed(a.Index)

	var like *corev1.PodSpec

	if a.Pod != "" {
		w.subject = "pod " + a.Pod
		if w.mounts, like, err = podMounts(ctx, run, w.namespace, a.Pod); err != nil {
			return err
		}
	} else {
		w.subject = "backup " + a.BackupTag + a.BackupID
		if w.mounts, err = volumeMounts(a.Volumes); err != nil {
			return err
		}
	}

	if a.RestorePath != "" && !path.IsAbs(a.RestorePath) {
		return fmt.Errorf("reading argument %q: %q is not absolute", "restorePath", a.RestorePath)
	}

	claims := []string{}

	for _, m := range w.mounts {
		claims = append(claims, m.claim)
		w.request.Volumes = append(w.request.Volumes, m.path)
	}

	if w.identity, err = whose(ctx, run, w.namespace, like, claims...); err != nil {
		return err
	}

	if old != nil {
		return old.restore(ctx, w, a)
	}

	w.request.Op, w.request.ID, w.request.Tag = mover.OpRestore, a.BackupID, a.BackupTag
	w.request.RestorePath, w.request.BackupPath, w.request.DeleteExtra, w.request.Flat = a.RestorePath, a.BackupPath, a.DeleteExtra, a.Flat

	_, err = w.do(ctx)

	return err
}

func volumeMounts(volumes map[string]string) ([]mount, error) {
	var mounts []mount

	for _, claim := range slices.Sorted(maps.Keys(volumes)) {
		if !path.IsAbs(volumes[claim]) {
			return nil, fmt.Errorf("reading argument %q: the mount path %q of %q is not absolute", "volumes", volumes[claim], claim)
		}

		mounts = append(mounts, mount{claim: claim, path: path.Clean(volumes[claim])})
	}

	return mounts, nil
}

// podMounts are the claims of a pod of the target and where it mounts them. The pod itself need not exist any more: scaled down, its
// volumes are known from the run's parameters, and where parts of them are mounted from the pod template.
func podMounts(ctx context.Context, run *functions.Run, namespace, pod string) ([]mount, *corev1.PodSpec, error) {
	if live, err := run.Kube.PodOf(ctx, namespace, pod); err == nil {
		if mounts := mountsOf(live, nil); len(mounts) > 0 {
			return mounts, &live.Spec, nil
		}
	}

	template := templateOf(run)

	claims := claimsByPod(run.Params)[pod]
	if len(claims) == 0 {
		claims = anyClaims(run.Params)
	}

	if len(claims) == 0 {
		return nil, nil, &record.Failure{
			Reason:  "NoVolumes",
			Message: fmt.Sprintf("reading argument %q: nothing is known of the volumes of pod %q in namespace %q: it does not exist, and the target has no such pod with PersistentVolumeClaims", "pod", pod, namespace),
			Hint:    "name the volumes with the argument volumes",
		}
	}

	var mounts []mount

	for _, claim := range slices.Sorted(maps.Keys(claims)) {
		m := mount{claim: claim, path: path.Clean(claims[claim])}
		m.subPath = subPathOf(template, claim, m.path)
		mounts = append(mounts, m)
	}

	return mounts, template, nil
}

func claimsByPod(p *params.TemplateParams) map[string]map[string]string {
	if w := p.Workload(); w != nil {
		return w.PersistentVolumeClaims
	}

	return nil
}

// anyClaims are those of a Deployment whose pods have new names by now: all its pods share their claims.
func anyClaims(p *params.TemplateParams) map[string]string {
	if p == nil || p.StatefulSet != nil {
		return nil
	}

	for _, claims := range claimsByPod(p) {
		return claims
	}

	return nil
}
