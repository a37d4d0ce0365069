package volumes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/csi"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// SnapshotVolumes takes CSI snapshots of volumes, all at one moment, and clones them for reading.
type SnapshotVolumes struct{ spec.Function }

var _ = functions.Register(SnapshotVolumes{spec.Must("SnapshotVolumes")})

type snapshotArgs struct {
	Namespace     string   `mapstructure:"namespace"`
	Volumes       []string `mapstructure:"volumes"`
	Method        string   `mapstructure:"method"`
	SnapshotClass string   `mapstructure:"snapshotClass"`
	Workloads     string   `mapstructure:"workloads"`
	Timeout       string   `mapstructure:"timeout"`
}

// Exec implements functions.Func.
func (f SnapshotVolumes) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a := snapshotArgs{Timeout: csi.DefaultTimeout.String()}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	limit, err := time.ParseDuration(a.Timeout)
	if err != nil || limit <= 0 {
		return nil, fmt.Errorf("reading argument %q: %q is no duration such as 30m or 2h", "timeout", a.Timeout)
	}

	method := strings.ToLower(a.Method)
	if method == "" {
		method = "auto"
	}

	if method != "auto" && method != Snapshotted && method != Live {
		return nil, fmt.Errorf("reading argument %q: %q is none of auto, csi, live", "method", a.Method)
	}

	var quiesced []Quiesced
	if err := decodeText("workloads", a.Workloads, &quiesced); err != nil {
		return nil, err
	}

	namespace := namespaceOf(run, a.Namespace)

	chosen, err := choose(ctx, run, namespace, words(a.Volumes))
	if err != nil {
		return nil, err
	}

	s := &snapshotting{run: run, namespace: namespace, method: method, class: a.SnapshotClass, limit: limit, classes: &classes{run: run}}

	volumes, err := s.all(ctx, chosen, quiesced)
	if err != nil {
		return nil, err
	}

	text, err := encode(volumes)

	return map[string]any{"volumes": text}, err
}

// snapshotting is one call of SnapshotVolumes.
type snapshotting struct {
	run       *functions.Run
	namespace string
	method    string
	class     string
	limit     time.Duration
	classes   *classes

	mu      sync.Mutex
	waiting map[string]string // by claim, what is waited for
}

// state is what becomes of one volume.
type state struct {
	claim  params.VolumeClaim
	volume Volume
	live   string // why it is copied live
	size   resource.Quantity
}

func (s *snapshotting) all(ctx context.Context, chosen []params.VolumeClaim, quiesced []Quiesced) ([]Volume, error) {
	consumers, err := s.run.Kube.ConsumersOf(ctx, s.namespace)
	if err != nil {
		return nil, err
	}

	states := make([]*state, len(chosen))
	for i, claim := range chosen {
		states[i] = &state{claim: claim, volume: Volume{
			PVC: claim.Name, Namespace: s.namespace, Method: Live,
			ClaimSpec: specOf(claim.Claim, likeOf(claim.Name, consumers[claim.Name], quiesced)),
		}}
	}

	if s.method != Live {
		if err := s.snapshots(ctx, states); err != nil {
			return nil, err
		}
	} else {
		for _, st := range states {
			st.live = "method live was asked for"
		}
	}

	volumes := make([]Volume, len(states))
	lives := false

	for i, st := range states {
		if st.claim.Claim.Status.Phase == corev1.ClaimPending && st.claim.Claim.Spec.VolumeName == "" {
			st.volume.Method = Empty
			s.run.Journal.Event("volume " + st.claim.Name + " has never been used: there is nothing to copy")
		} else if st.volume.Method == Live {
			lives = true

			pods := strangers(consumers[st.claim.Name], s.run)
			st.volume.Idle = len(pods) == 0

			s.tellLive(st, pods)
		}

		volumes[i] = st.volume
	}

	if !lives && len(quiesced) > 0 {
		// All that is copied from now on are clones.
		return volumes, bringBack(ctx, s.run, quiesced, false)
	}

	return volumes, nil
}

func likeOf(claim string, pods []corev1.Pod, quiesced []Quiesced) *corev1.PodSpec {
	for _, pod := range pods {
		if pod.Labels[kube.LabelCreatedBy] != kube.CreatedBy {
			return like(&pod.Spec)
		}
	}

	for _, q := range quiesced {
		if l := q.Likes[claim]; l != nil {
			return l
		}
	}

	return nil
}

func (s *snapshotting) tellLive(st *state, pods []string) {
	if len(pods) == 0 {
		s.run.Journal.Event(fmt.Sprintf("volume %s is copied from the volume itself, which nothing uses now: %s", st.claim.Name, st.live))

		return
	}

	hint := "; files that change meanwhile are counted"
	if s.method != Live {
		hint = "; to stop the workload meanwhile: --quiesce=scale-down"
	}

	s.run.Journal.Warn(fmt.Sprintf("volume %s is copied live, while %s uses it: %s%s", st.claim.Name, strings.Join(pods, ", "), st.live, hint))
}

// snapshots takes the snapshots of all volumes at once, waits for them together, and makes their clones. With method auto a
// volume for which that does not work is left live.
func (s *snapshotting) snapshots(ctx context.Context, states []*state) error {
	if err := s.run.Journal.Undo(ctx, record.Undo{
		Key: releaseKey(s.namespace), Text: "delete the temporary snapshots and clones in namespace " + s.namespace,
		Func: "ReleaseVolumes", Args: map[string]any{"namespace": s.namespace},
	}); err != nil {
		return err
	}

	s.waiting = map[string]string{}

	for _, step := range []func(context.Context, *state) error{s.take, s.ready, s.clone} {
		if err := s.each(ctx, states, step); err != nil {
			return err
		}
	}

	return nil
}

// each runs a step for all volumes that are not live yet, in parallel.
func (s *snapshotting) each(ctx context.Context, states []*state, step func(context.Context, *state) error) error {
	errs := make([]error, len(states))

	var group sync.WaitGroup

	for i, st := range states {
		if st.live != "" || st.claim.Claim.Status.Phase == corev1.ClaimPending {
			continue
		}

		group.Go(func() {
			err := functions.Recovered(func() error { return step(ctx, st) })

			switch {
			case err == nil:
			case s.method == Snapshotted || ctx.Err() != nil:
				errs[i] = fmt.Errorf("volume %q: %w", st.claim.Name, err)
			default:
				st.live = err.Error()
				st.volume.Method, st.volume.Snapshot, st.volume.Clone = Live, "", ""
			}
		})
	}

	group.Wait()

	if ctx.Err() != nil {
		return ctx.Err()
	}

	return errors.Join(errs...)
}

func (s *snapshotting) take(ctx context.Context, st *state) error {
	name := s.class

	if name == "" {
		class, why := s.classes.of(ctx, st.claim.Claim)
		if why != "" {
			return errors.New(why)
		}

		if class.retains {
			s.run.Journal.Warn(fmt.Sprintf("VolumeSnapshotClass %s retains: the storage system keeps the temporary snapshot of volume %s", class.name, st.claim.Name))
		}

		name = class.name
	}

	st.volume.Method = Snapshotted
	st.volume.Snapshot = record.ObjectName(s.run.Name, "snapshot", st.claim.Name)

	return csi.Create(ctx, s.run, csi.Request{
		Name: st.volume.Snapshot, Namespace: s.namespace, Class: name, Claim: st.claim.Name,
		Labels: map[string]string{LabelTemporary: "true"}, Owners: s.run.Owner.References(s.namespace),
	})
}

func (s *snapshotting) ready(ctx context.Context, st *state) error {
	defer s.tell(st.claim.Name, "")

	snapshot, err := csi.WaitReady(ctx, s.run, s.namespace, st.volume.Snapshot, s.limit, func(message string) { s.tell(st.claim.Name, message) })
	if err != nil {
		return err
	}

	st.size = *sizeOf(st.claim.Claim)

	// A volume that was grown since may need more than the claim says.
	if least, err := resource.ParseQuantity(snapshot.RestoreSize); err == nil && least.Cmp(st.size) > 0 {
		st.size = least
	}

	return nil
}

func (s *snapshotting) clone(ctx context.Context, st *state) error {
	claim := st.claim.Claim
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName == "" {
		return errors.New("its claim has no storage class to make a clone with")
	}

	st.volume.Clone = record.ObjectName(s.run.Name, "clone", claim.Name)

	labels := map[string]string{LabelTemporary: "true"}
	for key, value := range s.run.Labels {
		labels[key] = value
	}

	return csi.CreateClaim(ctx, s.run, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: st.volume.Clone, Namespace: s.namespace, Labels: labels, OwnerReferences: s.run.Owner.References(s.namespace)},
		Spec:       csi.ClaimFrom(st.volume.Snapshot, *claim.Spec.StorageClassName, st.size, cloneModes(claim), corev1.PersistentVolumeFilesystem),
	})
}

// cloneModes are the modes for a clone that one pod uses: the plainest that the claim itself has.
func cloneModes(claim *corev1.PersistentVolumeClaim) []corev1.PersistentVolumeAccessMode {
	for _, mode := range claim.Spec.AccessModes {
		if mode == corev1.ReadWriteOnce {
			return []corev1.PersistentVolumeAccessMode{mode}
		}
	}

	return claim.Spec.AccessModes
}

// tell shows what the volumes wait for.
func (s *snapshotting) tell(claim, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if message == "" {
		delete(s.waiting, claim)
	} else {
		s.waiting[claim] = message
	}

	switch len(s.waiting) {
	case 0:
	case 1:
		for name, text := range s.waiting {
			s.run.Journal.Progress(record.Progress{Message: fmt.Sprintf("volume %s, CSI snapshot: %s", name, text)})
		}
	default:
		s.run.Journal.Progress(record.Progress{Message: fmt.Sprintf("%d volumes, CSI snapshots: %s", len(s.waiting), message)})
	}
}
