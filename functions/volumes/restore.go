package volumes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/data"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// RestoreVolumes restores volumes from the location.
type RestoreVolumes struct{ spec.Function }

var _ = functions.Register(RestoreVolumes{spec.Must("RestoreVolumes")})

type restoreArgs struct {
	BackupInfo     string            `mapstructure:"backupInfo"`
	Namespace      string            `mapstructure:"namespace"`
	Volumes        []string          `mapstructure:"volumes"`
	Workloads      string            `mapstructure:"workloads"`
	StorageClass   string            `mapstructure:"storageClass"`
	Exact          bool              `mapstructure:"exact"`
	EncryptionKey  string            `mapstructure:"encryptionKey"`
	PodOverride    map[string]any    `mapstructure:"podOverride"`
	PodLabels      map[string]string `mapstructure:"podLabels"`
	PodAnnotations map[string]string `mapstructure:"podAnnotations"`
}

// destination is one volume's backup and the claim that it goes to.
type destination struct {
	Backup

	Claim string
}

// destinations picks the backups to restore: all, or those named; a name may be followed by = and the claim to restore to.
func destinations(info BackupInfo, names []string) ([]destination, error) {
	var plan []destination

	if len(names) == 0 {
		for _, v := range info.Volumes {
			plan = append(plan, destination{v, v.PVC})
		}

		return plan, nil
	}

	for _, name := range names {
		from, to, mapped := strings.Cut(name, "=")
		if !mapped {
			to = from
		}

		i := slices.IndexFunc(info.Volumes, func(v Backup) bool { return v.PVC == from })
		if i < 0 || to == "" {
			var there []string
			for _, v := range info.Volumes {
				there = append(there, v.PVC)
			}

			return nil, fmt.Errorf("reading argument %q: %q is not in the backup, which has %s", "volumes", name, strings.Join(there, ", "))
		}

		if at := slices.IndexFunc(plan, func(d destination) bool { return d.Claim == to }); at >= 0 {
			return nil, fmt.Errorf("reading argument %q: %q and %q would both be restored into claim %q", "volumes", plan[at].PVC, from, to)
		}

		plan = append(plan, destination{info.Volumes[i], to})
	}

	return plan, nil
}

// Exec implements functions.Func.
func (f RestoreVolumes) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a := restoreArgs{Exact: true}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	info, err := readBackupInfo(a.BackupInfo)
	if err != nil {
		return nil, err
	}

	plan, err := destinations(info, words(a.Volumes))
	if err != nil {
		return nil, err
	}

	var quiesced []Quiesced
	if err := decodeText("workloads", a.Workloads, &quiesced); err != nil {
		return nil, err
	}

	namespace := namespaceOf(run, a.Namespace)

	for _, d := range plan {
		if err := prepare(ctx, run, namespace, d, a.StorageClass); err != nil {
			return nil, err
		}
	}

	if err := unused(ctx, run, namespace, plan); err != nil {
		return nil, err
	}

	r := &restoring{run: run, args: a, namespace: namespace, prefix: info.Prefix, plan: plan, quiesced: quiesced, sum: newSum(run, len(plan)), begun: make([]atomic.Bool, len(plan))}

	if err := r.all(ctx); err != nil {
		return nil, err
	}

	return map[string]any{"volumeCount": fmt.Sprint(len(plan)), "size": fmt.Sprint(r.bytes.Load()), "fileCount": fmt.Sprint(r.files.Load())}, nil
}

// prepare makes a claim that is gone again, as it was.
func prepare(ctx context.Context, run *functions.Run, namespace string, d destination, class string) error {
	claim, err := run.Kube.Claim(ctx, namespace, d.Claim)

	switch {
	case err == nil && claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock:
		return &kube.Error{Reason: "UnsuitableVolume", Message: fmt.Sprintf("volume %q in namespace %q is a raw block device, and only files are restored", d.Claim, namespace)}
	case err == nil && claim.DeletionTimestamp != nil:
		return &kube.Error{
			Reason: "VolumeInUse", Message: fmt.Sprintf("persistentvolumeclaim %q in namespace %q is being deleted", d.Claim, namespace),
			Hint: "restore again when it is gone: it is then made anew",
		}
	case err == nil:
		return nil
	case !kube.IsReason(err, kube.ReasonNotFound):
		return err
	}

	size, err := resource.ParseQuantity(d.Size)
	if err != nil {
		return fmt.Errorf("making persistentvolumeclaim %q again: its size %q: %w", d.Claim, d.Size, err)
	}

	spec := corev1.PersistentVolumeClaimSpec{
		StorageClassName: d.StorageClass,
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
	}
	if class != "" {
		spec.StorageClassName = &class
	}

	for _, mode := range d.AccessModes {
		spec.AccessModes = append(spec.AccessModes, corev1.PersistentVolumeAccessMode(mode))
	}

	run.Journal.Event(fmt.Sprintf("volume %s is gone: making its claim again, %s", d.Claim, d.Size))

	err = run.Kube.Retry(ctx, func(ctx context.Context) error {
		_, err := run.Kube.Clientset.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: d.Claim, Namespace: namespace, Labels: d.Labels}, Spec: spec,
		}, metav1.CreateOptions{})

		return err
	})
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}

	return &kube.Error{Reason: string(apierrors.ReasonForError(err)), Message: fmt.Sprintf("making persistentvolumeclaim %q in namespace %q again", d.Claim, namespace), Err: err}
}

// unused refuses to write under a running application. Pods that are just ending get half a minute.
func unused(ctx context.Context, run *functions.Run, namespace string, plan []destination) error {
	for attempt := 0; ; attempt++ {
		all, err := run.Kube.ConsumersOf(ctx, namespace)
		if err != nil {
			return err
		}

		var inUse []string

		for _, d := range plan {
			if d.Method == Empty {
				continue
			}

			for _, name := range strangers(all[d.Claim], run) {
				inUse = append(inUse, fmt.Sprintf("pod %s uses volume %s", name, d.Claim))
			}
		}

		if len(inUse) == 0 {
			return nil
		}

		if attempt == 10 {
			return &kube.Error{
				Reason: "VolumeInUse", Message: "volumes to restore are in use: " + strings.Join(inUse, ", "),
				Hint: "scale the workload down first, by QuiesceVolumes or ScaleWorkload",
			}
		}

		run.Journal.Progress(record.Progress{Message: "waiting until the volumes are free: " + strings.Join(inUse, ", ")})

		if err := run.Kube.Sleep(ctx, 3*time.Second); err != nil {
			return err
		}
	}
}

// restoring is one call of RestoreVolumes.
type restoring struct {
	run               *functions.Run
	args              restoreArgs
	namespace, prefix string
	plan              []destination
	quiesced          []Quiesced
	sum               *sum
	// begun: the volume is not what it was, or may not be.
	begun        []atomic.Bool
	bytes, files atomic.Int64
}

func (r *restoring) all(ctx context.Context) error {
	// Each volume holds for itself while it is written to; this is for those among which some are restored and others not.
	hold := "restore/" + r.run.Phase
	if err := r.run.Journal.HoldUndo(ctx, hold, "not all volumes are restored"); err != nil {
		return err
	}

	done := make([]bool, len(r.plan))

	err := parallel(ctx, len(r.plan), func(ctx context.Context, i int) error {
		err := r.one(ctx, i)
		done[i] = err == nil

		return err
	})
	if err == nil {
		return r.run.Journal.FreeUndo(ctx, hold)
	}

	// A successor goes on: nothing is decided yet.
	if functions.Leaving(ctx) {
		return err
	}

	var torn []string

	for i, d := range r.plan {
		if r.begun[i].Load() && !done[i] {
			torn = append(torn, d.Claim)
		}
	}

	if len(torn) == 0 && !slices.Contains(done, true) && r.run.Attempt <= 1 {
		return errors.Join(err, r.run.Journal.FreeUndo(ctx, hold))
	}

	return r.leaveDown(torn, err)
}

// leaveDown says that the workloads stay down because volumes are half restored: an application that starts on such a mixture may
// ruin what is left.
func (r *restoring) leaveDown(torn []string, cause error) error {
	var names []string

	for _, q := range r.quiesced {
		names = append(names, q.workload().String())
	}

	what := "some volumes are restored and others are not"
	if len(torn) > 0 {
		what = "half restored: volume " + strings.Join(torn, ", ")
	}

	if len(names) > 0 {
		what += "; left scaled down on purpose: " + strings.Join(names, ", ")
	}

	r.run.Journal.Warn(what + ". Restore again; what is there already is not written twice")

	return fmt.Errorf("%w (%s)", cause, what)
}

func (r *restoring) one(ctx context.Context, i int) error {
	d := r.plan[i]

	if d.Method == Empty || d.BackupID == "" {
		r.sum.done(i)

		return nil
	}

	result, err := data.RestoreVolume(ctx, r.run, data.RestoreRequest{
		Namespace: r.namespace, Claim: d.Claim, Prefix: r.prefix, EncryptionKey: r.args.EncryptionKey, BackupID: d.BackupID,
		DeleteExtra: r.args.Exact, Like: r.like(d), Index: d.Claim,
		PodOverride: r.args.PodOverride, PodLabels: r.args.PodLabels, PodAnnotations: r.args.PodAnnotations,
		Progress: func(p record.Progress) {
			r.sum.report(i, "volume "+d.Claim, p)
		},
	})
	r.begun[i].Store(result.Begun)

	if err == nil {
		err = restored(ctx, r.run, r.namespace, d.Claim)
	}

	if err != nil {
		return fmt.Errorf("restoring volume %q: %w", d.Claim, err)
	}

	r.bytes.Add(result.Bytes)
	r.files.Add(result.Files)
	r.sum.done(i)

	return nil
}

// like is the pod to write as: the one that was stopped for this, else the one that used the volume when it was backed up.
func (r *restoring) like(d destination) *corev1.PodSpec {
	if l := likeOf(d.Claim, nil, r.quiesced); l != nil {
		return l
	}

	return d.Like
}
