//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// blockStorage are the classes that the blueprint names, on this cluster's driver. As those of a real cluster, they stay.
const blockStorage = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: do-block-storage}
provisioner: btrfs.csi.kanister.test
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata: {name: do-block-storage}
driver: btrfs.csi.kanister.test
deletionPolicy: Delete
`

// A snapshot, and a restore that stops the application and makes its volume anew.
func TestCompatCSISnapshot(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	makingKinds.Lock()
	w.applyAnywhere(blockStorage)
	makingKinds.Unlock()
	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: do-block-storage, accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: %s
      containers:
        - {name: main, image: %s, imagePullPolicy: IfNotPresent, command: %s, securityContext: %s, volumeMounts: [{name: data, mountPath: /data}]}
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`, restrictedPod, toolsImage, sleep, restrictedContainer))
	w.Ready("deploy/app")
	w.inApp(`cd /data; mkdir 'odd dir'; head -c 3000000 /dev/urandom > 'odd dir/noise'; echo one > first; ln -s first link; chmod 640 first; sync`)

	w.Cycle(cycle{
		Blueprint: "csi-snapshot/csi-snapshot-blueprint.yaml", Target: "deploy/app", Stays: true,
		Read: func() string {
			return w.inApp(`cd /data; sha256sum first */noise; readlink link || :; stat -c '%a %n' first`)
		},
		Change: func() {
			w.inApp(`cd /data; rm -r 'odd dir' link; echo two > first; chmod 600 first; mkdir x; echo > x/noise`)
		},
		After: func() { w.Ready("deploy/app") },
		Gone: func() {
			if left := w.Kubectl("get", "volumesnapshots", "-o", "name"); strings.TrimSpace(left) != "" {
				t.Errorf("after delete there is still %s", left)
			}
		},
	})
}
