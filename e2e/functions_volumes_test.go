//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func replicas(w *World, name string) string {
	w.Helper()

	return w.Kubectl("get", "sts", name, "-o", "jsonpath={.spec.replicas}")
}

// A restore that fails while it writes leaves the application down, and says so; one that fails before brings it back.
func TestFunctionVolumesHalfARestoreStaysDown(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash("for i in $(seq 40); do head -c 1M /dev/urandom > /data/$i; done")

	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))

	w.Kubectl("scale", "sts/app", "--replicas=0")
	w.Kubectl("delete", "pvc", "data-app-0", "--wait")
	w.Apply(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-app-0, labels: {app: app}}
spec: {storageClassName: csi-btrfs, accessModes: [ReadWriteOnce], resources: {requests: {storage: 16Mi}}}
`)
	w.Kubectl("scale", "sts/app", "--replicas=1")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	r := w.Want(3, "restore", "--from", backup.Run)

	if n := replicas(w, "app"); n != "0" {
		t.Errorf("the application runs with %s replicas on half a restore", n)
	}

	w.Contains(r.Stderr, "data-app-0", "left scaled down on purpose")

	// A blueprint that stops the application, restores and starts it again comes to the same.
	w.Kubectl("scale", "sts/app", "--replicas=1")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")

	r = w.Want(3, "run", "test", "sts/app", "--blueprint", w.Blueprint(`    phases:
      - {func: ScaleWorkload, name: down, args: {namespace: "{{ .StatefulSet.Namespace }}", name: app, kind: statefulset, replicas: 0}}
      - func: RestoreData
        name: data
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          image: none
          backupArtifactPrefix: "{{ (.Options.backupInfo | fromJson).prefix }}"
          backupIdentifier: "{{ (index (.Options.backupInfo | fromJson).volumes 0).backupID }}"
          restorePath: /data
          backupPath: /mnt/vol_data/data-app-0
          volumes: {data-app-0: /data}
      - {func: ScaleWorkload, name: up, args: {namespace: "{{ .StatefulSet.Namespace }}", name: app, kind: statefulset, replicas: 1}}
`), "--option", "backupInfo="+backup.Artifacts["volumes"].KeyValue["backupInfo"])

	if n := replicas(w, "app"); n != "0" {
		t.Errorf("the application runs with %s replicas on half of what RestoreData restores", n)
	}

	w.Contains(r.Stderr, "data-app-0", "on purpose")

	// A backup that does not exist fails before anything is written.
	w.Kubectl("scale", "sts/app", "--replicas=1")
	w.Kubectl("rollout", "status", "sts/app", "--timeout=60s")
	w.Want(0, "delete", "--from", backup.Run)
	w.Kanister("restore", "--from", backup.Run)

	if n := replicas(w, "app"); n != "1" {
		t.Errorf("the application has %s replicas after a restore that wrote nothing", n)
	}
}

// What cannot be stopped is told before anything is stopped.
func TestFunctionVolumesInUseByAnother(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash("echo precious > /data/x")

	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))

	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: stranger}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch, seccompProfile: {type: RuntimeDefault}}
  containers:
    - {name: c, image: %s, imagePullPolicy: IfNotPresent, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, command: [sleep, "10000"], volumeMounts: [{name: d, mountPath: /data}]}
  volumes: [{name: d, persistentVolumeClaim: {claimName: data-app-0}}]
`, toolsImage))
	w.Kubectl("wait", "pod/stranger", "--for=condition=Ready", "--timeout=60s")

	uid := w.Kubectl("get", "pod", "app-0", "-o", "jsonpath={.metadata.uid}")
	r := w.Want(3, "restore", "--from", backup.Run)
	w.Contains(r.Stderr, "stranger", "data-app-0")

	if w.Kubectl("get", "pod", "app-0", "-o", "jsonpath={.metadata.uid}") != uid {
		t.Error("the application was stopped all the same")
	}
}

// Several volumes, an empty claim and a choice among them; into other claims.
func TestFunctionVolumesOfANamespaceChosenAndMapped(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.Apply(strings.ReplaceAll(csiClaim, "name: data", "name: one") + "---" + strings.ReplaceAll(csiClaim, "name: data", "name: two.odd") + `---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: never-used}
spec: {storageClassName: local-path, accessModes: [ReadWriteOnce], resources: {requests: {storage: 16Mi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: raw}
spec: {storageClassName: local-path, volumeMode: Block, accessModes: [ReadWriteOnce], resources: {requests: {storage: 16Mi}}}
`)
	inVolume(w, "one", "echo 1 > /v/x; chmod 666 /v/x")
	inVolume(w, "two.odd", "echo 2 > /v/x; chmod 666 /v/x")

	backup := w.Finished(w.Want(0, "backup", "ns/"+w.Namespace, "-o", "json"))
	w.NothingLeft(backup.Run)

	if text := strings.Join(backup.Warnings, "\n"); !strings.Contains(text, "raw") || strings.Contains(text, "backups") {
		t.Errorf("warnings %q", text)
	}

	if n := backup.Artifacts["volumes"].KeyValue["volumeCount"]; n != "3" {
		t.Errorf("%s volumes in the backup, want one, two.odd and never-used", n)
	}

	r := w.Finished(w.Want(0, "restore", "--from", backup.Run, "--option", "volumes=one=copy-of-one two.odd", "-o", "json"))
	if r.State != record.Complete {
		t.Errorf("state %s", r.State)
	}

	if got := inVolume(w, "copy-of-one", "cat /v/x"); got != "1" {
		t.Errorf("copy-of-one holds %q", got)
	}

	if bad := w.Want(3, "restore", "--from", backup.Run, "--option", "volumes=nothing"); !strings.Contains(bad.Stderr, "two.odd") {
		t.Errorf("the error does not say what is in the backup:\n%s", bad.Stderr)
	}
}
