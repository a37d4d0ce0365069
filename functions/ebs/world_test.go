package ebs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/cloud"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// fakeEC2 keeps volumes and snapshots. hooks stand before an action: what they return is its error; "after CreateSnapshot" the
// answer is lost.
type fakeEC2 struct {
	mu        sync.Mutex
	volumes   map[string]types.Volume
	snapshots map[string]types.Snapshot
	tokens    map[string]string
	asked     []string
	hooks     map[string]func() error
	// looks is how often a new snapshot is seen pending.
	looks int
	state types.SnapshotState
	// blind is how often no snapshot is seen at all.
	blind int
}

func (f *fakeEC2) hook(name string) error {
	f.asked = append(f.asked, name)
	if h := f.hooks[name]; h != nil {
		return h()
	}

	return nil
}

func (f *fakeEC2) times(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()

	return len(slices.DeleteFunc(slices.Clone(f.asked), func(s string) bool { return s != name }))
}

func refusal(code string) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "CreateSnapshot", Err: &smithy.GenericAPIError{Code: code, Message: code + " it is"}}
}

func matches(filters []types.Filter, id string, tags []types.Tag) bool {
	for _, f := range filters {
		name := aws.ToString(f.Name)
		value := id

		if key, ok := strings.CutPrefix(name, "tag:"); ok {
			value = tagIn(tags, key)
		}

		if !slices.Contains(f.Values, value) {
			return false
		}
	}

	return true
}

func (f *fakeEC2) DescribeVolumes(_ context.Context, in *ec2.DescribeVolumesInput, _ ...func(*ec2.Options)) (*ec2.DescribeVolumesOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.hook("DescribeVolumes"); err != nil {
		return nil, err
	}

	out := &ec2.DescribeVolumesOutput{}

	for _, id := range in.VolumeIds {
		v, ok := f.volumes[id]
		if !ok {
			return nil, refusal("InvalidVolume.NotFound")
		}

		out.Volumes = append(out.Volumes, v)
	}

	for id, v := range f.volumes {
		if len(in.VolumeIds) == 0 && matches(in.Filters, id, v.Tags) {
			out.Volumes = append(out.Volumes, v)
		}
	}

	return out, nil
}

func (f *fakeEC2) DescribeSnapshots(_ context.Context, in *ec2.DescribeSnapshotsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.hook("DescribeSnapshots"); err != nil {
		return nil, err
	}

	out := &ec2.DescribeSnapshotsOutput{}

	if f.blind--; f.blind >= 0 {
		return out, nil
	}

	if f.looks--; f.looks < 0 {
		for id, s := range f.snapshots {
			if s.State == types.SnapshotStatePending {
				s.State, s.StateMessage = f.state, aws.String("Given key ID is not accessible")
				f.snapshots[id] = s
			}
		}
	}

	for id, s := range f.snapshots {
		if matches(in.Filters, id, s.Tags) {
			out.Snapshots = append(out.Snapshots, s)
		}
	}

	return out, nil
}

func (f *fakeEC2) CreateSnapshot(_ context.Context, in *ec2.CreateSnapshotInput, _ ...func(*ec2.Options)) (*ec2.CreateSnapshotOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.hook("CreateSnapshot"); err != nil {
		return nil, err
	}

	id := fmt.Sprintf("snap-%017x", len(f.snapshots)+1)
	f.snapshots[id] = types.Snapshot{
		SnapshotId: &id, VolumeId: in.VolumeId, State: types.SnapshotStatePending, Progress: aws.String("40%"), VolumeSize: f.volumes[*in.VolumeId].Size,
		Tags: in.TagSpecifications[0].Tags, StartTime: aws.Time(time.Unix(int64(len(f.snapshots)), 0)),
	}

	if h := f.hooks["after CreateSnapshot"]; h != nil {
		if err := h(); err != nil {
			return nil, err
		}
	}

	return &ec2.CreateSnapshotOutput{SnapshotId: &id}, nil
}

func (f *fakeEC2) DeleteSnapshot(_ context.Context, in *ec2.DeleteSnapshotInput, _ ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.hook("DeleteSnapshot"); err != nil {
		return nil, err
	}

	if _, ok := f.snapshots[*in.SnapshotId]; !ok {
		return nil, refusal("InvalidSnapshot.NotFound")
	}

	delete(f.snapshots, *in.SnapshotId)

	return &ec2.DeleteSnapshotOutput{}, nil
}

func (f *fakeEC2) CreateVolume(_ context.Context, in *ec2.CreateVolumeInput, _ ...func(*ec2.Options)) (*ec2.CreateVolumeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.hook("CreateVolume"); err != nil {
		return nil, err
	}

	id := f.tokens[*in.ClientToken]
	if id == "" {
		id = fmt.Sprintf("vol-%017x", 0xf00+len(f.volumes))
		f.tokens[*in.ClientToken] = id
		f.volumes[id] = types.Volume{VolumeId: &id, State: types.VolumeStateAvailable, Tags: in.TagSpecifications[0].Tags, AvailabilityZone: in.AvailabilityZone, Size: in.Size, VolumeType: in.VolumeType}
	}

	return &ec2.CreateVolumeOutput{VolumeId: &id}, nil
}

func (f *fakeEC2) DeleteVolume(_ context.Context, in *ec2.DeleteVolumeInput, _ ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := f.hook("DeleteVolume"); err != nil {
		return nil, err
	}

	delete(f.volumes, *in.VolumeId)

	return &ec2.DeleteVolumeOutput{}, nil
}

// journal remembers.
type journal struct {
	functest.Notebook

	mu       sync.Mutex
	undo     map[string]record.Undo
	said     []string
	percents []int
	holds    int
}

func (j *journal) note(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()

	j.said = append(j.said, text)
}

func (j *journal) Progress(p record.Progress) {
	j.note(p.Message)

	if p.Percent != nil {
		j.mu.Lock()
		defer j.mu.Unlock()

		j.percents = append(j.percents, *p.Percent)
	}
}
func (j *journal) Pod(record.PodRef)  {}
func (j *journal) Log(string, string) {}
func (j *journal) Event(m string)     { j.note(m) }
func (j *journal) Warn(m string)      { j.note(m) }
func (j *journal) Secret(string)      {}

func (j *journal) Undo(_ context.Context, u record.Undo) error {
	j.mu.Lock()
	defer j.mu.Unlock()

	j.undo[u.Key] = u

	return nil
}

func (j *journal) DropUndo(_ context.Context, key string) error {
	j.mu.Lock()
	defer j.mu.Unlock()

	delete(j.undo, key)

	return nil
}
func (j *journal) HoldUndo(context.Context, string, string) error { j.holds++; return nil }
func (j *journal) FreeUndo(context.Context, string) error         { j.holds--; return nil }

// hurry is a clock whose pauses are short.
type hurry struct{ clock.RealClock }

func (hurry) NewTimer(time.Duration) clock.Timer { return clock.RealClock{}.NewTimer(time.Millisecond) }

// world is a namespace "demo" with claims, and an EC2.
type world struct {
	*testing.T
	*session
	ec2 *fakeEC2
	*journal
}

const zone = "eu-test-1a"

func newWorld(t *testing.T) *world {
	t.Helper()

	j := &journal{undo: map[string]record.Undo{}}
	cloudside := &fakeEC2{
		volumes: map[string]types.Volume{}, snapshots: map[string]types.Snapshot{}, tokens: map[string]string{}, hooks: map[string]func() error{},
		looks: 2, state: types.SnapshotStateCompleted,
	}

	run := &functions.Run{
		Name: "backup-x", Namespace: "demo", Phase: "snap", Attempt: 1, Params: &params.TemplateParams{},
		Input: &record.Input{Target: blueprint.ObjectReference{Kind: "namespace", Name: "demo"}},
		Kube: &kube.Client{
			Clock: hurry{}, Clientset: fake.NewClientset(), Dynamic: dynamicfake.NewSimpleDynamicClient(runtime.NewScheme()),
		},
		Journal: j,
	}

	s := &session{Patience: cloud.Patience{Run: run, Service: "EC2", Limit: time.Minute, Began: run.Kube.Now()}, run: run, id: phaseID(run), clients: map[string]place{}}
	s.open = func(_ context.Context, region string) (place, error) {
		if region == "" {
			region = "eu-test-1"
		}

		return place{api: cloudside, region: region}, nil
	}

	return &world{T: t, session: s, ec2: cloudside, journal: j}
}

// volume of a claim, as CSI or in-tree.
func (w *world) volume(claim, id string, inTree bool) []runtime.Object {
	w.ec2.volumes[id] = types.Volume{
		VolumeId: aws.String(id), State: types.VolumeStateInUse, AvailabilityZone: aws.String(zone), Size: aws.Int32(10), VolumeType: types.VolumeTypeGp3,
		Iops: aws.Int32(3500), Throughput: aws.Int32(200),
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}, {Key: aws.String("aws:cloudformation:stack-name"), Value: aws.String("x")}},
	}

	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + claim},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, MountOptions: []string{"noatime"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: id, FSType: "xfs"}},
			NodeAffinity:           affinity(zone, zoneKeyNode),
		},
	}
	if inTree {
		pv.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "aws://" + zone + "/" + id, Partition: 1}}
	}

	return []runtime.Object{pv, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: claim, Namespace: "demo", Labels: map[string]string{"app": "shop"},
			Annotations: map[string]string{"team": "a", "pv.kubernetes.io/bind-completed": "yes", "volume.kubernetes.io/selected-node": "gone"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}, StorageClassName: ptr.To("fast"), VolumeName: pv.Name,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("9Gi")}},
		},
	}}
}

func (w *world) spoke(text string) bool {
	w.mu().Lock()
	defer w.mu().Unlock()

	return slices.ContainsFunc(w.said, func(s string) bool { return strings.Contains(s, text) })
}

func (w *world) mu() *sync.Mutex { return &w.journal.mu }
