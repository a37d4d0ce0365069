package ebs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// restoration is one snapshot on its way to a claim.
type restoration struct {
	Snapshot

	claim string
	// pv is the name of the PersistentVolume, there the claim that is in the way, done that this phase has made the claim before.
	pv    string
	there *corev1.PersistentVolumeClaim
	done  bool
	// size in GiB, and the identifier of the new volume.
	size   int32
	volume string
}

// Exec implements functions.Func.
func (f CreateVolumeFromSnapshot) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a, s, err := read(f.Function, run, args)
	if err != nil {
		return nil, err
	}

	all, err := s.plan(ctx, a)
	if err != nil {
		return nil, err
	}

	if err := s.unused(ctx, a.Namespace, all); err != nil {
		return nil, err
	}

	regions, err := s.ready(ctx, all)
	if err != nil {
		return nil, err
	}

	var names []string
	for _, r := range all {
		names = append(names, r.pv)
	}

	if err := s.undo(ctx, a, volumes, regions, names); err != nil {
		return nil, err
	}

	if err := s.make(ctx, a.Namespace, all); err != nil {
		return nil, err // the undo list deletes what was made
	}

	if err := s.replaceAll(ctx, a.Namespace, all); err != nil {
		return nil, err
	}

	return nil, s.dropUndo(ctx, volumes, regions)
}

// plan tells which snapshot goes where, and what is there.
func (s *session) plan(ctx context.Context, a arguments) ([]*restoration, error) {
	infos, err := decode(a.Snapshots)
	if err != nil {
		return nil, err
	}

	names, err := cloud.List("pvcNames", a.PVCNames)
	if err != nil {
		return nil, err
	}

	if len(names) > 0 && len(names) != len(infos) {
		return nil, fmt.Errorf("reading argument %q: it names %d claims, and there are %d snapshots: %s", "pvcNames", len(names), len(infos), strings.Join(claimsIn(infos), ", "))
	}

	var all []*restoration

	for i, info := range infos {
		r := &restoration{Snapshot: info, claim: info.PVCName}
		if len(names) > 0 {
			r.claim = names[i]
		}

		switch {
		case r.claim == "":
			return nil, fmt.Errorf("reading argument %q: snapshot %q names no claim", "snapshots", info.SnapshotID)
		case info.Az == "":
			return nil, fmt.Errorf("reading argument %q: the snapshot of %q does not say in which zone (Az) its volume was", "snapshots", info.PVCName)
		case slices.ContainsFunc(all, func(other *restoration) bool { return other.claim == r.claim }):
			return nil, fmt.Errorf("reading argument %q: two snapshots would be restored to claim %q", "snapshots", r.claim)
		}

		r.Region = cmp.Or(r.Region, regionOf(r.Az))
		r.pv = "kanister-pv-" + s.id + "-" + fmt.Sprint(i)

		r.there, err = s.run.Kube.Claim(ctx, a.Namespace, r.claim)
		if kube.IsReason(err, kube.ReasonNotFound) {
			r.there, err = nil, nil
		}

		if err != nil {
			return nil, err
		}

		r.done = r.there != nil && r.there.DeletionTimestamp == nil && r.there.Annotations[annotationPhase] == s.id

		if err := s.remember(ctx, r); err != nil {
			return nil, err
		}

		all = append(all, r)
	}

	return all, nil
}

// remember keeps what the claim is like that will be deleted, where the manifest does not say it (upstream's): after a crash nothing
// else tells.
func (s *session) remember(ctx context.Context, r *restoration) error {
	if r.Claim != nil {
		return nil
	}

	key := "claim/" + r.claim

	if r.there != nil && !r.done {
		if err := s.run.Journal.Note(ctx, key, claimInfo(r.there, nil)); err != nil {
			return err
		}
	}

	var was Claim

	found, err := s.run.Journal.Noted(key, &was)
	if found {
		r.Claim = &was
	}

	return err
}

func claimsIn(infos []Snapshot) []string {
	var names []string
	for _, info := range infos {
		names = append(names, info.PVCName)
	}

	return names
}

// endingLimit is how long pods that use a claim may take to end.
const endingLimit = 30 * time.Second

// unused refuses to delete claims under a running application. Pods that are just ending get half a minute.
func (s *session) unused(ctx context.Context, namespace string, all []*restoration) error {
	if !slices.ContainsFunc(all, func(r *restoration) bool { return r.there != nil && !r.done }) {
		return nil
	}

	began := s.run.Kube.Now()

	for {
		users, err := s.run.Kube.ConsumersOf(ctx, namespace)
		if err != nil {
			return err
		}

		var inUse []string

		for _, r := range all {
			for _, pod := range users[r.claim] {
				if r.there != nil && !r.done {
					inUse = append(inUse, fmt.Sprintf("pod %s uses claim %s", pod.Name, r.claim))
				}
			}
		}

		if len(inUse) == 0 {
			return nil
		}

		if s.run.Kube.Now().Sub(began) >= endingLimit || s.Left() <= 0 {
			return &kube.Error{
				Reason: "VolumeInUse", Message: fmt.Sprintf("claims to make again in namespace %q are in use: %s", namespace, strings.Join(inUse, ", ")),
				Hint: "scale the workload down first, by ScaleWorkload",
			}
		}

		s.run.Journal.Progress(record.Progress{Message: "waiting until the claims are free: " + strings.Join(inUse, ", ")})

		if err := s.run.Kube.Sleep(ctx, 2*time.Second); err != nil {
			return err
		}
	}
}

// ready waits until the snapshots can be restored, and learns their sizes. It gives the regions that they are in.
func (s *session) ready(ctx context.Context, all []*restoration) ([]string, error) {
	var infos []Snapshot

	for _, r := range all {
		at, err := s.in(ctx, r.Region)
		if err != nil {
			return nil, err
		}

		r.Region = at.region
		infos = append(infos, r.Snapshot)
	}

	found, err := s.waitSnapshots(ctx, infos, known)
	if err != nil {
		return nil, err
	}

	for _, r := range all {
		r.size = max(r.SizeGiB, aws.ToInt32(found[r.SnapshotID].VolumeSize))
	}

	return regionsOf(infos), nil
}

// make makes volumes and PersistentVolumes for what is not done.
func (s *session) make(ctx context.Context, namespace string, all []*restoration) error {
	open := slices.DeleteFunc(slices.Clone(all), func(r *restoration) bool { return r.done })

	if err := each(len(open), func(i int) error { return s.makeVolume(ctx, namespace, open[i]) }); err != nil {
		return err
	}

	if err := s.waitVolumes(ctx, open); err != nil {
		return err
	}

	return each(len(open), func(i int) error { return s.makePersistentVolume(ctx, namespace, open[i]) })
}
