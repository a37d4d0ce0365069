//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// awsEndpoint lets all pods of the namespace ask the stand-in, as upstream's blueprints name no endpoint: an administrator's admission
// policy would do this where AWS is reached by a private one.
const awsEndpoint = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: "{{ns}}", labels: {kanister.io/e2e: "true"}}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "{{ns}}"}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          object.spec.containers.transformList(i, c, !has(c.env), JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/env", value: []})
          + object.spec.containers.transformList(i, c, JSONPatch{op: "add", path: "/spec/containers/" + string(i) + "/env/0", value: {"name": "AWS_ENDPOINT_URL", "value": "http://aws.{{ns}}.svc:8080"}})
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: "{{ns}}", labels: {kanister.io/e2e: "true"}}
spec: {policyName: "{{ns}}"}
`

// Upstream's own blueprints for RDS by functions, against the stand-in.
func TestCompatRDS(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	// No MySQL is behind fleet, and nobody asks: only snapshots are taken.
	r := newRDSOf(w, "; fleet boss "+rdsPassword+" aurora-mysql sg-0a")
	bucket := w.S3Profile()

	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		w.run(ctx, nil, env(w.T, "KUBECTL"), "delete", "mutatingadmissionpolicies,mutatingadmissionpolicybindings", w.Namespace, "--ignore-not-found")
	})
	w.Apply(awsEndpoint)
	w.Kubectl("create", "configmap", "dbconfig", "--from-literal=postgres.instanceid=shop", "--from-literal=aurora.clusterID=fleet", "--from-literal=postgres.secret=db",
		"--from-literal=postgres.databases=", "--from-literal=aws.secret=aws-keys", "--from-literal=aws.region=eu-test-1")
	// Admission takes up a policy after a moment.
	probe := w.File("probe.yaml", fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: probe}, spec: {securityContext: %s, containers: [{name: c, image: c, securityContext: %s}]}}`, restrictedPod, restrictedContainer))
	w.Eventually(time.Minute, func() string {
		if out := w.run(w.Context(), nil, env(w.T, "KUBECTL"), "-n", w.Namespace, "create", "--dry-run=server", "-o", "yaml", "-f", probe); !strings.Contains(out.Stdout, "AWS_ENDPOINT_URL") {
			return "the admission policy does not work: " + out.Stdout + out.Stderr
		}

		return ""
	})

	w.intoRDS(r, bucket)
	r.fill("shop")
	r.fill("fleet")

	instance := cycle{
		Target: "configmap/dbconfig", Read: func() string { return r.rows("shop") }, Change: func() { r.alter("shop") },
		Gone: func() { r.noSnapshots(); w.Empty(bucket) },
	}

	// The last one's KubeTasks call Amazon's command line for what the others have functions.
	for _, file := range []string{"snap-", "dump-", ""} {
		instance.Blueprint = "aws-rds-postgres/aws-rds-postgres-" + file + "blueprint.yaml"
		w.Cycle(instance)
	}

	cluster := instance
	cluster.Read, cluster.Change = func() string { return r.rows("fleet") }, func() { r.alter("fleet") }
	cluster.Blueprint = "aws-rds-aurora-mysql/aws-rds-aurora-snap-blueprint.yaml"
	w.Cycle(cluster)

	r.nothingTemporary()
}

// intoRDS moves a database of the cluster to the instance shop, which is empty yet.
func (w *World) intoRDS(r rds, bucket string) {
	w.Helper()
	w.Postgres(oddPassword)
	r.sql("shop", "postgres", `CREATE ROLE mover LOGIN CREATEDB CREATEROLE PASSWORD '`+plainPassword+`'; GRANT mover TO boss`)
	w.Kubectl("create", "configmap", "rds", "--from-literal=region=eu-test-1", "--from-literal=instance_name=shop")
	w.Kubectl("create", "secret", "generic", "rds", "--from-literal=accessKeyId=AKIATEST", "--from-literal=secretAccessKey=wJalrXUtnFEMIK7MDENG",
		"--from-literal=postgres_username=mover", "--from-literal=postgres_password="+plainPassword)

	moved := false
	w.Cycle(cycle{
		Blueprint: "postgres-rds-restore/postgres-rds-restore-blueprint.yaml", Target: "sts/shop-postgresql", Gone: func() { w.Empty(bucket) },
		// The blueprint leaves the name of the image for everybody to fill in.
		Args: []string{
			"--secret", "dbsecret=rds", "--config-map", "dbconfig=rds", "--pod-override", w.File("image.yaml", "containers: [{name: container, image: "+compatImage+"}]\n"),
		},
		Change: func() { w.SQL("shop", `DROP VIEW odd; DELETE FROM orders WHERE id < 500`) },
		After:  func() { moved = true },
		Read: func() string {
			if moved {
				return readShop(func(database, statements string) string { return r.sql("shop", database, statements) })
			}

			return w.readShop()
		},
	})
	r.sql("shop", "postgres", `DROP DATABASE shop`)
}

// alter changes what rows sees, so that rows can still be read.
func (r rds) alter(id string) {
	r.Helper()
	r.sql(id, "shop", `DELETE FROM lines WHERE id > 10; UPDATE orders SET what = 'gone'; SELECT nextval('s')`)
	r.sql(id, oddName, `TRUNCATE t`)
}

// noSnapshots fails the test if there is one.
func (r rds) noSnapshots() {
	r.Helper()

	if state := r.sh("cat /data/state"); strings.Contains(state, "snapshot ") {
		r.Errorf("snapshots are left:\n%s", state)
	}
}
