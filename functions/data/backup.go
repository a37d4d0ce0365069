package data

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// BackupData backs up a directory of a running pod (COMPAT §4.6), without a sidecar.
type BackupData struct{ spec.Function }

var _ = functions.Register(BackupData{spec.Must("BackupData")})

// backupArgs are those of BackupData and BackupDataAll; each declares what it reads.
type backupArgs struct {
	Namespace     string `mapstructure:"namespace"`
	Pod           string `mapstructure:"pod"`
	Pods          string `mapstructure:"pods"`
	Container     string `mapstructure:"container"`
	IncludePath   string `mapstructure:"includePath"`
	Prefix        string `mapstructure:"backupArtifactPrefix"`
	EncryptionKey string `mapstructure:"encryptionKey"`
	InsecureTLS   bool   `mapstructure:"insecureTLS"`
}

// Exec implements functions.Func.
func (f BackupData) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a backupArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := given(map[string]string{"pod": a.Pod}); err != nil {
		return nil, err
	}

	b, err := a.backup(ctx, run, "")
	if err != nil {
		return nil, err
	}

	return map[string]any{
		"backupID": b.ID, "backupTag": b.Tags[kopia.BackupTag], "fileCount": strconv.FormatInt(b.Files, 10),
		"size": human(b.Bytes), "phySize": human(b.BytesNew), "version": version,
	}, nil
}

// source is where a backup reads from.
type source struct {
	run       *functions.Run
	pod       *corev1.Pod
	container *corev1.Container
	path      string
	worker    *worker // with the request; its mounts are set by the volume route
}

// backup backs up one pod. index tells several at once apart.
func (a backupArgs) backup(ctx context.Context, run *functions.Run, index string) (*mover.Backup, error) {
	if err := given(map[string]string{"backupArtifactPrefix": a.Prefix}); err != nil {
		return nil, err
	}

	return BackupPod(ctx, run, BackupRequest{
		Namespace: a.Namespace, Pod: a.Pod, Container: a.Container, Path: a.IncludePath,
		Prefix: a.Prefix, EncryptionKey: a.EncryptionKey, InsecureTLS: a.InsecureTLS, Index: index,
	})
}

// BackupRequest asks to back up a directory of a running pod.
type BackupRequest struct {
	// Namespace, Pod and Container in which Path, absolute, is.
	Namespace, Pod, Container, Path string
	// Prefix, EncryptionKey and InsecureTLS name the repository as arguments of functions do.
	Prefix, EncryptionKey string
	InsecureTLS           bool
	// Server is a repository server in place of these three; nil: there is none.
	Server *kopia.Server
	// Tags of the snapshot, beside those that every backup has.
	Tags map[string]string
	// Index tells several backups of one phase apart; required if there are several.
	Index string
}

// BackupPod backs up a directory of a running pod by the first way that leads to the data. What could not be read is a warning in the
// journal. Several may run at once.
func BackupPod(ctx context.Context, run *functions.Run, a BackupRequest) (*mover.Backup, error) {
	if err := given(map[string]string{"pod": a.Pod, "container": a.Container, "includePath": a.Path}); err != nil {
		return nil, err
	}

	if !path.IsAbs(a.Path) {
		return nil, fmt.Errorf("reading argument %q: %q is not absolute", "includePath", a.Path)
	}

	request, err := repository{a.Prefix, a.EncryptionKey, a.InsecureTLS, a.Server}.request(run)
	if err != nil {
		return nil, err
	}

	namespace := run.NamespaceOr(a.Namespace)
	s := source{run: run, path: path.Clean(a.Path)}

	if s.pod, s.container, err = containerIn(ctx, run, namespace, a.Pod, a.Container); err != nil {
		return nil, err
	}

	s.worker = &worker{run: run, namespace: namespace, subject: fmt.Sprintf("%s of pod %s", s.path, a.Pod), request: request}
	s.worker.indexed(a.Index)
	// Pods of one workload come and go by other names; what they hold is known by its path.
	s.worker.backup(kopia.Source{Namespace: namespace, Path: s.path}, a.Tags)

	e, err := s.move(ctx)
	if err != nil {
		return nil, err
	}

	return e.Backup, nil
}

func containerIn(ctx context.Context, run *functions.Run, namespace, name, container string) (*corev1.Pod, *corev1.Container, error) {
	pod, err := run.Kube.PodOf(ctx, namespace, name)
	if apierrors.IsNotFound(err) {
		return nil, nil, &kube.Error{
			Reason: kube.ReasonPodMissing, Message: fmt.Sprintf("backing up pod %q in namespace %q: it does not exist", name, namespace),
			Hint: "kubectl get pods -n " + namespace,
		}
	}

	if err != nil {
		return nil, nil, fmt.Errorf("backing up pod %q in namespace %q: %w", name, namespace, err)
	}

	ref := record.PodRef{Namespace: namespace, Name: name}
	if pod.Status.Phase != corev1.PodRunning {
		return nil, nil, &kube.Error{Reason: kube.ReasonPodMissing, Pod: &ref, Message: fmt.Sprintf("backing up pod %q in namespace %q: it does not run, but is %s", name, namespace, pod.Status.Phase)}
	}

	var names []string

	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			if containers[i].Name == container {
				return pod, &containers[i], nil
			}

			names = append(names, containers[i].Name)
		}
	}

	return nil, nil, &kube.Error{
		Reason: kube.ReasonContainerMissing, Pod: &ref,
		Message: fmt.Sprintf("backing up pod %q in namespace %q: it has no container %q, but %s", name, namespace, container, strings.Join(names, ", ")),
	}
}

// move takes the first way that leads to the data, and says which.
func (s *source) move(ctx context.Context) (mover.Event, error) {
	// Nothing can be mounted into a container that runs, so one of these cannot write to a volume of backups.
	onVolume := s.worker.request.Claim() != ""

	if s.container.Image == s.run.Input.RunnerImage && !onVolume {
		s.say("container %s holds the data mover, which reads it there", s.container.Name)

		return s.inContainer(ctx, s.container.Name)
	}

	on, kind := s.volume()

	switch {
	case kind == onClaim:
		s.worker.mounts = s.mounts(on)
		s.worker.identity = identityOf(&s.pod.Spec, s.container.Name)
		s.worker.node, s.worker.tolerations = s.pod.Spec.NodeName, s.pod.Spec.Tolerations
		s.say("it lies on volume %s, which a worker pod on node %s reads", claimOf(s.pod, on.Name), s.pod.Spec.NodeName)

		return s.worker.do(ctx)
	case kind == onOther && on.SubPath == "" && on.SubPathExpr == "" && !onVolume:
		e, err := s.inEphemeral(ctx, on)
		if !refused(err) {
			return e, err
		}

		s.run.Journal.Event(fmt.Sprintf("%s: no ephemeral container can be added to pod %s: %v", s.worker.subject, s.pod.Name, err))
	}

	s.say("a tar stream through the API server reads it in container %s: this is slow, and no way for large data", s.container.Name)

	return s.throughTar(ctx)
}

func (s *source) say(format string, args ...any) {
	s.run.Journal.Event(s.worker.subject + ": " + fmt.Sprintf(format, args...))
}

type volumeKind int

const (
	onImage volumeKind = iota // the container's own file system
	onClaim                   // a PersistentVolumeClaim that another pod can mount as well
	onOther                   // any other volume
)

// volume finds the mount that the path lies on.
func (s *source) volume() (corev1.VolumeMount, volumeKind) {
	var (
		best  corev1.VolumeMount
		found bool
	)

	for _, m := range s.container.VolumeMounts {
		if within(s.path, path.Clean(m.MountPath)) && (!found || len(path.Clean(m.MountPath)) > len(path.Clean(best.MountPath))) {
			best, found = m, true
		}
	}

	if !found {
		// A directory above mounts lies in the image, but what is worth keeping of it is on them.
		for _, m := range s.container.VolumeMounts {
			if within(path.Clean(m.MountPath), s.path) && claimOf(s.pod, m.Name) != "" && s.path != "/" {
				return m, onClaim
			}
		}

		return best, onImage
	}

	if _, known := subPath(s.pod, s.container, best); claimOf(s.pod, best.Name) == "" || !known {
		return best, onOther
	}

	return best, onClaim
}

// mounts are the mount that the path lies on and the claims mounted below the path. What else is mounted below it is named, for it
// is not backed up.
func (s *source) mounts(on corev1.VolumeMount) []mount {
	var mounts []mount

	for _, m := range mountsOf(s.pod, s.container) {
		if m.path == path.Clean(on.MountPath) || within(m.path, s.path) {
			mounts = append(mounts, m)
		}
	}

	for _, m := range s.container.VolumeMounts {
		at := path.Clean(m.MountPath)
		if at == path.Clean(on.MountPath) || !within(at, s.path) || claimOf(s.pod, m.Name) != "" {
			continue
		}

		text := fmt.Sprintf("%s: volume %s, mounted at %s, is no PersistentVolumeClaim and not in the backup", s.worker.subject, m.Name, at)
		if keeps(s.pod, m.Name) {
			s.run.Journal.Warn(text)
		} else {
			s.run.Journal.Event(text)
		}
	}

	slices.SortFunc(mounts, func(a, b mount) int { return len(a.path) - len(b.path) })

	return mounts
}

// keeps tells whether a volume holds data, rather than objects of the cluster.
func keeps(pod *corev1.Pod, volume string) bool {
	for _, v := range pod.Spec.Volumes {
		if v.Name == volume {
			return v.ConfigMap == nil && v.Secret == nil && v.Projected == nil && v.DownwardAPI == nil
		}
	}

	return true
}
