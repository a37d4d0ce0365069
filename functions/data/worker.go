package data

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// volumesDir is where a worker has the application's file system: what a pod mounts at /data is at volumesDir/data.
const volumesDir = "/volumes"

// pods are the arguments about worker pods.
type pods struct {
	PodOverride    map[string]any    `mapstructure:"podOverride"`
	PodLabels      map[string]string `mapstructure:"podLabels"`
	PodAnnotations map[string]string `mapstructure:"podAnnotations"`
}

// mount is a claim at a path of the application's file system.
type mount struct {
	claim   string
	path    string
	subPath string
}

// worker is one pod with the data mover.
type worker struct {
	run       *functions.Run
	namespace string
	index     []string
	// startLimit is kube.Pod.StartLimit.
	startLimit time.Duration
	pods       pods
	// subject says in messages what is moved: "volume data-0".
	subject  string
	mounts   []mount
	write    bool
	identity identity
	// node that it must run on; found by the volumes if empty.
	node        string
	tolerations []corev1.Toleration
	request     mover.Request
	progress    func(record.Progress)
	// begun: a worker that failed may have changed what it writes to.
	begun bool
}

// do runs the worker to its end and returns the mover's last event. Warnings about what could not be moved are given to the
// journal.
func (w *worker) do(ctx context.Context) (mover.Event, error) {
	options, err := w.options(ctx)
	if err != nil {
		return mover.Event{}, err
	}

	if err := w.hold(ctx); err != nil {
		return mover.Event{}, err
	}

	pod, err := w.start(ctx, options)
	if err != nil {
		// A request that was cut off may have made the pod all the same.
		return mover.Event{}, w.free(ctx, ctx.Err() != nil, err)
	}

	e, begun, err := w.follow(ctx, pod)

	return e, w.free(ctx, begun, err)
}

// follow sees the worker pod through and deletes it. begun: it may have changed what it writes to.
func (w *worker) follow(ctx context.Context, pod *kube.Pod) (e mover.Event, begun bool, err error) {
	defer func() {
		if functions.Leaving(ctx) {
			return // the successor adopts it
		}

		if err := pod.Delete(ctx); err != nil {
			w.run.Journal.Warn(err.Error())
		}
	}()

	pod.StartLimit = w.startLimit
	w.run.Follow(pod)

	sink := &events{worker: w, source: pod.Name + "/" + kube.ContainerName}
	err = pod.Run(ctx, sink)

	if ctx.Err() != nil {
		return mover.Event{}, w.ran(ctx, pod), context.Cause(ctx)
	}

	if sink.last == nil {
		sink.last = w.lastWords(ctx, pod)
	}

	e, err = w.conclude(pod, sink.last, err)

	return e, e.Restore != nil || err != nil && e.Error == nil && w.ran(ctx, pod), err
}

// start falls back to a user without rights where PodSecurity lets nobody be root.
func (w *worker) start(ctx context.Context, o kube.PodOptions) (*kube.Pod, error) {
	pod, err := w.run.StartPod(ctx, o)
	if !w.identity.root() || !kube.IsReason(err, kube.ReasonPodSecurity) {
		return pod, err
	}

	w.identity.unprivileged().apply(&o, w.write)
	w.groups(&o)

	if pod, err = w.run.StartPod(ctx, o); err == nil {
		w.run.Journal.Event(fmt.Sprintf("%s: PodSecurity of namespace %s lets no pod be root, and the workload's own user is not known from its securityContext: the data mover runs as user %d and moves what that may",
			w.subject, w.namespace, moverUser))
	}

	return pod, err
}

// lastWords are the event that the mover left in the termination message, in case its output was lost.
func (w *worker) lastWords(ctx context.Context, pod *kube.Pod) *mover.Event {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	found, err := w.run.Kube.PodOf(ctx, pod.Namespace, pod.Name)
	if err != nil {
		return nil
	}

	for _, status := range found.Status.ContainerStatuses {
		if status.Name == kube.ContainerName && status.State.Terminated != nil {
			if e, ok := mover.Parse([]byte(status.State.Terminated.Message)); ok && e.Last() {
				return &e
			}
		}
	}

	return nil
}

// conclude tells success from failure. err is what the pod's end was like.
func (w *worker) conclude(pod *kube.Pod, last *mover.Event, err error) (mover.Event, error) {
	switch {
	case last != nil && last.Error != nil:
		ref := pod.Ref()

		var failed *kube.Error

		f := &record.Failure{Message: w.subject + ": " + last.Error.Message, Reason: last.Error.Reason, Hint: last.Error.Hint, Pod: &ref}
		if errors.As(err, &failed) {
			f.Exit, f.Events = failed.Exit, failed.Events
		}

		return *last, f
	case err != nil:
		var failed *kube.Error
		if errors.As(err, &failed) {
			failed.LastLogs = readable(failed.LastLogs)
		}

		return mover.Event{}, fmt.Errorf("%s: %w", w.subject, err)
	case last == nil:
		ref := pod.Ref()

		return mover.Event{}, &kube.Error{Reason: kube.ReasonOutput, Message: w.subject + ": the data mover ended without a result", Pod: &ref}
	}

	w.report(*last)

	return *last, nil
}

// readable drops progress from log lines that are shown to people.
func readable(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		_, isEvent := mover.Parse([]byte(line))

		return isEvent
	})
}

func (w *worker) options(ctx context.Context) (kube.PodOptions, error) {
	o, err := w.run.PodOptions(w.namespace, w.pods.PodOverride, w.pods.PodLabels, w.pods.PodAnnotations, w.index...)
	if err != nil {
		return o, err
	}

	w.namespace = o.Namespace
	o.Image, o.PullPolicy = w.run.Input.RunnerImage, corev1.PullPolicy(w.run.Input.ImagePullPolicy)
	o.Args = []string{"mover", path.Join(mover.RequestDir, mover.RequestFile)}
	o.NoToken = true
	o.Env = []corev1.EnvVar{{Name: "HOME", Value: "/tmp"}, {Name: "TMPDIR", Value: "/tmp"}}
	o.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	o.Mounts = []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}

	w.request.Dir = volumesDir

	text, err := json.Marshal(w.request)
	if err != nil {
		return o, fmt.Errorf("writing the request of the data mover: %w", err)
	}

	o.SecretFiles, o.SecretDir = map[string][]byte{mover.RequestFile: text}, mover.RequestDir

	if err := w.volumes(ctx, &o); err != nil {
		return o, err
	}

	w.identity.apply(&o, w.write)
	w.groups(&o)

	return o, nil
}

// groups lets the worker write to a filestore, which belongs to the runner's group.
func (w *worker) groups(o *kube.PodOptions) {
	if w.request.Claim() != "" {
		o.PodSecurity.SupplementalGroups = append(o.PodSecurity.SupplementalGroups, moverUser)
	}
}

// volumes mounts the claims and finds the node.
func (w *worker) volumes(ctx context.Context, o *kube.PodOptions) error {
	p := placement{node: w.node, tolerations: w.tolerations}

	if w.node != "" {
		p.because = w.subject
	}

	users, err := w.run.Kube.ConsumersOf(ctx, w.namespace)
	if err != nil {
		return err
	}

	names := map[string]string{} // claim → volume

	for _, m := range w.mounts {
		if names[m.claim] == "" {
			if err := w.claim(ctx, m.claim, users[m.claim], &p); err != nil {
				return err
			}

			names[m.claim] = fmt.Sprintf("data-%d", len(names))
			o.Volumes = append(o.Volumes, claimVolume(names[m.claim], m.claim, !w.write))
		}

		o.Mounts = append(o.Mounts, corev1.VolumeMount{
			Name: names[m.claim], MountPath: path.Join(volumesDir, m.path), SubPath: m.subPath, ReadOnly: !w.write,
		})
	}

	if err := w.location(ctx, o, users, &p); err != nil {
		return err
	}

	o.Node, o.Tolerations = p.node, p.tolerations

	return nil
}

func claimVolume(name, claim string, readOnly bool) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim, ReadOnly: readOnly},
	}}
}

// claim checks that a claim can be mounted, notes where, and takes the workload's identity if none is known yet.
func (w *worker) claim(ctx context.Context, name string, users []corev1.Pod, p *placement) error {
	claim, err := w.run.Kube.Claim(ctx, w.namespace, name)
	if err != nil {
		return err
	}

	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock {
		return &record.Failure{
			Reason: kube.ReasonInvalid, Message: fmt.Sprintf("mounting volume %q in namespace %q: it is a raw block device, and has no files", name, w.namespace),
			Hint: "use CreateCSISnapshot for block volumes",
		}
	}

	users = slices.DeleteFunc(slices.Clone(users), func(pod corev1.Pod) bool { return w.ours(&pod) })

	if w.write {
		w.warnInUse(name, users)
	}

	if slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod) && len(users) > 0 {
		return &record.Failure{
			Reason:  kube.ReasonInvalid,
			Message: fmt.Sprintf("mounting volume %q in namespace %q: its access mode is ReadWriteOncePod, and pod %q uses it", name, w.namespace, users[0].Name),
			Hint:    "scale the workload down first, or copy a CSI snapshot of the volume",
		}
	}

	node, tolerations := kube.NodeOf(claim, users)

	return p.at(node, tolerations, fmt.Sprintf("volume %q, in use by pod %q,", name, firstName(users)))
}

// ours tells worker pods of this run from the application's.
func (w *worker) ours(pod *corev1.Pod) bool {
	return pod.Labels[record.LabelRun] == w.run.Labels[record.LabelRun]
}

func (w *worker) warnInUse(claim string, users []corev1.Pod) {
	var running []string

	for _, pod := range users {
		if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
			running = append(running, pod.Name)
		}
	}

	if len(running) > 0 {
		w.run.Journal.Warn(fmt.Sprintf("volume %s is restored while it is in use by %s: scale the workload down first (ScaleWorkload), or it may overwrite or misread what is restored",
			claim, strings.Join(running, ", ")))
	}
}

func firstName(pods []corev1.Pod) string {
	if len(pods) == 0 {
		return ""
	}

	return pods[0].Name
}

// placement is the one node on which all volumes of a worker can be mounted.
type placement struct {
	node, because string
	tolerations   []corev1.Toleration
}

func (p *placement) at(node string, tolerations []corev1.Toleration, because string) error {
	switch {
	case node == "" || node == p.node:
		return nil
	case p.node != "":
		return &record.Failure{
			Reason:  kube.ReasonUnschedulable,
			Message: fmt.Sprintf("placing the data mover: %s can only be mounted on node %q, and %s only on node %q", p.because, p.node, because, node),
			Hint:    "scale the workloads that use them down first, or use volumes that can be mounted on several nodes",
		}
	}

	p.node, p.tolerations, p.because = node, tolerations, because

	return nil
}

// location mounts the claim of a filestore profile.
func (w *worker) location(ctx context.Context, o *kube.PodOptions, users map[string][]corev1.Pod, p *placement) error {
	name := w.request.Claim()
	if name == "" {
		return nil
	}

	if w.namespace != w.run.Namespace {
		return &record.Failure{
			Reason: kube.ReasonInvalid, Message: fmt.Sprintf("mounting the claim %q of the profile: it is in namespace %q, and the volume to move in %q", name, w.run.Namespace, w.namespace),
			Hint: "use a profile in the namespace of the volume, or an object store",
		}
	}

	claim, err := w.run.Kube.Claim(ctx, w.namespace, name)
	if err != nil {
		return err
	}

	o.Volumes = append(o.Volumes, claimVolume("location", name, false))
	o.Mounts = append(o.Mounts, corev1.VolumeMount{Name: "location", MountPath: record.LocationMountPath})

	// The runner itself has it mounted.
	node, tolerations := kube.NodeOf(claim, users[name])

	return p.at(node, tolerations, fmt.Sprintf("the profile's volume %q", name))
}

// events reads what the mover writes.
type events struct {
	worker *worker
	source string
	rest   []byte
	last   *mover.Event
	rate   rate
}

func (s *events) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)

	for {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}

		s.line(line)
		s.rest = append([]byte(nil), rest...)
	}
}

func (s *events) line(line []byte) {
	e, ok := mover.Parse(line)

	switch {
	case !ok && len(bytes.TrimSpace(line)) > 0:
		s.worker.run.Journal.Log(s.source, string(line))
	case e.Progress != nil:
		s.worker.showProgress(e, &s.rate)
	case e.Last():
		s.last = &e
	}
}

// rate measures bytes per second over the last few events.
type rate struct {
	at    time.Time
	bytes int64
	value float64
}

func (r *rate) add(bytes int64) int64 {
	now := time.Now() //nolint:forbidigo // measures for the eye, decides nothing

	if passed := now.Sub(r.at).Seconds(); !r.at.IsZero() && passed > 0.2 {
		current := float64(bytes-r.bytes) / passed
		if r.value == 0 {
			r.value = current
		}

		r.value = 0.7*r.value + 0.3*current
	} else if !r.at.IsZero() {
		return int64(r.value)
	}

	r.at, r.bytes = now, bytes

	return int64(r.value)
}

func (w *worker) showProgress(e mover.Event, r *rate) {
	p := record.Progress{
		Message: w.subject, BytesDone: e.Progress.BytesDone, BytesTotal: e.Progress.BytesTotal, BytesNew: e.Progress.BytesNew,
		FilesDone: e.Progress.FilesDone, FilesTotal: e.Progress.FilesTotal, Rate: r.add(e.Progress.BytesDone),
	}

	if p.BytesTotal > 0 {
		percent := int(min(p.BytesDone*100/p.BytesTotal, 100))
		p.Percent = &percent
	}

	if w.progress != nil {
		w.progress(p)

		return
	}

	w.run.Journal.Progress(p)
}
