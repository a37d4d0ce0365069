package ebs

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apitypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// upstream is what upstream's CreateVolumeSnapshot has written.
const upstream = `[{"SnapshotID":"snap-0a1b2c3d4e5f60718","Type":"EBS","Region":"us-west-2","PVCName":"data","Az":"us-west-2a","Tags":[{"Key":"kubernetes.io/created-for/pvc/name","Value":"data"}],"VolumeType":"io1"}]`

func TestDecode(t *testing.T) {
	infos, err := decode(upstream)
	if err != nil || len(infos) != 1 || infos[0].Az != "us-west-2a" || infos[0].Tags[0].Value != "data" || infos[0].Claim != nil {
		t.Errorf("%+v, %v", infos, err)
	}

	for name, tc := range map[string]struct{ text, says string }{
		"no JSON":   {"snap-1", "no volumeSnapshotInfo"},
		"empty":     {"[]", "names no snapshot"},
		"Google":    {`[{"SnapshotID":"x","Type":"GPD","PVCName":"data"}]`, "Google persistent disk"},
		"type":      {`[{"SnapshotID":"snap-1","Type":"Ceph"}]`, `"Ceph"`},
		"no type":   {`[{"SnapshotID":"snap-1"}]`, "element 0"},
		"id":        {`[{"SnapshotID":"snap-1; x","Type":"EBS"}]`, "snap-1; x"},
		"no value":  {"<no value>", "no volumeSnapshotInfo"},
		"no object": {`["x"]`, "no volumeSnapshotInfo"},
	} {
		if _, err := decode(tc.text); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVolumeOf(t *testing.T) {
	csi := func(driver, handle string) corev1.PersistentVolumeSource {
		return corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle}}
	}
	inTree := func(id string) corev1.PersistentVolumeSource {
		return corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: id}}
	}

	for name, tc := range map[string]struct {
		source   corev1.PersistentVolumeSource
		affinity *corev1.VolumeNodeAffinity
		labels   map[string]string
		id, zone string
		says     string
	}{
		"csi":           {source: csi(driver, "vol-0a1"), affinity: affinity("us-west-2b", zoneKey), id: "vol-0a1", zone: "us-west-2b"},
		"csi, bare":     {source: csi(driver, "vol-0a1"), id: "vol-0a1"},
		"in-tree":       {source: inTree("aws://us-west-2a/vol-0a1"), id: "vol-0a1", zone: "us-west-2a"},
		"in-tree, bare": {source: inTree("vol-0a1"), labels: map[string]string{zoneKeyBefore: "us-west-2c"}, id: "vol-0a1", zone: "us-west-2c"},
		"no zone":       {source: inTree("aws:///vol-0a1"), id: "vol-0a1"},
		"driver":        {source: csi("csi.example.com", "vol-0a1"), says: "csi.example.com"},
		"efs":           {source: csi(driver, "fs-1"), says: `"fs-1"`},
		"local":         {source: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{}}, says: "no EBS volume"},
	} {
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Labels: tc.labels}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: tc.source, NodeAffinity: tc.affinity}}

		id, zone, err := volumeOf(pv)
		if id != tc.id || zone != tc.zone || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %q %q %v", name, id, zone, err)
		}
	}
}

func TestRegionOf(t *testing.T) {
	for zone, want := range map[string]string{
		"us-west-2a": "us-west-2", "us-gov-east-1b": "us-gov-east-1", "us-west-2-lax-1a": "us-west-2", "eu-test-1a": "eu-test-1", "": "", "zone-a": "",
		"us-east-1-wl1-bos-wlz-1": "us-east-1",
	} {
		if got := regionOf(zone); got != want {
			t.Errorf("%q is in %q, want %q", zone, got, want)
		}
	}
}

func (w *world) snapshot(args arguments) ([]Snapshot, error) {
	w.Helper()

	if args.Namespace == "" {
		args.Namespace = "demo"
	}

	all, err := sources(w.Context(), w.run, args)
	if err != nil {
		return nil, err
	}

	infos, err := w.describe(w.Context(), all)
	if err != nil {
		return nil, err
	}

	if err := w.take(w.Context(), infos); err != nil {
		return infos, err
	}

	_, err = w.waitSnapshots(w.Context(), infos, newborn)
	w.settle(w.Context(), infos)

	return infos, err
}

// with gives the cluster objects.
func (w *world) with(objects ...[]runtime.Object) {
	var all []runtime.Object
	for _, some := range objects {
		all = append(all, some...)
	}

	w.run.Kube.Clientset = fake.NewClientset(all...)
}

func TestSnapshotsOfAllVolumes(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.with(w.volume("data-0", "vol-0000000000000000a", false), w.volume("data-1", "vol-0000000000000000b", true))

	infos, err := w.snapshot(arguments{})
	if err != nil {
		t.Fatal(err)
	}

	if len(infos) != 2 || infos[0].PVCName != "data-0" || infos[1].VolumeID != "vol-0000000000000000b" || infos[0].Az != zone || infos[0].Region != "eu-test-1" ||
		infos[0].Iops != 3500 || infos[0].Throughput != 200 || infos[0].SizeGiB != 10 || infos[0].VolumeType != "gp3" || len(infos[0].Tags) != 1 {
		t.Errorf("%+v", infos)
	}

	claim := infos[0].Claim
	if claim.FSType != "xfs" || claim.Request != "9Gi" || *claim.StorageClass != "fast" || claim.ReclaimPolicy != "Retain" || claim.ZoneKey != zoneKeyNode ||
		!reflect.DeepEqual(claim.Annotations, map[string]string{"team": "a"}) || claim.Labels["app"] != "shop" || infos[1].Claim.Partition != "1" {
		t.Errorf("%+v", claim)
	}

	tags := w.ec2.snapshots[infos[0].SnapshotID].Tags
	if tagIn(tags, "team") != "a" || tagIn(tags, tagClaim) != "demo/data-0" || tagIn(tags, tagPhaseID) != w.id || tagIn(tags, "kanister.io/run") != "demo/backup-x/snap" {
		t.Errorf("tags %+v", tags)
	}

	if !w.spoke("data-0 40 %") || len(w.percents) == 0 || w.percents[0] != 40 {
		t.Errorf("said %q, percents %v", w.said, w.percents)
	}

	// A repeated phase takes none again.
	again, err := w.snapshot(arguments{})
	if err != nil || again[0].SnapshotID != infos[0].SnapshotID || w.ec2.times("CreateSnapshot") != 2 {
		t.Errorf("repeated: %+v %v, %q", again, err, w.ec2.asked)
	}

	// What is written is read again.
	text, err := encode(infos)
	if err != nil {
		t.Fatal(err)
	}

	back, err := decode(text)
	if err != nil || !reflect.DeepEqual(back, infos) {
		t.Errorf("%+v, %v", back, err)
	}

	var loose []map[string]any
	if err := json.Unmarshal([]byte(text), &loose); err != nil || loose[0]["PVCName"] != "data-0" || loose[0]["Type"] != "EBS" {
		t.Errorf("%s: %v", text, err)
	}
}

func TestLostAnswerIsNotAskedAgain(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.with(w.volume("data", "vol-0000000000000000a", false))

	lost := false
	w.ec2.hooks["after CreateSnapshot"] = func() error {
		if lost {
			return nil
		}

		lost = true

		return errors.New("connection reset by peer")
	}

	infos, err := w.snapshot(arguments{})
	if err != nil || infos[0].SnapshotID == "" || len(w.ec2.snapshots) != 1 || w.ec2.times("CreateSnapshot") != 1 {
		t.Errorf("%+v %v: %q", infos, err, w.ec2.asked)
	}
}

// TestLostAnswerOfABlindEC2: EC2 does not see at once what it has made, so that it is asked again; the one too many goes.
func TestLostAnswerOfABlindEC2(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.with(w.volume("data", "vol-0000000000000000a", false))
	w.ec2.blind = 2 // when the phase begins, and after the lost answer
	w.ec2.hooks["after CreateSnapshot"] = func() error {
		delete(w.ec2.hooks, "after CreateSnapshot")

		return errors.New("connection reset by peer")
	}

	infos, err := w.snapshot(arguments{})
	if _, kept := w.ec2.snapshots[infos[0].SnapshotID]; err != nil || !kept || len(w.ec2.snapshots) != 1 || w.ec2.times("CreateSnapshot") != 2 {
		t.Errorf("%+v %v: %q, %d snapshots", infos, err, w.ec2.asked, len(w.ec2.snapshots))
	}
}

func TestBusyEC2IsWaitedFor(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.with(w.volume("data", "vol-0000000000000000a", false))
	w.ec2.hooks["CreateSnapshot"] = func() error {
		delete(w.ec2.hooks, "CreateSnapshot")

		return refusal("SnapshotCreationPerVolumeRateExceeded")
	}

	if _, err := w.snapshot(arguments{}); err != nil || !w.spoke("SnapshotCreationPerVolumeRateExceeded") {
		t.Errorf("%v: %q", err, w.said)
	}
}

func TestSnapshotErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare              func(*world)
		args                 arguments
		reason, says, advice string
	}{
		"denied": {
			prepare: func(w *world) {
				w.ec2.hooks["CreateSnapshot"] = func() error { return refusal("UnauthorizedOperation") }
			}, reason: "UnauthorizedOperation", says: `volume "data"`, advice: "ec2:CreateSnapshot and ec2:CreateTags",
		},
		"key":      {prepare: func(w *world) { w.ec2.state = types.SnapshotStateError }, reason: "SnapshotFailed", says: "Given key ID", advice: "kms:"},
		"vanished": {prepare: func(w *world) { delete(w.ec2.volumes, "vol-0000000000000000a") }, reason: "NotFound", says: "reading EBS volumes in eu-test-1", advice: "region"},
		"deleting": {prepare: func(w *world) {
			v := w.ec2.volumes["vol-0000000000000000a"]
			v.State = types.VolumeStateDeleting
			w.ec2.volumes["vol-0000000000000000a"] = v
		}, reason: "NotFound", says: "deleting", advice: "describe-volumes"},
		"no claim":  {args: arguments{PVCs: "data nobody"}, reason: "NotFound", says: `"nobody"`, advice: "kubectl get"},
		"elsewhere": {args: arguments{Namespace: "other"}, says: "name the claims"},
		"quota": {
			prepare: func(w *world) {
				w.ec2.hooks["CreateSnapshot"] = func() error { return refusal("SnapshotLimitExceeded") }
			}, reason: "SnapshotLimitExceeded", says: "taking a snapshot", advice: "quota",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWorld(t)
			w.with(w.volume("data", "vol-0000000000000000a", false))

			if tc.prepare != nil {
				tc.prepare(w)
			}

			_, err := w.snapshot(tc.args)

			var f *record.Failure

			errors.As(err, &f)

			if err == nil || !strings.Contains(err.Error(), tc.says) || tc.reason != "" && (f == nil || f.Reason != tc.reason || !strings.Contains(f.Hint, tc.advice)) {
				t.Errorf("%v %+v", err, f)
			}
		})
	}
}

func TestUnboundAndForeignClaims(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	unbound := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "new", Namespace: "demo"}}
	w.with(w.volume("data", "vol-0000000000000000a", false), []runtime.Object{unbound})

	infos, err := w.snapshot(arguments{})
	if err != nil || len(infos) != 1 || !w.spoke("volume new is not in the backup") {
		t.Errorf("%+v %v %q", infos, err, w.said)
	}

	if _, err := w.snapshot(arguments{PVCs: []any{"new"}}); err == nil || !strings.Contains(err.Error(), "not bound") {
		t.Errorf("%v", err)
	}

	foreign := w.volume("other", "vol-0000000000000000b", false)
	foreign[0].(*corev1.PersistentVolume).Spec.CSI.Driver = "csi.example.com"
	w.with(w.volume("data", "vol-0000000000000000a", false), foreign)

	before := w.ec2.times("CreateSnapshot")
	if _, err := w.snapshot(arguments{}); err == nil || !strings.Contains(err.Error(), "csi.example.com") || w.ec2.times("CreateSnapshot") != before {
		t.Errorf("%v", err)
	}

	if infos, err := w.snapshot(arguments{PVCs: "data"}); err != nil || len(infos) != 1 {
		t.Errorf("%+v %v", infos, err)
	}
}

func TestWhatIsMadeOfASnapshot(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.with(w.volume("data", "vol-0000000000000000a", true))

	infos, err := w.snapshot(arguments{})
	if err != nil {
		t.Fatal(err)
	}

	r := &restoration{Snapshot: infos[0], claim: "copy", pv: "kanister-pv-1", size: 10, volume: "vol-0000000000000000c"}
	pv, claim := w.persistentVolumeOf("demo", r), w.claimOf("demo", r)

	if pv.Spec.CSI.Driver != driver || pv.Spec.CSI.VolumeHandle != r.volume || pv.Spec.CSI.FSType != "ext4" || pv.Spec.CSI.VolumeAttributes["partition"] != "1" ||
		pv.Spec.StorageClassName != "fast" || pv.Spec.PersistentVolumeReclaimPolicy != "Retain" || pv.Spec.ClaimRef.Name != "copy" || pv.Spec.MountOptions[0] != "noatime" ||
		pv.Annotations["pv.kubernetes.io/provisioned-by"] != driver {
		t.Errorf("%+v", pv)
	}

	if e := pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]; e.Key != zoneKeyNode || e.Values[0] != zone {
		t.Errorf("affinity %+v", e)
	}

	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if claim.Spec.VolumeName != pv.Name || size.String() != "9Gi" || claim.Spec.AccessModes[0] != corev1.ReadWriteOncePod || *claim.Spec.StorageClassName != "fast" ||
		claim.Labels["app"] != "shop" || claim.Annotations["team"] != "a" || claim.Annotations["pv.kubernetes.io/bind-completed"] != "" {
		t.Errorf("%+v", claim)
	}

	request := w.volumeRequest("demo", r)
	if *request.Iops != 3500 || *request.Throughput != 200 || *request.Size != 10 || *request.AvailabilityZone != zone || len(*request.ClientToken) != 64 ||
		tagIn(request.TagSpecifications[0].Tags, "team") != "a" || tagIn(request.TagSpecifications[0].Tags, "ebs.csi.aws.com/cluster") != "true" {
		t.Errorf("%+v", request)
	}

	if again := w.volumeRequest("demo", r); *again.ClientToken != *request.ClientToken {
		t.Error("the token differs when the phase is repeated")
	}
}

func TestWhatIsMadeOfUpstreamsManifest(t *testing.T) {
	w := newWorld(t)

	infos, err := decode(upstream)
	if err != nil {
		t.Fatal(err)
	}

	r := &restoration{Snapshot: infos[0], claim: "data", pv: "kanister-pv-1", size: 7, volume: "vol-0000000000000000c"}
	pv, claim := w.persistentVolumeOf("demo", r), w.claimOf("demo", r)
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]

	if size.String() != "7Gi" || *claim.Spec.StorageClassName != "" || claim.Spec.AccessModes[0] != corev1.ReadWriteOnce || pv.Spec.PersistentVolumeReclaimPolicy != "Delete" ||
		pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Key != zoneKey {
		t.Errorf("%+v %+v", pv, claim)
	}

	if request := w.volumeRequest("demo", r); *request.Iops != 100 || request.Throughput != nil || !w.spoke("how many IOPS") {
		t.Errorf("%+v %q", request, w.said)
	}

	// The claim that is there tells what the manifest does not, and a runner that comes when it is deleted knows it.
	a := arguments{Namespace: "demo", Snapshots: upstream}
	w.with(w.volume(infos[0].PVCName, "vol-0000000000000000a", false))

	for _, when := range []string{"before", "after a crash"} {
		all, err := w.plan(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}

		if claim := w.claimOf("demo", all[0]); *claim.Spec.StorageClassName != "fast" || claim.Spec.AccessModes[0] != corev1.ReadWriteOncePod || claim.Labels["app"] != "shop" {
			t.Errorf("%s: %+v", when, claim)
		}

		err = w.run.Kube.Clientset.CoreV1().PersistentVolumeClaims("demo").Delete(t.Context(), infos[0].PVCName, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	two := `[{"SnapshotID":"snap-1","Type":"EBS","PVCName":"a","Az":"eu-test-1a"},{"SnapshotID":"snap-2","Type":"EBS","PVCName":"b","Az":"eu-test-1a"}]`

	for name, tc := range map[string]struct {
		args arguments
		says string
	}{
		"too few":  {arguments{Snapshots: two, PVCNames: "x"}, "it names 1 claims, and there are 2 snapshots: a, b"},
		"twice":    {arguments{Snapshots: two, PVCNames: "x x"}, `two snapshots would be restored to claim "x"`},
		"no zone":  {arguments{Snapshots: `[{"SnapshotID":"snap-1","Type":"EBS","PVCName":"a"}]`}, "Az"},
		"no claim": {arguments{Snapshots: `[{"SnapshotID":"snap-1","Type":"EBS","Az":"eu-test-1a"}]`}, "names no claim"},
	} {
		w := newWorld(t)
		tc.args.Namespace = "demo"

		if _, err := w.plan(t.Context(), tc.args); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A failed phase leaves nothing, but what a claim is bound to.
func TestRelease(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	w.with(w.volume("data-0", "vol-0000000000000000a", false), w.volume("data-1", "vol-0000000000000000b", false))

	infos, err := w.snapshot(arguments{})
	if err != nil {
		t.Fatal(err)
	}

	var all []*restoration

	for i, info := range infos {
		all = append(all, &restoration{Snapshot: info, claim: "new-" + info.PVCName, pv: []string{"pv-x", "pv-y"}[i], size: 10})
	}

	if err := w.make(t.Context(), "demo", all); err != nil {
		t.Fatal(err)
	}

	if _, err := w.run.Kube.Clientset.CoreV1().PersistentVolumeClaims("demo").Create(t.Context(), w.claimOf("demo", all[1]), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	at, _ := w.in(t.Context(), "")
	if err := w.releaseVolumes(t.Context(), at, []string{"pv-x", "pv-y", "pv-never-made"}); err != nil {
		t.Fatal(err)
	}

	if _, there := w.ec2.volumes[all[0].volume]; there || len(w.ec2.volumes) != 3 || w.ec2.volumes[all[1].volume].VolumeId == nil {
		t.Errorf("volumes %v", w.ec2.volumes)
	}

	left, err := w.run.Kube.Clientset.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 3 {
		t.Errorf("%+v %v", left, err)
	}

	if err := w.releaseSnapshots(t.Context(), at); err != nil || len(w.ec2.snapshots) != 0 {
		t.Errorf("%v %v", w.ec2.snapshots, err)
	}
}

// Volumes that are still being made are waited for; one that is attached is said, not taken.
func TestReleaseOfVolumesInUse(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	id := "vol-0000000000000000c"
	w.ec2.volumes[id] = types.Volume{VolumeId: aws.String(id), State: types.VolumeStateCreating, Tags: w.ours(nil, map[string]string{})}
	at, _ := w.in(t.Context(), "")

	refusals := []string{"IncorrectState", "VolumeInUse"}
	w.ec2.hooks["DeleteVolume"] = func() error {
		code := refusals[0]
		refusals = refusals[1:]

		return refusal(code)
	}

	var f *record.Failure
	if err := w.releaseVolumes(t.Context(), at, nil); !errors.As(err, &f) || f.Reason != "VolumeInUse" || !strings.Contains(f.Message, id) || len(refusals) != 0 {
		t.Errorf("%v, %v left", err, refusals)
	}
}

// TestUsedMeanwhile: a claim that a pod uses by the time it is to be replaced is not deleted, whatever was seen when the phase began.
func TestUsedMeanwhile(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "demo"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{{
		VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}},
	}}}}
	w.with(w.volume("data", "vol-0000000000000000a", false), []runtime.Object{pod})
	w.Limit = time.Millisecond

	claim, err := w.run.Kube.Claim(t.Context(), "demo", "data")
	if err != nil {
		t.Fatal(err)
	}

	err = w.replaceAll(t.Context(), "demo", []*restoration{{claim: "data", there: claim}})
	if !kube.IsReason(err, "VolumeInUse") || !strings.Contains(err.Error(), "web-0") {
		t.Errorf("got %v", err)
	}

	if _, err := w.run.Kube.Claim(t.Context(), "demo", "data"); err != nil || w.holds != 0 {
		t.Errorf("the claim: %v; %d holds", err, w.holds)
	}
}

func TestManyTagsAndLongOnes(t *testing.T) {
	w := newWorld(t)

	var given []Tag
	for range 60 {
		given = append(given, Tag{Key: strings.Repeat("k", len(given)+1), Value: "v"})
	}

	tags := w.ours(append(given, Tag{Key: "aws:x", Value: "y"}), map[string]string{tagClaim: strings.Repeat("é", 200)})
	if len(tags) != mostTags || tagIn(tags, "aws:x") != "" || len(tagIn(tags, tagClaim)) > 255 || !strings.HasSuffix(tagIn(tags, tagClaim), "é") {
		t.Errorf("%d tags: %v", len(tags), aws.ToString(tags[0].Value))
	}
}

func TestPhaseIDDiffersBetweenRunsOfOneName(t *testing.T) {
	made := func(phase, uid string) string {
		return phaseID(&functions.Run{
			Name: "nightly", Namespace: "demo", Phase: phase, Owner: &kube.Owner{Namespace: "demo", Reference: metav1.OwnerReference{UID: apitypes.UID(uid)}},
		})
	}

	first := made("snap", "1")
	if again := made("snap", "1"); again != first {
		t.Errorf("repeated it is %s, not %s", again, first)
	}

	if made("snap", "2") == first || made("other", "1") == first {
		t.Error("two phases share it")
	}
}

func TestEveryArgumentOfTheSpecIsRead(t *testing.T) {
	for _, f := range spec.All() {
		if f.Family != "ebs" {
			continue
		}

		for _, arg := range f.Args {
			for _, name := range append([]string{arg.Name}, arg.Aliases...) {
				var a arguments

				value := map[spec.Type]any{spec.String: "x", spec.Bool: true, spec.Strings: []any{"x"}}[arg.Type]
				if err := functions.Decode(f, map[string]any{name: value}, &a); err != nil {
					t.Errorf("%s %s: %v", f.ID, name, err)
				}

				if reflect.DeepEqual(a, arguments{}) {
					t.Errorf("%s does not read %q", f.ID, name)
				}
			}
		}
	}
}
