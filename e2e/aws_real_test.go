//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// TestRealAWS goes to a real account, for what the stand-in cannot show: docs/aws.md says how to run it, what it needs and what it costs. All
// that it makes has the tag kanister.io/run and is deleted.
func TestRealAWS(t *testing.T) {
	if os.Getenv("KANISTER_AWS_REAL") == "" {
		t.Skip("this test needs an AWS account and spends money there: set KANISTER_AWS_REAL=1 and what docs/aws.md names beside it")
	}

	t.Parallel()

	profile := realProfile(t)

	t.Run("s3", func(t *testing.T) {
		if profile.Location.Bucket == "" {
			t.Skip("KANISTER_AWS_REAL_BUCKET names no bucket")
		}

		store, err := location.Open(t.Context(), profile)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()

		steps, err := location.Check(t.Context(), store)
		if err != nil {
			_, hint := location.Explain(err)
			t.Errorf("%v (%s)\n%s", err, hint, pretty(steps))
		}
	})

	t.Run("ebs", func(t *testing.T) {
		volume := os.Getenv("KANISTER_AWS_REAL_VOLUME")
		if volume == "" {
			t.Skip("KANISTER_AWS_REAL_VOLUME names no EBS volume")
		}

		w := NewWorld(t)
		w.realClaim(volume)

		c := w.realCall("snapshot", profile)
		made := c.MustDo("CreateVolumeSnapshot", map[string]any{"namespace": w.Namespace, "pvcs": []any{"data"}})

		defer func() {
			w.realCall("delete", profile).MustDo("DeleteVolumeSnapshot", map[string]any{"namespace": w.Namespace, "snapshots": made["volumeSnapshotInfo"]})
		}()

		w.realCall("wait", profile).MustDo("WaitForSnapshotCompletion", map[string]any{"snapshots": made["volumeSnapshotInfo"]})

		if !c.notes.said("%") {
			t.Logf("no percentage was shown: %q", c.notes.messages)
		}
	})

	t.Run("rds", func(t *testing.T) {
		instance := os.Getenv("KANISTER_AWS_REAL_INSTANCE")
		if instance == "" {
			t.Skip("KANISTER_AWS_REAL_INSTANCE names no RDS instance")
		}

		w := NewWorld(t)
		made := w.realCall("snapshot", profile).MustDo("CreateRDSSnapshot", map[string]any{"instanceID": instance})
		w.realCall("delete", profile).MustDo("DeleteRDSSnapshot", map[string]any{"snapshotID": made["snapshotID"]})
	})
}

// realProfile has the credentials of the environment, as AWS's own tools read them.
func realProfile(t *testing.T) *params.Profile {
	t.Helper()

	data := map[string][]byte{}

	for key, name := range map[string]string{
		"aws_access_key_id": "KANISTER_AWS_REAL_KEY_ID", "aws_secret_access_key": "KANISTER_AWS_REAL_SECRET", "aws_session_token": "KANISTER_AWS_REAL_TOKEN",
		"role": "KANISTER_AWS_REAL_ROLE",
	} {
		if value := os.Getenv(name); value != "" {
			data[key] = []byte(value)
		}
	}

	return &params.Profile{
		Name: "real",
		Location: blueprint.Location{
			Type: blueprint.LocationS3, Bucket: os.Getenv("KANISTER_AWS_REAL_BUCKET"), Region: env(t, "KANISTER_AWS_REAL_REGION"), Prefix: "kanister-e2e",
		},
		Credential: params.Credential{Type: blueprint.CredentialSecret, Secret: &corev1.Secret{Type: params.SecretTypeAWS, Data: data}},
	}
}

// realCall is a phase with the profile. Snapshots of a real account take minutes: how long is the functions' own business.
func (w *World) realCall(phase string, profile *params.Profile) *realPhase {
	w.Helper()

	c := w.Call(phase)
	c.Run.Params.Profile = profile

	return &realPhase{call: c}
}

type realPhase struct{ *call }

// MustDo has no bound but the test's.
func (p *realPhase) MustDo(name string, args map[string]any) map[string]any {
	p.World.Helper()

	f, ok := functions.Default.Lookup(name)
	if !ok {
		p.Fatalf("function %q is not registered", name)
	}

	out, err := f.Exec(p.Context(), p.Run, args)
	if err != nil {
		p.Fatalf("%s: %v\n%+v", name, err, failureOf(err))
	}

	return out
}

// realClaim is a claim for an EBS volume that nobody mounts.
func (w *World) realClaim(volume string) {
	w.Helper()

	name := w.Namespace
	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: real
  claimRef: {namespace: %[1]s, name: data}
  csi: {driver: ebs.csi.aws.com, volumeHandle: %[2]s}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: real, accessModes: [ReadWriteOnce], volumeName: %[1]s, resources: {requests: {storage: 1Gi}}}
`, name, volume))
	w.Cleanup(cloud{rds: rds{w}}.dropPersistentVolumes)
	w.Kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/data", "--timeout=60s")
}
