package data

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// runnerBinary is where the runner image has its binary.
const runnerBinary = "/usr/local/bin/runner"

// inContainer runs the mover in a container that holds it. The request goes through stdin: it holds credentials, and the address of
// an exec ends up in audit logs.
func (s *source) inContainer(ctx context.Context, container string) (mover.Event, error) {
	s.worker.request.Dir = "/"

	text, err := json.Marshal(s.worker.request)
	if err != nil {
		return mover.Event{}, fmt.Errorf("writing the request of the data mover: %w", err)
	}

	ref := record.PodRef{Namespace: s.pod.Namespace, Name: s.pod.Name}
	s.run.Journal.Pod(ref)

	sink := &events{worker: s.worker, source: s.pod.Name + "/" + container}
	err = s.run.Kube.Exec(ctx, kube.ExecOptions{
		Namespace: s.pod.Namespace, Pod: s.pod.Name, Container: container,
		Command: []string{runnerBinary, "mover", "-"}, Stdin: bytes.NewReader(text), Stdout: sink,
	})

	switch {
	case ctx.Err() != nil:
		return mover.Event{}, context.Cause(ctx)
	case sink.last != nil && sink.last.Error != nil:
		return *sink.last, &record.Failure{
			Message: s.worker.subject + ": " + sink.last.Error.Message, Reason: sink.last.Error.Reason, Hint: sink.last.Error.Hint, Pod: &ref,
		}
	case sink.last == nil && err == nil:
		return mover.Event{}, &kube.Error{Reason: kube.ReasonOutput, Message: s.worker.subject + ": the data mover ended without a result", Pod: &ref}
	case err != nil && sink.last == nil:
		return mover.Event{}, fmt.Errorf("%s: %w", s.worker.subject, err)
	}

	s.worker.report(*sink.last)

	return *sink.last, nil
}

// ephemeralLimit bounds the start of an ephemeral container.
const ephemeralLimit = 5 * time.Minute

// refused tells that an ephemeral container could not be added or started; another way may lead to the data.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err) || errors.Is(err, errEphemeral)
}

var errEphemeral = errors.New("the ephemeral container does not start")

// inEphemeral adds an ephemeral container with the same mount to the pod and runs the mover there. It stays in the pod's spec, ended.
func (s *source) inEphemeral(ctx context.Context, on corev1.VolumeMount) (mover.Event, error) {
	name := record.ObjectName("kanister", s.run.Name, s.run.Phase, fmt.Sprint(s.run.Attempt))

	var mounts []corev1.VolumeMount

	for _, m := range s.container.VolumeMounts {
		at := path.Clean(m.MountPath)
		if m.Name == on.Name && at == path.Clean(on.MountPath) || within(at, s.path) && m.SubPath == "" && m.SubPathExpr == "" {
			mounts = append(mounts, corev1.VolumeMount{Name: m.Name, MountPath: m.MountPath, ReadOnly: true})
		}
	}

	security := s.container.SecurityContext.DeepCopy()
	if security == nil {
		security = &corev1.SecurityContext{}
	}

	security.Privileged, security.ReadOnlyRootFilesystem = nil, nil
	security.AllowPrivilegeEscalation = ptr.To(false)
	security.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}

	id := identityOf(&s.pod.Spec, s.container.Name)
	if id.root() { // the image of the workload may be root's; what it wrote can only be read as root
		security.RunAsUser, security.RunAsNonRoot = ptr.To[int64](rootUser), ptr.To(false)
		security.Capabilities.Add = []corev1.Capability{"DAC_OVERRIDE"}
	}

	container := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: name, Image: s.run.Input.RunnerImage, ImagePullPolicy: corev1.PullPolicy(s.run.Input.ImagePullPolicy),
		Args: []string{"mover", "idle"}, VolumeMounts: mounts, SecurityContext: security,
	}}

	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{container}}})
	if err != nil {
		return mover.Event{}, err
	}

	_, err = s.run.Kube.Clientset.CoreV1().Pods(s.pod.Namespace).Patch(ctx, s.pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "ephemeralcontainers")
	if err != nil {
		return mover.Event{}, err
	}

	if err := s.started(ctx, name); err != nil {
		return mover.Event{}, err
	}

	s.say("it lies on volume %s, which an ephemeral container in the pod reads", on.Name)

	return s.inContainer(ctx, name)
}

func (s *source) started(ctx context.Context, name string) error {
	last := ""

	err := s.run.Kube.WaitFor(ctx, kube.PodResource, s.pod.Namespace, s.pod.Name, ephemeralLimit, fmt.Sprintf("ephemeral container %q of pod %q to start", name, s.pod.Name),
		func(u *unstructured.Unstructured) (bool, error) {
			if u == nil {
				return false, fmt.Errorf("%w: pod %q is gone", errEphemeral, s.pod.Name)
			}

			running, waiting, err := ephemeral(u, name)
			last = waiting

			return running, err
		}, func() string { return last })
	if kube.IsReason(err, kube.ReasonTimeout) {
		err = fmt.Errorf("%w: %w", errEphemeral, err)
	}

	return err
}

// ephemeral tells whether the pod's ephemeral container runs, or what it waits for. An error: it never will.
func ephemeral(pod *unstructured.Unstructured, name string) (running bool, waiting string, err error) {
	statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "ephemeralContainerStatuses")
	for _, item := range statuses {
		status, _ := item.(map[string]any)
		if status["name"] != name {
			continue
		}

		if _, running, _ := unstructured.NestedMap(status, "state", "running"); running {
			return true, "", nil
		}

		if why, ended, _ := unstructured.NestedMap(status, "state", "terminated"); ended {
			return false, "", fmt.Errorf("%w: it has ended: %v", errEphemeral, why["reason"])
		}

		waiting, _, _ = unstructured.NestedString(status, "state", "waiting", "reason")
		switch {
		case waiting == "ErrImagePull", waiting == "ImagePullBackOff", waiting == "ErrImageNeverPull", waiting == "InvalidImageName",
			strings.HasPrefix(waiting, "CreateContainer"):
			return false, waiting, fmt.Errorf("%w: %s", errEphemeral, waiting)
		}
	}

	return false, waiting, nil
}

// throughTar reads the path by tar in the container and writes the repository in the runner.
func (s *source) throughTar(ctx context.Context) (mover.Event, error) {
	if err := mountedHere(s.worker.request); err != nil {
		return mover.Event{}, err
	}

	repository, err := kopia.OpenOrCreate(ctx, s.worker.request.Options())
	if err != nil {
		return mover.Event{}, failure(err)
	}

	made, err := s.tar(ctx, repository)
	if err = errors.Join(err, repository.Close(ctx)); err != nil {
		return mover.Event{}, failure(err)
	}

	e := mover.Event{Backup: &mover.Backup{Snapshot: made, Place: repository.Place(), Seconds: made.Ended.Sub(made.Started).Seconds()}}
	s.worker.report(e)

	return e, nil
}

func (s *source) tar(ctx context.Context, repository *kopia.Repository) (kopia.Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	reader, writer := io.Pipe()
	complaints := kube.NewTail(5)
	ended := make(chan error, 1)

	go func() {
		err := s.run.Kube.Exec(ctx, kube.ExecOptions{
			Namespace: s.pod.Namespace, Pod: s.pod.Name, Container: s.container.Name,
			Command: []string{"tar", "-cf", "-", "-C", path.Dir(s.path), "./" + path.Base(s.path)}, Stdout: writer, Stderr: complaints,
		})
		_ = writer.CloseWithError(ctxOr(ctx, warning(err)))
		ended <- err
	}()

	var r rate

	made, err := repository.SnapshotTar(ctx, kopia.Backup{
		Dir: path.Base(s.path), Source: s.worker.request.Source, Tags: s.worker.request.Tags,
		Progress: func(p kopia.Progress) { s.worker.showProgress(mover.Event{Progress: &p}, &r) },
	}, reader)
	_ = reader.CloseWithError(io.ErrClosedPipe)

	if err != nil {
		cancel()
	}

	execErr := <-ended

	if lines := complaints.Lines(); err == nil && len(lines) > 0 {
		s.run.Journal.Warn(fmt.Sprintf("%s: tar says: %s", s.worker.subject, strings.Join(lines, "; ")))
	}

	if warning(execErr) != nil && ctx.Err() == nil {
		err = fmt.Errorf("%s: %w", s.worker.subject, execErr)
	}

	return made, err
}

// warning drops the exit code with which GNU tar says that files changed while they were read.
func warning(err error) error {
	var e *kube.Error
	if errors.As(err, &e) && e.Reason == kube.ReasonExit && e.Exit != nil && *e.Exit == 1 {
		return nil
	}

	return err
}

func ctxOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	return err
}

var _ functions.Func = BackupData{}
