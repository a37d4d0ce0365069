//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/blueprinttest"
)

// Upstream's own example: its Deployment and its blueprint, both as they are.
func TestCompatTimeLog(t *testing.T) {
	t.Parallel()

	w := NewWorld(t, "baseline")
	bucket := w.S3Profile()

	deployment, err := os.ReadFile(filepath.Join(blueprinttest.Dir(t), "time-log", "time-logger-deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	w.Apply(string(deployment))
	w.Ready("deploy/time-logger")

	logger := func(script string) string {
		w.Ready("deploy/time-logger")

		return w.Kubectl("exec", "deploy/time-logger", "--", "bash", "-euo", "pipefail", "-c", script)
	}
	logger(`cd /var/log; until [[ -s time.log ]]; do sleep 0.1; done; head -n 1 time.log > first; mkdir 'odd dir'; head -c 3000000 /dev/urandom > 'odd dir/noise'; ln -s first link; chmod 640 first`)

	w.Cycle(cycle{
		Blueprint: "time-log/time-log-blueprint.yaml", Target: "deploy/time-logger", Gone: func() { w.Empty(bucket) },
		// The log itself goes on being written; its first line stays.
		Read: func() string {
			return logger(`cd /var/log; head -n 1 time.log; cmp <(head -n 1 time.log) first && sha256sum first 'odd dir/noise'; readlink link; stat -c '%a %n' first`)
		},
		Change: func() {
			logger(`cd /var/log; rm link; chmod 600 first; echo other > first; echo > 'odd dir/noise'; : > time.log; sleep 2; ln -s nowhere link`)
		},
	})
}

// Five phases with a pod of the blueprint's own that a deferPhase removes, a copy of the running server's volume between pg_backup_start
// and pg_backup_stop, and a restore that stops the server and whose deferPhase starts it.
func TestCompatPostgresStartStop(t *testing.T) {
	t.Parallel()

	w := NewWorld(t, "baseline")
	bucket := w.S3Profile()
	// An odd one would not come through: this blueprint writes it into the manifest of a pod, where the kubelet reads $$ as $.
	w.Postgres(plainPassword)

	w.Cycle(cycle{
		Blueprint: "postgres/postgres-start-stop-blueprint.yaml", Target: "sts/shop-postgresql", Read: w.readShop,
		Change: func() { w.SQL("shop", `DROP VIEW odd; DELETE FROM orders WHERE id < 500`) },
		After:  func() { w.Ready("sts/shop-postgresql") },
		// Its delete speaks of the StatefulSet, which the record has.
		Gone: func() {
			if left := w.Kubectl("get", "pods", "-o", "name"); strings.Contains(left, "postgres-backup-session") {
				t.Errorf("the deferPhase left its pod: %s", left)
			}

			for _, key := range w.Keys(bucket) {
				if !strings.Contains(key, "s3-bucket/path/artifactPrefix/") {
					t.Errorf("after delete the bucket still holds %q", key)
				}
			}
		},
	})
}

// No Profile and no kando: a ConfigMap, two Secrets, Amazon's command line and the addresses that the kubelet puts into the environment.
func TestCompatPostgresBasicDump(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Postgres(plainPassword)

	ca, err := os.ReadFile(env(t, "S3_CA_FILE"))
	if err != nil {
		t.Fatal(err)
	}

	w.Kubectl("create", "secret", "generic", "aws-creds", "--from-literal=aws_access_key_id="+env(t, "AWS_ACCESS_KEY_ID"), "--from-literal=aws_secret_access_key="+env(t, "AWS_SECRET_ACCESS_KEY"))
	w.Kubectl("create", "secret", "generic", "pg", "--from-literal=password_superuser="+plainPassword)
	w.Kubectl("create", "configmap", "postgres-s3-location", "--from-literal=bucket=s3://"+bucket, "--from-literal=ca.crt="+string(ca))

	// A store that is not Amazon's own.
	override := w.File("override.yaml", `containers:
  - name: container
    env: [{name: AWS_ENDPOINT_URL, value: "`+env(t, "S3_ENDPOINT")+`"}, {name: AWS_CA_BUNDLE, value: /ca/ca.crt}]
    volumeMounts: [{name: ca, mountPath: /ca}]
volumes: [{name: ca, configMap: {name: postgres-s3-location}}]
`)

	w.Cycle(cycle{
		Blueprint: "postgres-basic-pgdump/postgres-basic-pgdump-blueprint.yaml", Target: "sts/shop-postgresql", Read: w.readShop,
		Args:     []string{"--secret", "aws=aws-creds", "--secret", "postgres=pg", "--config-map", "location=postgres-s3-location", "--pod-override", override},
		Change:   func() { w.SQL("shop", `DROP VIEW odd; DELETE FROM orders WHERE id < 500`) },
		NoDelete: true,
	})
}
