//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// oddPassword has what shells, JSON, YAML and the kubelet's own $(…) expansion stumble over. Upstream's blueprints put it between
// single quotes, so it has none of these.
const oddPassword = `pa$$w0rd $(HOME) &<">\n%`

// plainPassword is one that needs no quotes.
const plainPassword = "pl41n-Passw0rd"

// Postgres deploys a server, as the user that its image has, as a chart of Bitnami's would, for all of upstream's PostgreSQL blueprints.
func (w *World) Postgres(password string) {
	w.Helper()
	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: shop-postgresql}
stringData: {postgres-password: %[1]q, postgresql-password: %[1]q}
---
apiVersion: v1
kind: Service
metadata: {name: shop-postgresql}
spec: {selector: {app: shop}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: shop-postgresql, labels: {app.kubernetes.io/instance: shop, release: shop}}
spec:
  serviceName: shop-postgresql
  replicas: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 20
      securityContext: %[2]s
      containers:
        - name: postgresql
          image: %[3]s
          imagePullPolicy: IfNotPresent
          # Checkpoints as quick as can be: pg_backup_start waits for one.
          args: [postgres, -c, fsync=off, -c, max_wal_size=2GB, -c, checkpoint_completion_target=0]
          env:
            - {name: PGDATA, value: /data/pg}
            - {name: POSTGRES_PASSWORD, valueFrom: {secretKeyRef: {name: shop-postgresql, key: postgres-password}}}
          readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1]}, periodSeconds: 1}
          securityContext: %[4]s
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: local-path, resources: {requests: {storage: 1Gi}}}
`, password, strings.ReplaceAll(restrictedPod, "1000", "999"), postgresImage, restrictedContainer))
	w.Ready("sts/shop-postgresql")
	w.SQL("postgres", `CREATE DATABASE shop`)
	w.SQL("shop", `CREATE TABLE orders (id int PRIMARY KEY, what text); INSERT INTO orders SELECT i, 'order ' || i || E' \\ "\t''' FROM generate_series(1, 1000) i; CREATE VIEW odd AS SELECT * FROM orders WHERE id % 2 = 1`)
}

// SQL runs statements in the server that Postgres deployed.
func (w *World) SQL(database, statements string) string {
	w.Helper()

	return w.sqlIn("shop-postgresql-0", database, statements)
}

func (w *World) sqlIn(pod, database, statements string) string {
	w.Helper()

	return w.Kubectl("exec", pod, "--", "psql", "-U", "postgres", "-h", "/run/postgresql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statements)
}

// psqlFile runs a compressed file of statements, as the blueprints' restore does.
func (w *World) psqlFile(compressed []byte) {
	w.Helper()

	r := w.run(w.Context(), compressed, env(w.T, "KUBECTL"), "-n", w.Namespace, "exec", "-i", "shop-postgresql-0", "--",
		"bash", "-o", "pipefail", "-c", "gunzip -c | psql -q -h /run/postgresql -U postgres")
	if r.Code != 0 {
		w.Fatalf("psql: exit code %d\n%s", r.Code, r.Stderr)
	}
}

// readShop is the content of every table, in an order.
func (w *World) readShop() string {
	w.Helper()

	return readShop(w.SQL)
}

// readShop reads it from the server that sql asks.
func readShop(sql func(database, statements string) string) string {
	if sql("postgres", `SELECT 1 FROM pg_database WHERE datname = 'shop'`) == "" {
		return "there is no database shop"
	}

	out := sql("shop", `SELECT count(*), sum(hashtext(id || what)) FROM orders`) + sql("shop", `SELECT string_agg(relname || ':' || relkind::text, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace`)
	if strings.Contains(out, "bulk") {
		out += sql("shop", `SELECT count(*), sum(length(v)), sum(hashtextextended(v, id)) FROM bulk`)
	}

	return out
}

// fillBulk adds rows of more than 200 MB, which neither the server nor gzip make much smaller.
func (w *World) fillBulk() {
	w.Helper()
	w.SQL("shop", `CREATE TABLE bulk (id int, v text); ALTER TABLE bulk ALTER v SET STORAGE EXTERNAL;
		INSERT INTO bulk SELECT i, (SELECT string_agg(md5(i || ':' || j), '') FROM generate_series(1, 64) j) FROM generate_series(1, 104000) i`)
}

func TestCompatPostgres(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Postgres(oddPassword)

	pg := cycle{
		Target: "sts/shop-postgresql", Read: w.readShop, Gone: func() { w.Empty(bucket) },
		Change: func() { w.SQL("shop", `DROP VIEW odd; DELETE FROM orders WHERE id < 500; CREATE TABLE late (x int)`) },
	}

	pg.Blueprint = "postgres/v8.6.4/postgres-blueprint.yaml"
	w.Cycle(pg)

	// Its restore turns every LOCALE of the dump into LC_COLLATE, which is no SQL any more since version 15 writes LOCALE_PROVIDER.
	v10 := pg
	v10.Blueprint = "postgres/v10.16.2/postgres-blueprint.yaml"
	v10.Restore = func(backup record.Record) {
		w.psqlFile(w.Object(bucket, backup.Artifacts["cloudObject"].KeyValue["backupLocation"]))
	}
	w.Cycle(v10)

	w.fillBulk()

	if size := strings.TrimSpace(w.SQL("shop", `SELECT sum(length(v)) >= 200 * 1000 * 1000 FROM bulk`)); size != "t" {
		t.Fatal("the bulk is less than 200 MB")
	}

	pg.Blueprint = "postgres/postgres-blueprint.yaml"
	pg.Change = func() { w.SQL("shop", `DROP VIEW odd; DELETE FROM orders WHERE id < 500; TRUNCATE bulk`) }
	w.Cycle(pg)
}
