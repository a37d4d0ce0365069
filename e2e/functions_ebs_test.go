//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ebsBlueprint is made of the reference's own examples, with the address of the stand-in.
const ebsBlueprint = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: ebs}
actions:
  backup:
    outputArtifacts:
      backupInfo:
        keyValue:
          manifest: "{{ .Phases.backupVolume.Output.volumeSnapshotInfo }}"
    phases:
    - func: CreateVolumeSnapshot
      name: backupVolume
      args:
        namespace: "{{ .Deployment.Namespace }}"
        ENDPOINT
  restore:
    inputArtifactNames: [backupInfo]
    phases:
    - func: ScaleWorkload
      name: shutdownPod
      args:
        namespace: "{{ .Deployment.Namespace }}"
        name: "{{ .Deployment.Name }}"
        kind: Deployment
        replicas: 0
    - func: CreateVolumeFromSnapshot
      name: restoreVolume
      args:
        namespace: "{{ .Deployment.Namespace }}"
        snapshots: "{{ .ArtifactsIn.backupInfo.KeyValue.manifest }}"
        ENDPOINT
    - func: ScaleWorkload
      name: bringupPod
      args:
        namespace: "{{ .Deployment.Namespace }}"
        name: "{{ .Deployment.Name }}"
        kind: Deployment
        replicas: 1
  delete:
    inputArtifactNames: [backupInfo]
    phases:
    - func: DeleteVolumeSnapshot
      name: deleteVolumeSnapshot
      args:
        namespace: "{{ .Deployment.Namespace }}"
        snapshots: "{{ .ArtifactsIn.backupInfo.KeyValue.manifest }}"
        ENDPOINT
`

// The reference's own example, through the plugin: files are compared end to end, with exactly the rights that the plan declares.
func TestEBSThroughThePlugin(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := newCloud(w)
	w.S3Profile()

	data, logs := c.claim("data", false), c.claim("logs", false)
	c.app("data", "logs")
	c.bash(`cd /data/data; echo first > a; mkdir -m 750 d; head -c 300000 /dev/urandom > d/b; ln -s a l; chmod 600 d/b; echo x > "odd
name"; echo log > ../logs/log`)

	before := c.files()
	file := w.File("ebs.yaml", strings.ReplaceAll(ebsBlueprint, "ENDPOINT", "endpoint: "+c.endpoint()))

	backup := w.Exactly(0, "backup", "deploy/app", "--blueprint", file)
	manifest := backup.Artifacts["backupInfo"].KeyValue["manifest"]

	if info := c.info(manifest); len(info) != 2 || info[0]["PVCName"] != "data" || info[0]["VolumeID"] != data || info[1]["VolumeID"] != logs || info[0]["Region"] != ebsRegion || info[0]["Az"] != ebsZone ||
		info[0]["VolumeType"] != "gp3" || !strings.Contains(fmt.Sprint(info[0]["Tags"]), "shop") {
		t.Errorf("manifest %s", manifest)
	}

	c.bash(`cd /data/data; echo second > a; rm -r d l; echo new > e; rm ../logs/log`)

	uid := c.claimNow("data").UID
	restore := w.Exactly(0, "restore", "--from", backup.Run)

	c.Kubectl("rollout", "status", "deploy/app", "--timeout=60s")
	w.SameFiles(before, c.files())

	if c.claimNow("data").UID == uid {
		t.Error("the claim was not made again")
	}

	c.restored("data", data)
	c.restored("logs", logs)

	if len(restore.Holds) != 0 || len(restore.Undo) != 0 {
		t.Errorf("left: holds %s, undo %s", pretty(restore.Holds), pretty(restore.Undo))
	}

	w.NothingLeft(restore.Run)

	c.killed(backup.Run)
	w.SameFiles(before, c.files())

	w.Exactly(0, "delete", "--from", backup.Run)

	if left := c.snapshots(); len(left) != 0 {
		t.Errorf("snapshots left: %s", pretty(left))
	}

	// What fails for good in the middle of a restore takes nothing down that the run has not brought back, and leaves nothing.
	failed := w.Finished(w.Want(3, "restore", "--from", restoreFrom(w, c, file), "-o", "json"))
	w.Contains(pretty(failed.Error), "UnauthorizedOperation", "ec2:CreateVolume and ec2:CreateTags", "restoreVolume")
	w.Contains(w.Kubectl("get", "deploy", "app", "-o", "jsonpath={.spec.replicas}"), "1")

	if n := len(c.volumes()); n != 6 {
		t.Errorf("%d volumes", n)
	}
}

// killed restores a backup with a runner that dies while a claim is being deleted: its successor goes on with what was made.
func (c cloud) killed(backup string) {
	c.Helper()
	c.bash("cd /data/data; echo third > a; rm -r d; rm ../logs/log")

	uid := c.claimNow("logs").UID
	volumes := len(c.volumes())
	c.Kubectl("patch", "pvc", "data", "--type=merge", "-p", `{"metadata":{"finalizers":["example.com/held","kubernetes.io/pvc-protection"]}}`)

	run := c.start("restore", "--from", backup)

	c.Eventually(time.Minute, func() string {
		if c.claimNow("data").DeletionTimestamp == nil {
			return "the claim is not deleted"
		}

		return ""
	})
	c.Kubectl("delete", "pod", c.runner(run), "--grace-period=0", "--force")
	c.Eventually(time.Minute, func() string {
		if n := c.Record(run).Attempts; n < 2 {
			return fmt.Sprintf("%d attempts", n)
		}

		return ""
	})
	c.Kubectl("patch", "pvc", "data", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)
	c.Want(0, "wait", run, "--timeout", "120s")
	c.Kubectl("rollout", "status", "deploy/app", "--timeout=60s")

	if rec := c.Record(run); rec.State != record.Complete || len(rec.Undo) != 0 || len(rec.Holds) != 0 {
		c.Errorf("record %s", pretty(rec))
	}

	if n := len(c.volumes()); n != volumes+2 || c.claimNow("logs").UID == uid {
		c.Errorf("%d volumes after %d", n, volumes)
	}

	// The permissions on PersistentVolumes of a run that nobody followed go with its record.
	c.Want(0, "forget", run)
	c.NothingLeft(run)
}

// restoreFrom is a new backup that cannot be restored. While it waits, the record and the plugin show how many percent are done.
func restoreFrom(w *World, c cloud, file string) string {
	w.Helper()
	c.sh("touch /data/slow")

	shown := make(chan string, 1)

	go func() {
		defer w.run(context.WithoutCancel(w.Context()), nil, "kubectl", "-n", w.Namespace, "exec", "aws", "-c", "main", "--", "rm", "/data/slow")

		for range 150 {
			records, err := w.Client.CoreV1().ConfigMaps(w.Namespace).List(w.Context(), metav1.ListOptions{LabelSelector: record.LabelRecord + "," + record.LabelState + "=running"})
			for i := 0; err == nil && i < len(records.Items); i++ {
				if text := records.Items[i].Data["progress"]; strings.Contains(text, "%") {
					shown <- text

					return
				}
			}

			time.Sleep(100 * time.Millisecond)
		}

		shown <- ""
	}()

	backup := w.Want(0, "backup", "deploy/app", "--blueprint", file, "-o", "json")
	if text := <-shown; !strings.Contains(text, "waiting for 2 snapshots to complete") || !strings.Contains(backup.Stderr, "waiting for 2 snapshots to complete") {
		w.Errorf("the record said %q, the plugin\n%s", text, backup.Stderr)
	}

	c.sh("echo CreateVolume UnauthorizedOperation > /data/fail")

	return w.Finished(backup).Run
}

// All claims of a namespace, in-tree ones too; waiting apart, restoring under other names, deleting twice.
func TestFunctionEBSSnapshots(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := newCloud(w)

	// The claim of the stand-in itself is of another driver.
	if _, err := c.ebsPhase("foreign").Do(t.Context(), "CreateVolumeSnapshot", c.args(map[string]any{"namespace": w.Namespace})); err == nil || !strings.Contains(err.Error(), "btrfs.csi.kanister.test") {
		t.Errorf("foreign driver: %v", err)
	}

	names := []any{}
	volume := map[string]string{}

	for i := range 5 {
		name := fmt.Sprintf("data-%d", i)
		names = append(names, name)
		volume[name] = c.claim(name, i == 4) // the last one in-tree
		c.sh(fmt.Sprintf("echo content of %s > /data/ebs/volumes/%s/x", name, volume[name]))
	}

	// Begun, not waited for; then waited for in a phase of its own, with the percentage.
	c.sh("touch /data/slow")

	begun := c.ebsPhase("begin").MustDo("CreateVolumeSnapshot", c.args(map[string]any{"namespace": w.Namespace, "pvcs": names, "skipWait": true}))
	info := map[string]any{"snapshots": begun["volumeSnapshotInfo"]}
	wait := c.ebsPhase("wait")

	go func() {
		for range 100 {
			if wait.notes.said("data-4 ") && wait.notes.said(" %") {
				break
			}

			time.Sleep(100 * time.Millisecond)
		}

		_ = c.run(context.WithoutCancel(t.Context()), nil, "kubectl", "-n", w.Namespace, "exec", "aws", "-c", "main", "--", "rm", "/data/slow")
	}()

	wait.MustDo("WaitForSnapshotCompletion", c.args(info))

	if !wait.notes.said("waiting for 5 snapshots to complete") || wait.notes.progress.Percent == nil {
		t.Errorf("said %q, %s", wait.notes.messages, pretty(wait.notes.progress))
	}

	// Repeated, as after a crash, the phase takes no others.
	again := c.ebsPhase("begin").MustDo("CreateVolumeSnapshot", c.args(map[string]any{"namespace": w.Namespace, "pvcs": names}))
	if again["volumeSnapshotInfo"] != begun["volumeSnapshotInfo"] || len(c.snapshots()) != 5 {
		t.Errorf("repeated: %v\n%v", again, begun)
	}

	// A claim that is gone is made again; others are replaced; content is that of the snapshot.
	w.Kubectl("delete", "pvc", "data-0")

	for _, id := range volume {
		c.sh("echo changed > /data/ebs/volumes/" + id + "/x")
	}

	restore := c.ebsPhase("restore")
	restore.MustDo("CreateVolumeFromSnapshot", c.args(map[string]any{"namespace": w.Namespace, "snapshots": begun["volumeSnapshotInfo"]}))

	for name, id := range volume {
		c.restored(name, id)

		if text := c.sh("cat /data/ebs/volumes/" + c.volumeNow(name).Spec.CSI.VolumeHandle + "/x"); strings.TrimSpace(text) != "content of "+name {
			t.Errorf("%s holds %q", name, text)
		}
	}

	if len(restore.notes.undo) != 0 || len(restore.notes.holds) != 0 || len(c.volumes()) != 10 {
		t.Errorf("undo %v, holds %v, %d volumes", restore.notes.undo, restore.notes.holds, len(c.volumes()))
	}

	// Repeated, nothing is made or deleted again.
	uid := c.claimNow("data-1").UID
	c.ebsPhase("restore").MustDo("CreateVolumeFromSnapshot", c.args(map[string]any{"namespace": w.Namespace, "snapshots": begun["volumeSnapshotInfo"]}))

	if c.claimNow("data-1").UID != uid || len(c.volumes()) != 10 {
		t.Error("the repeated phase made a claim again")
	}

	c.upstreamsManifest(c.info(begun["volumeSnapshotInfo"])[1])

	remove := map[string]any{"namespace": w.Namespace, "snapshots": begun["volumeSnapshotInfo"]}
	c.ebsPhase("delete").MustDo("DeleteVolumeSnapshot", c.args(remove))

	second := c.ebsPhase("delete")
	second.MustDo("DeleteVolumeSnapshot", c.args(remove))

	if len(c.snapshots()) != 0 || !second.notes.said("was gone already") {
		t.Errorf("%d snapshots, said %q", len(c.snapshots()), second.notes.events)
	}

	_, err := c.ebsPhase("gone").Do(t.Context(), "WaitForSnapshotCompletion", c.args(info))
	if f := failureOf(err); err == nil || f.Reason != "NotFound" || !strings.Contains(f.Message, "snap-") {
		t.Errorf("gone: %v", err)
	}
}

// crash ends the phase as a runner pod that has to go does, while a claim is being deleted; the successor finishes it.
func (c cloud) crash(snap any) {
	c.Helper()
	c.Kubectl("patch", "pvc", "data", "--type=merge", "-p", `{"metadata":{"finalizers":["example.com/held"]}}`)

	args := c.args(map[string]any{"namespace": c.Namespace, "snapshots": snap, "region": ebsRegion})
	before := len(c.volumes())
	first := c.ebsPhase("crash")
	ctx, leave := context.WithCancelCause(c.Context())

	go func() {
		for range 200 {
			if first.notes.said("claim data deleted") {
				break
			}

			time.Sleep(50 * time.Millisecond)
		}

		leave(functions.ErrInterrupted)
	}()

	if _, err := first.Do(ctx, "CreateVolumeFromSnapshot", args); err == nil || len(first.notes.undo) != 1 || len(first.notes.holds) != 1 || first.notes.said("half restored") {
		c.Errorf("interrupted: %v, undo %v, holds %v, said %q", err, first.notes.undo, first.notes.holds, first.notes.warnings)
	}

	c.Kubectl("patch", "pvc", "data", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)

	second := c.ebsPhase("crash")
	second.Run.Attempt, second.notes.undo, second.notes.holds = 2, first.notes.undo, first.notes.holds
	second.MustDo("CreateVolumeFromSnapshot", args)

	if n := len(c.volumes()); n != before+2 || len(second.notes.undo) != 0 || len(second.notes.holds) != 0 {
		c.Errorf("%d volumes after %d, undo %v, holds %v", n, before, second.notes.undo, second.notes.holds)
	}

	c.restored("data", "")
	c.restored("logs", "")
}

// upstreamsManifest restores a manifest that has upstream's members only, to a claim of another name.
func (c cloud) upstreamsManifest(one map[string]any) {
	c.Helper()

	text := fmt.Sprintf(`[{"SnapshotID":%q,"Type":"EBS","Region":%q,"PVCName":"data-1","Az":%q,"Tags":[{"Key":"team","Value":"a"}],"VolumeType":"gp2"}]`, one["SnapshotID"], one["Region"], one["Az"])
	c.ebsPhase("upstream").MustDo("CreateVolumeFromSnapshot", c.args(map[string]any{"namespace": c.Namespace, "snapshots": text, "pvcNames": []any{"copy"}}))

	claim, pv := c.claimNow("copy"), c.volumeNow("copy")
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]

	if claim.Status.Phase != corev1.ClaimBound || *claim.Spec.StorageClassName != "" || size.String() != "2Gi" || pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		c.Errorf("%s %s", pretty(claim), pretty(pv))
	}

	if text := c.sh("cat /data/ebs/volumes/" + pv.Spec.CSI.VolumeHandle + "/x"); strings.TrimSpace(text) != "content of data-1" {
		c.Errorf("copy holds %q", text)
	}
}

// What goes wrong is said, and leaves nothing behind.
func TestFunctionEBSFailures(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	c := newCloud(w)
	c.claim("data", false)
	c.claim("logs", false)

	create := c.args(map[string]any{"namespace": w.Namespace, "pvcs": "data logs"})

	t.Run("failed snapshot", func(t *testing.T) {
		c.sh("touch /data/snapshot-error")

		failed := c.ebsPhase("failed")

		_, err := failed.Do(t.Context(), "CreateVolumeSnapshot", create)
		if f := failureOf(err); err == nil || f.Reason != "SnapshotFailed" || !strings.Contains(f.Message, "Given key ID is not accessible") || !strings.Contains(f.Hint, "kms:CreateGrant") {
			t.Errorf("%v %s", err, pretty(f))
		}

		c.undoAll(failed)
		c.sh("rm /data/snapshot-error")
	})

	t.Run("cancel", func(t *testing.T) {
		c.sh("touch /data/slow")

		cancelled := c.ebsPhase("cancelled")
		ctx, cancel := context.WithCancel(t.Context())

		go func() {
			defer cancel()

			for range 300 {
				if cancelled.notes.said(" %") || ctx.Err() != nil {
					return
				}

				time.Sleep(100 * time.Millisecond)
			}
		}()

		began := time.Now()
		if _, err := cancelled.Do(ctx, "CreateVolumeSnapshot", create); err == nil || time.Since(began) > soon {
			t.Errorf("%v after %s", err, time.Since(began))
		}

		c.undoAll(cancelled)
	})

	t.Run("timeout", func(t *testing.T) {
		args := c.args(map[string]any{"namespace": w.Namespace, "pvcs": "data"})
		args["timeout"] = "2s"
		slow := c.ebsPhase("slow")

		_, err := slow.Do(t.Context(), "CreateVolumeSnapshot", args)
		if f := failureOf(err); err == nil || f.Reason != "Timeout" || !strings.Contains(f.Message, "data ") || !strings.Contains(f.Hint, "timeout") {
			t.Errorf("%v %s", err, pretty(f))
		}

		c.undoAll(slow)
		c.sh("rm /data/slow")
	})

	t.Run("refused", func(t *testing.T) {
		for _, tc := range []struct{ code, reason, hint string }{
			{"UnauthorizedOperation", "UnauthorizedOperation", "ec2:CreateSnapshot and ec2:CreateTags"},
			{"SnapshotLimitExceeded", "SnapshotLimitExceeded", "quota"},
		} {
			c.sh("echo CreateSnapshot " + tc.code + " > /data/fail")

			_, err := c.ebsPhase("refused-"+tc.code).Do(t.Context(), "CreateVolumeSnapshot", create)
			if f := failureOf(err); err == nil || f.Reason != tc.reason || !strings.Contains(f.Hint, tc.hint) || strings.Contains(f.Message, "Zm9v") {
				t.Errorf("%s: %v %s", tc.code, err, pretty(f))
			}
		}

		c.sh("rm /data/fail")

		stranger := c.ebsPhase("stranger")
		stranger.Run.Params.Secrets["aws"].Data["aws_access_key_id"] = []byte("AKIANOBODY")

		_, err := stranger.Do(t.Context(), "CreateVolumeSnapshot", create)
		if f := failureOf(err); err == nil || f.Reason != "AuthFailure" || !strings.Contains(f.Hint, "credentials") {
			t.Errorf("stranger: %v %s", err, pretty(f))
		}
	})

	if left := c.snapshots(); len(left) != 0 {
		t.Fatalf("snapshots left: %s", pretty(left))
	}

	snap := c.ebsPhase("snap").MustDo("CreateVolumeSnapshot", create)["volumeSnapshotInfo"]
	restore := c.args(map[string]any{"namespace": w.Namespace, "snapshots": snap})
	uid := c.claimNow("data").UID

	t.Run("no volume", func(t *testing.T) {
		c.sh("echo CreateVolume VolumeLimitExceeded > /data/fail")

		failed := c.ebsPhase("no-volume")

		_, err := failed.Do(t.Context(), "CreateVolumeFromSnapshot", restore)
		if f := failureOf(err); err == nil || f.Reason != "VolumeLimitExceeded" {
			t.Errorf("%v %s", err, pretty(f))
		}

		c.sh("rm /data/fail")
		c.undoAll(failed)
	})

	// Volumes and PersistentVolumes are there, the claims are not: a claim held by a finalizer does not go.
	t.Run("held claim", func(t *testing.T) {
		w.Kubectl("patch", "pvc", "logs", "--type=merge", "-p", `{"metadata":{"finalizers":["example.com/held"]}}`)

		held := c.ebsPhase("held")
		args := c.args(map[string]any{"namespace": w.Namespace, "snapshots": snap})
		args["timeout"] = "6s"

		_, err := held.Do(t.Context(), "CreateVolumeFromSnapshot", args)
		if f := failureOf(err); err == nil || !strings.Contains(f.Message, "example.com/held") {
			t.Errorf("%v %s", err, pretty(f))
		}

		if len(held.notes.holds) != 1 || !held.notes.said("half restored: claims made again: data; not: logs") {
			t.Errorf("holds %v, said %q", held.notes.holds, held.notes.warnings)
		}

		// The undo list leaves what is bound, and takes the rest.
		c.undoAll(held)

		if n := len(c.volumes()); n != 3 {
			t.Errorf("%d volumes", n)
		}

		w.Kubectl("patch", "pvc", "logs", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)
	})

	if c.claimNow("data").UID == uid {
		t.Error("the first claim was not made again")
	}

	t.Run("crash", func(t *testing.T) { c.crash(snap) })

	// Restoring again finishes the job.
	c.ebsPhase("finish").MustDo("CreateVolumeFromSnapshot", restore)
	c.restored("data", "")
	c.restored("logs", "")

	// A claim in use is not touched.
	c.app("data")

	inUse := c.ebsPhase("in-use")
	volumes := len(c.volumes())
	uid = c.claimNow("data").UID

	restore["timeout"] = "3s"
	_, err := inUse.Do(t.Context(), "CreateVolumeFromSnapshot", restore)
	if f := failureOf(err); err == nil || f.Reason != "VolumeInUse" || !strings.Contains(f.Message, "uses claim data") {
		t.Errorf("in use: %v %s", err, pretty(f))
	}

	if c.claimNow("data").UID != uid || len(c.volumes()) != volumes || len(inUse.notes.undo) != 0 {
		t.Error("something was touched")
	}
}
