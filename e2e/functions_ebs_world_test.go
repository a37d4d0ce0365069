//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Where the test bed's node and the stand-in's volumes are.
const (
	ebsZone   = "eu-test-1a"
	ebsRegion = "eu-test-1"
)

// ec2Pod is a stand-in for EC2 (hack/aws): requests are checked against AWS's own model, and a volume is a directory of a claim that
// the test bed's driver ebs.csi.aws.com mounts. It is not AWS.
const ec2Pod = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ebs-store, labels: {not: ours}}
spec: {storageClassName: csi-btrfs, accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: aws}
spec: {selector: {app: aws}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: aws, labels: {app: aws}}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  securityContext: %[1]s
  initContainers:
    - {name: install, image: "kubectl-kanister/aws:dev", imagePullPolicy: IfNotPresent, args: [install, /tools], securityContext: %[2]s, volumeMounts: [{name: tools, mountPath: /tools}]}
  containers:
    - name: main
      image: %[3]s
      imagePullPolicy: IfNotPresent
      command: [/tools/aws, serve, /tools]
      env:
        - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: DIR, value: /data}
        - {name: KEY_IDS, value: "AKIATEST:wJalrXUtnFEMIK7MDENG %[4]s:%[5]s"}
      readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
      securityContext: %[2]s
      volumeMounts: [{name: tools, mountPath: /tools}, {name: data, mountPath: /data}]
  volumes: [{name: tools, emptyDir: {}}, {name: data, persistentVolumeClaim: {claimName: ebs-store}}]
`

// cloud is the stand-in in a test's namespace.
type cloud struct {
	rds

	client *ec2.Client
}

func newCloud(w *World) cloud {
	w.Helper()
	w.Apply(fmt.Sprintf(ec2Pod, restrictedPod, restrictedContainer, toolsImage, env(w.T, "AWS_ACCESS_KEY_ID"), env(w.T, "AWS_SECRET_ACCESS_KEY")))
	w.Kubectl("wait", "--for=condition=Ready", "pod/aws", "--timeout=120s")

	c := cloud{rds: rds{w}}
	c.client = ec2.New(ec2.Options{
		Region: ebsRegion, BaseEndpoint: aws.String(c.hostEndpoint()), Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "wJalrXUtnFEMIK7MDENG", ""),
	})
	w.Cleanup(c.dropPersistentVolumes)

	return c
}

// dropPersistentVolumes removes those of the test: nobody else deletes them.
func (c cloud) dropPersistentVolumes() {
	list, err := c.Client.CoreV1().PersistentVolumes().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		c.Logf("listing persistentvolumes: %v", err)

		return
	}

	for _, pv := range list.Items {
		if pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.Namespace == c.Namespace && (pv.Spec.CSI != nil && pv.Spec.CSI.Driver == "ebs.csi.aws.com" || pv.Spec.AWSElasticBlockStore != nil) {
			if err := c.Client.CoreV1().PersistentVolumes().Delete(context.Background(), pv.Name, metav1.DeleteOptions{}); err != nil {
				c.Logf("deleting persistentvolume %s: %v", pv.Name, err)
			}
		}
	}
}

// claim makes an EBS volume of 2 GiB, a PersistentVolume and a claim for it, as AWS's driver and provisioner would have.
func (c cloud) claim(name string, inTree bool) (volume string) {
	c.Helper()

	made, err := c.client.CreateVolume(c.Context(), &ec2.CreateVolumeInput{
		AvailabilityZone: aws.String(ebsZone), Size: aws.Int32(2), VolumeType: types.VolumeTypeGp3, Iops: aws.Int32(4000), Throughput: aws.Int32(250),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVolume, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}}},
	})
	if err != nil {
		c.Fatal(err)
	}

	volume = aws.ToString(made.VolumeId)
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: c.Namespace + "-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, StorageClassName: "gp3",
			ClaimRef:               &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: volume, FSType: "ext4"}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "topology.ebs.csi.aws.com/zone", Operator: corev1.NodeSelectorOpIn, Values: []string{ebsZone}},
			}}}}},
		},
	}

	if inTree {
		pv.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "aws://" + ebsZone + "/" + volume, FSType: "ext4"}}
		pv.Spec.NodeAffinity = nil
	}

	if _, err := c.Client.CoreV1().PersistentVolumes().Create(c.Context(), pv, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}

	c.Apply(fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %s, labels: {app: app, tier: "%[1]s"}, annotations: {example.com/owner: "team shop"}}
spec: {storageClassName: gp3, accessModes: [ReadWriteOnce], volumeName: %s, resources: {requests: {storage: 1500Mi}}}
`, name, pv.Name))
	c.Kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/"+name, "--timeout=60s")

	return volume
}

// app deploys one that mounts the claims at /data/NAME.
func (c cloud) app(claims ...string) {
	c.Helper()

	mounts, volumes := "", ""
	for _, name := range claims {
		mounts += fmt.Sprintf("{name: %s, mountPath: /data/%[1]s},", name)
		volumes += fmt.Sprintf("{name: %s, persistentVolumeClaim: {claimName: %[1]s}},", name)
	}

	c.Apply(fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 2
      securityContext: %s
      containers:
        - {name: main, image: %s, imagePullPolicy: IfNotPresent, command: %s, securityContext: %s, volumeMounts: [%s]}
      volumes: [%s]
`, restrictedPod, toolsImage, sleep, restrictedContainer, mounts, volumes))
	c.Kubectl("rollout", "status", "deploy/app", "--timeout=120s")
}

// bash runs a script in the deployment's pod.
func (c cloud) bash(script string) string {
	c.Helper()

	return c.Kubectl("exec", "deploy/app", "--", "bash", "-euc", script)
}

func (c cloud) files() string {
	c.Helper()

	return c.bash(`cd /data; find . -mindepth 2 -printf '%p %y %m %u %g %l\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum`)
}

// ebsPhase prepares a call on all claims of the namespace.
func (c cloud) ebsPhase(name string) *call {
	c.Helper()

	made := c.phase(name, nil)
	made.Run.Input.Target = blueprint.ObjectReference{Kind: "namespace", Name: c.Namespace}

	return made
}

// volumes and snapshots that there are, by identifier.
func (c cloud) volumes() map[string]types.Volume {
	c.Helper()

	all := map[string]types.Volume{}

	for pages := ec2.NewDescribeVolumesPaginator(c.client, &ec2.DescribeVolumesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(c.Context())
		if err != nil {
			c.Fatal(err)
		}

		for _, v := range page.Volumes {
			all[aws.ToString(v.VolumeId)] = v
		}
	}

	return all
}

func (c cloud) snapshots() map[string]types.Snapshot {
	c.Helper()

	all := map[string]types.Snapshot{}

	for pages := ec2.NewDescribeSnapshotsPaginator(c.client, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}); pages.HasMorePages(); {
		page, err := pages.NextPage(c.Context())
		if err != nil {
			c.Fatal(err)
		}

		for _, s := range page.Snapshots {
			all[aws.ToString(s.SnapshotId)] = s
		}
	}

	return all
}

// info decodes an output volumeSnapshotInfo, as somebody else would.
func (c cloud) info(text any) []map[string]any {
	c.Helper()

	var all []map[string]any
	if err := json.Unmarshal([]byte(fmt.Sprint(text)), &all); err != nil {
		c.Fatalf("%v: %v", text, err)
	}

	return all
}

// claimNow and volumeNow are a claim and its PersistentVolume.
func (c cloud) claimNow(name string) *corev1.PersistentVolumeClaim {
	c.Helper()

	claim, err := c.Client.CoreV1().PersistentVolumeClaims(c.Namespace).Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}

	return claim
}

func (c cloud) volumeNow(claim string) *corev1.PersistentVolume {
	c.Helper()

	pv, err := c.Client.CoreV1().PersistentVolumes().Get(c.Context(), c.claimNow(claim).Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}

	return pv
}

// restored checks that a claim was made again as claim made it, on a new volume.
func (c cloud) restored(name, before string) {
	c.Helper()

	claim, pv := c.claimNow(name), c.volumeNow(name)
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]

	if claim.Status.Phase != corev1.ClaimBound || *claim.Spec.StorageClassName != "gp3" || size.String() != "1500Mi" || claim.Spec.AccessModes[0] != corev1.ReadWriteOnce ||
		claim.Labels["tier"] != name || claim.Annotations["example.com/owner"] != "team shop" {
		c.Errorf("claim %s: %s", name, pretty(claim))
	}

	capacity := pv.Spec.Capacity[corev1.ResourceStorage]
	if pv.Spec.CSI == nil || pv.Spec.CSI.Driver != "ebs.csi.aws.com" || pv.Spec.CSI.VolumeHandle == before || capacity.String() != "2Gi" || pv.Spec.StorageClassName != "gp3" ||
		pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain || !strings.Contains(pretty(pv.Spec.NodeAffinity), ebsZone) {
		c.Fatalf("volume of %s: %s", name, pretty(pv))
	}

	v := c.volumes()[pv.Spec.CSI.VolumeHandle]
	if aws.ToInt32(v.Iops) != 4000 || aws.ToInt32(v.Throughput) != 250 || aws.ToString(v.AvailabilityZone) != ebsZone || v.VolumeType != types.VolumeTypeGp3 || !strings.Contains(pretty(v.Tags), "team") {
		c.Errorf("EBS volume of %s: %s", name, pretty(v))
	}
}

// undoAll does what the engine does with a failed phase's undo list.
func (c cloud) undoAll(failed *call) {
	c.Helper()

	if len(failed.notes.undo) == 0 {
		c.Fatal("nothing to undo")
	}

	for _, u := range failed.notes.undo {
		c.phase("undo-1", nil).MustDo(u.Func, u.Args)
	}
}

const soon = 30 * time.Second
