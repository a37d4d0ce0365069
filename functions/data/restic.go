package data

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/restic"
)

// resticDir is where a pod with restic has the credentials.
const resticDir = "/run/kanister/restic"

// ReasonNoRestic is the reason of a failure for want of restic in the image.
const ReasonNoRestic = "NoRestic"

// old is a repository that upstream's functions have written with restic. It is worked on with the restic of the image that the
// blueprint names, in pods of its own.
type old struct {
	*restic.Repository

	run       *functions.Run
	image     string
	namespace string
	pods      pods
}

// old finds out whether there is a repository of upstream's; nil if not. There may be one of ours, too. Whatever is wrong with the
// store itself is left for those to say who open the repository; but a store that just does not answer must not look like one that has
// none: a deletion would find nothing to delete, and succeed.
func (a repository) old(ctx context.Context, run *functions.Run, image, namespace string, pods pods) (*old, error) {
	if a.Server != nil {
		return nil, nil //nolint:nilnil // a server has kopia's repositories only
	}

	profile, err := a.profileOf(run)
	if err != nil {
		return nil, err
	}

	found, err := restic.Holds(ctx, profile, a.Prefix)

	if err != nil && slices.Contains(silent, location.ReasonOf(err)) {
		return nil, failure(err)
	}

	if err != nil || !found {
		return nil, nil //nolint:nilnil,nilerr // as above
	}

	o := &old{run: run, image: cmp.Or(image, restic.DefaultImage), namespace: namespace, pods: pods}

	if o.Repository, err = restic.Locate(ctx, profile, a.Prefix, a.EncryptionKey, resticDir); err != nil {
		return nil, failure(err)
	}

	for _, secret := range o.Secrets {
		run.Journal.Secret(secret)
	}

	return o, nil
}

// silent are the reasons of a store that has not answered.
var silent = []location.Reason{location.Unreachable, location.Throttled, location.ServerError, location.Cancelled, location.Unknown}

// oldWith is old for one backup: nil, too, if the backup is in our repository beside upstream's.
func (a repository) oldWith(ctx context.Context, run *functions.Run, id, tag, image, namespace string, pods pods) (*old, error) {
	o, err := a.old(ctx, run, image, namespace, pods)
	if o == nil || err != nil {
		return nil, err
	}

	ours, err := a.holds(ctx, run, id, tag)
	if ours || err != nil {
		return nil, err
	}

	o.announce()

	return o, nil
}

// announce says with what the run works on.
func (o *old) announce() {
	o.run.Journal.Event(fmt.Sprintf("%s is a restic repository, written by upstream Kanister: working on it with the restic of image %s", o.URL, o.image))
}

// holds tells whether a backup is in our repository. None is if there is no repository, or if its password is another one: upstream's
// may be the one that was meant, and says so if it is not.
func (a repository) holds(ctx context.Context, run *functions.Run, id, tag string) (bool, error) {
	request, _, err := a.resolve(run)
	if err != nil {
		return false, err
	}

	err = visit(ctx, request, func(r *kopia.Repository) error {
		_, err := r.Find(ctx, id, tag)

		return err
	})

	if errors.Is(err, kopia.ErrNoRepository) || errors.Is(err, kopia.ErrNotFound) || location.ReasonOf(err) == location.WrongPassword {
		return false, nil
	}

	return err == nil, failure(err)
}

// split parts the backups of a request into those in our repository and those for upstream's.
func (d DeleteRequest) split(ctx context.Context, run *functions.Run) (ours, theirs DeleteRequest, err error) {
	ours, theirs = d, d
	ours.BackupIDs, ours.BackupTags, theirs.BackupIDs, theirs.BackupTags = nil, nil, nil, nil
	at := repository{d.Prefix, d.EncryptionKey, d.InsecureTLS, nil}

	part := func(name, id, tag string, ours, theirs *[]string) error {
		found, err := at.holds(ctx, run, id, tag)
		if found {
			theirs = ours
		}

		*theirs = append(*theirs, name)

		return err
	}

	for _, id := range d.BackupIDs {
		err = errors.Join(err, part(id, id, "", &ours.BackupIDs, &theirs.BackupIDs))
	}

	for _, tag := range d.BackupTags {
		err = errors.Join(err, part(tag, "", tag, &ours.BackupTags, &theirs.BackupTags))
	}

	return ours, theirs, err
}

func (d DeleteRequest) empty() bool { return len(d.BackupIDs)+len(d.BackupTags) == 0 }

// do runs restic in a pod and returns the lines that it wrote. w names what is mounted; nil: nothing.
func (o *old) do(ctx context.Context, command []string, w *worker, index ...string) ([]string, error) {
	if w == nil {
		w = &worker{run: o.run, namespace: o.run.NamespaceOr(o.namespace), identity: identity{}.unprivileged(), subject: o.URL}
	}

	options, err := o.options(ctx, w, command, index)
	if err != nil {
		return nil, err
	}

	if err := w.hold(ctx); err != nil {
		return nil, err
	}

	pod, err := w.start(ctx, options)
	if err != nil {
		return nil, o.explain(w.free(ctx, ctx.Err() != nil, err), nil)
	}

	defer func() {
		if functions.Leaving(ctx) {
			return // the successor adopts it
		}

		if err := pod.Delete(ctx); err != nil {
			o.run.Journal.Warn(err.Error())
		}
	}()

	o.run.Follow(pod)

	sink := &lines{log: func(line string) { o.run.Journal.Log(pod.Name+"/"+kube.ContainerName, line) }}
	err = pod.Run(ctx, sink)
	sink.flush()

	if ctx.Err() != nil {
		return nil, w.free(ctx, w.ran(ctx, pod), context.Cause(ctx))
	}

	err = o.explain(err, sink.all)

	// It says these before it touches a volume.
	untouched := isReason(err, ReasonNoRestic) || isReason(err, string(location.WrongPassword)) || isReason(err, string(location.NotFound))

	return sink.all, w.free(ctx, err != nil && !untouched && w.ran(ctx, pod), err)
}

func (o *old) options(ctx context.Context, w *worker, command, index []string) (kube.PodOptions, error) {
	p, err := o.run.PodOptions(w.namespace, o.pods.PodOverride, o.pods.PodLabels, o.pods.PodAnnotations, index...)
	if err != nil {
		return p, err
	}

	w.namespace = p.Namespace
	p.Image, p.Command, p.NoToken = o.image, command, true
	p.SecretFiles, p.SecretDir = o.Files, resticDir
	p.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	p.Mounts = []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}

	if err := w.volumes(ctx, &p); err != nil {
		return p, err
	}

	w.identity.apply(&p, w.write)

	return p, nil
}

func isReason(err error, reason string) bool {
	var failed *record.Failure

	return errors.As(err, &failed) && failed.Reason == reason
}

// explain says in the words of the house why restic did not do it.
func (o *old) explain(err error, said []string) error {
	if err == nil {
		return nil
	}

	var failed *kube.Error
	if !errors.As(err, &failed) {
		return err
	}

	because := func(reason, hint, format string, args ...any) error {
		return &record.Failure{
			Reason: reason, Hint: hint, Message: fmt.Sprintf("using the restic repository %s: ", o.URL) + fmt.Sprintf(format, args...),
			Pod: failed.Pod, Exit: failed.Exit, LastLogs: failed.LastLogs, Events: failed.Events,
		}
	}

	exit := 0
	if failed.Exit != nil {
		exit = *failed.Exit
	}

	// A container without a shell does not even start.
	noShell := strings.Contains(err.Error(), "executable file not found") || strings.Contains(err.Error(), `exec: "sh"`)

	switch why := restic.Why(said); {
	case exit == restic.NoRestic, noShell:
		return because(ReasonNoRestic, "name an image with restic in the argument image, such as "+restic.DefaultImage,
			"it was written by upstream Kanister with restic, and there is no restic in the image %q", o.image)
	case exit == restic.TooOld:
		return because(ReasonNoRestic, "name an image with a newer restic, or restore without backupPath",
			"the restic of the image %q is older than 0.16 and cannot restore a part of a backup (backupPath)", o.image)
	case why == restic.WrongPassword:
		return because(string(location.WrongPassword), "give the encryptionKey that the backup was made with; without one upstream's public default key is tried",
			"its password is another one")
	case why == restic.NoSnapshot:
		return because(string(location.NotFound), "look at the backup's artifacts: kubectl kanister describe RUN", "it does not hold this backup")
	case why == restic.Locked:
		return because(kube.ReasonExit, "wait for the restic that works on it; one that died is passed over half an hour after its death", "it is locked")
	default:
		return fmt.Errorf("using the restic repository %s: %w", o.URL, err)
	}
}

// restore is RestoreFiles for a repository of upstream's.
func (o *old) restore(ctx context.Context, w *worker, a FilesRequest) error {
	if a.DeleteExtra {
		return fmt.Errorf("reading argument %q: it is ours, and %s is a restic repository: empty the volume with PrepareData before", "deleteExtra", o.URL)
	}

	q := restic.Restore{ID: a.BackupID, Tag: a.BackupTag, Sub: a.BackupPath, Path: a.RestorePath, Root: volumesDir}
	for _, m := range w.mounts {
		q.Volumes = append(q.Volumes, m.path)
	}

	command, err := o.Restore(resticDir, q)
	if err != nil {
		return err
	}

	said, err := o.do(ctx, command, w, w.index...)

	if count, examples, only := restic.OnlyOwners(said); only {
		o.run.Journal.Warn(fmt.Sprintf("%s: owner, mode or times of %d files could not be set back, such as %s; their contents are restored", w.subject, count, strings.Join(examples, ", ")))

		return w.free(ctx, false, nil)
	}

	return err
}

// delete is DeleteSnapshots for a repository of upstream's. The text is what was freed.
func (o *old) delete(ctx context.Context, d DeleteRequest, index string) (string, error) {
	said, err := o.do(ctx, o.List(resticDir), nil, index, "list")
	if err != nil {
		return "", err
	}

	snapshots, err := restic.Snapshots(said)
	if err != nil {
		return "", err
	}

	var ids []string

	look := func(what, name string, is func(restic.Snapshot) bool) error {
		found := false

		for _, s := range snapshots {
			if is(s) {
				found = true

				if !slices.Contains(ids, s.ID) {
					ids = append(ids, s.ID)
				}
			}
		}

		switch {
		case found:
			return nil
		case d.MissingOK:
			o.run.Journal.Event(fmt.Sprintf("backup %s is not in %s any more", name, o.URL))

			return nil
		default:
			return &record.Failure{
				Reason: string(location.NotFound), Message: fmt.Sprintf("looking for the backup with the %s %q: it is not in the restic repository %s", what, name, o.URL),
				Hint: "look at the backup's artifacts: kubectl kanister describe RUN",
			}
		}
	}

	for _, id := range d.BackupIDs {
		if err := look("ID", id, func(s restic.Snapshot) bool { return s.Is(id) }); err != nil {
			return "", err
		}
	}

	for _, tag := range d.BackupTags {
		if err := look("tag", tag, func(s restic.Snapshot) bool { return slices.Contains(s.Tags, tag) }); err != nil {
			return "", err
		}
	}

	if len(ids) == 0 {
		return human(0), nil
	}

	if said, err = o.do(ctx, o.Forget(resticDir, ids, d.Reclaim), nil, index, "forget"); err != nil {
		return "", err
	}

	o.run.Journal.Event(fmt.Sprintf("deleted backups from %s: %d", o.URL, len(ids)))

	return restic.Freed(said), nil
}

// stats measures a backup of upstream's.
func (o *old) stats(ctx context.Context, id, mode string) (restic.Stats, error) {
	said, err := o.do(ctx, o.Stats(resticDir, id, mode), nil)
	if err != nil {
		return restic.Stats{}, err
	}

	// It says so, and goes on with the figures of no backup at all.
	if restic.Why(said) == restic.NoSnapshot {
		return restic.Stats{}, &record.Failure{
			Reason: string(location.NotFound), Message: fmt.Sprintf("measuring the backup %q: it is not in the restic repository %s", id, o.URL),
			Hint: "look at the backup's artifacts: kubectl kanister describe RUN",
		}
	}

	return restic.ParseStats(said)
}

// lines collects what restic writes; answers in JSON are not for the log.
type lines struct {
	all  []string
	rest []byte
	log  func(string)
}

// linesKept bounds what is remembered: the rest of a restore's complaints is only in the log.
const linesKept = 200_000

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)

	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}

		l.line(string(line))
		l.rest = append([]byte(nil), rest...)
	}
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.line(string(l.rest))
	}

	l.rest = nil
}

func (l *lines) line(line string) {
	if len(l.all) < linesKept {
		l.all = append(l.all, line)
	}

	if !strings.HasPrefix(line, "[{") && line != "[]" && !strings.HasPrefix(line, "{") && strings.TrimSpace(line) != "" {
		l.log(line)
	}
}
