//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-kanister/kubectl-kanister/functions/csi"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

const csiClaim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: csi-btrfs, accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
`

var asGroup = map[string]any{"securityContext": map[string]any{"fsGroup": 65532}}

// inVolume runs a script in a pod that mounts a claim at /v, and gives its log.
func inVolume(w *World, claim, script string) string {
	w.Helper()

	c := w.Call("in-" + claim + "-" + csi.Suffix(w.Call(script).Run))
	c.MustDo("PrepareData", map[string]any{
		"namespace": w.Namespace, "image": toolsImage, "podOverride": asGroup, "failOnError": true,
		"volumes": map[string]any{claim: "/v"}, "command": bash(script),
	})

	return strings.Join(c.notes.lines, "\n")
}

func TestFunctionCSISnapshots(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(csiClaim)
	inVolume(w, "data", "echo first > /v/x")

	c := w.Call("snapshot")
	args := map[string]any{"pvc": "data", "namespace": w.Namespace, "snapshotClass": "csi-btrfs", "labels": map[string]any{"for": "a value / odd"}}
	out := c.MustDo("CreateCSISnapshot", args)

	for _, key := range []string{"name", "restoreSize", "snapshotContent"} {
		if text, _ := out[key].(string); text == "" || text == "0" {
			t.Errorf("output %s is %v", key, out[key])
		}
	}

	if again := c.MustDo("CreateCSISnapshot", args); again["name"] != out["name"] {
		t.Errorf("repeated: %v, %v", again, out)
	}

	inVolume(w, "data", "echo second > /v/x")

	restore := map[string]any{
		"name": out["name"], "pvc": "data-restored", "namespace": w.Namespace, "storageClass": "csi-btrfs", "restoreSize": out["restoreSize"],
		"accessModes": "ReadWriteOncePod", "volumeMode": "filesystem",
	}
	w.Call("restore").MustDo("RestoreCSISnapshot", restore)
	w.Call("restore").MustDo("RestoreCSISnapshot", restore)

	if got := inVolume(w, "data-restored", "cat /v/x"); got != "first" {
		t.Errorf("restored %q", got)
	}

	other := w.Call("other")
	other.Run.Name = "someone-else"

	if _, err := other.Do(t.Context(), "RestoreCSISnapshot", restore); err == nil || !strings.Contains(err.Error(), "has not made it") {
		t.Error(err)
	}

	// Static: a second pair of objects for the same snapshot in the storage system.
	content, err := w.Dynamic.Resource(csi.Contents).Get(t.Context(), out["snapshotContent"].(string), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	handle, _, _ := unstructured.NestedString(content.Object, "status", "snapshotHandle")
	static := w.Call("static").MustDo("CreateCSISnapshotStatic", map[string]any{
		"name": "static", "namespace": w.Namespace, "driver": "btrfs.csi.kanister.test", "handle": handle, "snapshotClass": "csi-btrfs",
	})

	w.Call("restore-static").MustDo("RestoreCSISnapshot", map[string]any{
		"name": "static", "pvc": "data-static", "namespace": w.Namespace, "storageClass": "csi-btrfs", "restoreSize": "64Mi",
	})

	if got := inVolume(w, "data-static", "cat /v/x"); got != "first" {
		t.Errorf("restored %q", got)
	}

	// The content must not take the snapshot of the other pair with it: it is let go first.
	patch := []byte(`{"spec":{"deletionPolicy":"Retain"}}`)
	if _, err := w.Dynamic.Resource(csi.Contents).Patch(t.Context(), static["snapshotContent"].(string), "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"static", out["name"].(string), "never-was"} {
		w.Call("delete").MustDo("DeleteCSISnapshot", map[string]any{"name": name, "namespace": w.Namespace})
	}

	if left := w.Kubectl("get", "volumesnapshots", "-o", "name"); left != "" {
		t.Errorf("left: %s", left)
	}

	w.Call("content").MustDo("DeleteCSISnapshotContent", map[string]any{"name": static["snapshotContent"]})
	w.Eventually(20*time.Second, func() string {
		_, err := w.Dynamic.Resource(csi.Contents).Get(context.Background(), static["snapshotContent"].(string), metav1.GetOptions{})
		if err == nil {
			return "the content is still there"
		}

		return ""
	})
	w.Call("content").MustDo("DeleteCSISnapshotContent", map[string]any{"name": static["snapshotContent"]})
}

func TestFunctionCSISnapshotFailures(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(csiClaim)
	w.Apply(strings.NewReplacer("name: data", "name: plain", "csi-btrfs", "local-path").Replace(csiClaim))

	for name, tc := range map[string]struct {
		args   map[string]any
		reason string
		says   string
	}{
		"no claim": {map[string]any{"pvc": "nothing", "snapshotClass": "csi-btrfs"}, kube.ReasonNotFound, "nothing"},
		"no class": {map[string]any{"pvc": "data", "snapshotClass": "no-class"}, "SnapshotFailed", "no-class"},
		"no csi":   {map[string]any{"pvc": "plain", "snapshotClass": "csi-btrfs"}, "", "plain"},
		"timeout":  {map[string]any{"pvc": "data", "snapshotClass": "csi-btrfs", "timeout": "soon"}, "", "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.args["namespace"] = w.Namespace
			began := time.Now()

			_, err := w.Call("s-"+name).Do(t.Context(), "CreateCSISnapshot", tc.args)
			if err == nil || !strings.Contains(err.Error(), tc.says) || tc.reason != "" && !kube.IsReason(err, tc.reason) || time.Since(began) > 20*time.Second {
				t.Errorf("after %s: %s", time.Since(began), pretty(failureOf(err)))
			}
		})
	}

	for name, args := range map[string]map[string]any{
		"size zero": {"restoreSize": "0"},
		"size text": {"restoreSize": "<nil>"},
		"mode":      {"accessModes": []any{"ReadWriteSometimes"}},
		"volume":    {"volumeMode": "tape"},
	} {
		all := map[string]any{"name": "x", "pvc": "y", "namespace": w.Namespace, "storageClass": "csi-btrfs", "restoreSize": "1Gi"}
		for k, v := range args {
			all[k] = v
		}

		if _, err := w.Call("r").Do(t.Context(), "RestoreCSISnapshot", all); err == nil || !strings.Contains(err.Error(), "reading argument") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
