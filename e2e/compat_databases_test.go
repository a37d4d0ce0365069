//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Server deploys a database as a StatefulSet of one pod, with a Service of the same name in front of it.
func (w *World) Server(name, labels, script, ready string, port int, environment string) {
	w.Helper()
	w.Apply(service(name, port) + fmt.Sprintf(`---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: %[1]s, labels: %[2]s}
spec:
  serviceName: %[1]s
  replicas: 1
  selector: {matchLabels: {app: %[1]s}}
  template:%[3]s`, name, labels, serverPod(name, script, ready, environment)))
	w.Ready("sts/" + name)
}

func service(name string, port int) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {selector: {app: %[1]s}, ports: [{port: %[2]d}]}
`, name, port)
}

// serverPod is the template of a database's pod, with the label app.
func serverPod(name, script, ready, environment string) string {
	return fmt.Sprintf(`
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: %[5]s
      containers:
        - name: %[1]s
          image: %[7]s
          imagePullPolicy: IfNotPresent
          command: [bash, -euc, %[2]q]
          env: %[4]s
          readinessProbe: {exec: {command: [bash, -c, %[3]q]}, periodSeconds: 1, timeoutSeconds: 5}
          securityContext: %[6]s
          volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, emptyDir: {}}]
`, name, script, ready, environment, restrictedPod, restrictedContainer, compatImage)
}

const mariaScript = `
mariadb-install-db --datadir=/data/db --auth-root-authentication-method=normal --skip-test-db >&2
cat > /data/init.sql << .
ALTER USER root@localhost IDENTIFIED BY '$PASSWORD';
CREATE USER root@'%' IDENTIFIED BY '$PASSWORD';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
.
exec mariadbd --datadir=/data/db --socket=/data/db.sock --pid-file=/data/db.pid --bind-address=0.0.0.0 --init-file=/data/init.sql --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0`

const mariaReady = `MYSQL_PWD=$PASSWORD mysql -u root -h 127.0.0.1 -e 'SELECT 1'`

// mariaEnv has the password from a key of the Secret db.
func mariaEnv(key string) string {
	return `[{name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: ` + key + `}}}]`
}

// mariaSQL runs statements in the server in a pod.
func (w *World) mariaSQL(pod, statements string) string {
	w.Helper()

	return w.In(pod, `MYSQL_PWD=$PASSWORD mysql -u root -h 127.0.0.1 --default-character-set=utf8mb4 -NBe `+quote(statements))
}

const (
	mariaFill = `CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; CREATE TABLE orders (id INT PRIMARY KEY, what VARCHAR(200), raw BLOB);
		INSERT INTO orders SELECT seq, CONCAT('order ', seq, ' "quoted" \\ ünïcode'), UNHEX(MD5(seq)) FROM seq_1_to_5000;
		CREATE DATABASE stock; CREATE TABLE stock.items (n INT); INSERT INTO stock.items VALUES (1), (2)`
	mariaRead = `SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('shop', 'stock') ORDER BY 1, 2;
		SELECT COUNT(*), MD5(GROUP_CONCAT(id, what, HEX(raw) ORDER BY id)) FROM shop.orders; SELECT SUM(n) FROM stock.items`
	mariaChange = `DELETE FROM shop.orders WHERE id < 4000; UPDATE stock.items SET n = 9`
)

func TestCompatMariaDB(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Apply(`
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {mysql-root-password: r00t-Of_all.evil, mariadb-root-password: r00t-Of_all.evil}
`)
	w.Server("db", `{app.kubernetes.io/instance: db, release: db}`, mariaScript, mariaReady, 3306, mariaEnv("mysql-root-password"))
	w.mariaSQL("db-0", mariaFill)

	maria := cycle{
		Blueprint: "maria/maria-blueprint.yaml", Target: "sts/db", Gone: func() { w.Empty(bucket) },
		Read:   func() string { return w.mariaSQL("db-0", mariaRead) },
		Change: func() { w.mariaSQL("db-0", mariaChange) },
	}
	w.Cycle(maria)

	maria.Blueprint = "mysql/mysql-blueprint.yaml"
	w.Cycle(maria)

	maria.Blueprint = "mysql/6.x/mysql-blueprint.yaml"
	w.Cycle(maria)

	// To a kopia server, by the ID of a snapshot in place of a path.
	maria.Blueprint = "maria/blueprint-v2/maria-blueprint.yaml"
	maria.Args = []string{"--profile-file", w.kopiaProfile(w.kopiaServer())}
	maria.Gone = w.noKopiaSnapshots
	w.Cycle(maria)
}

// kopiaProfile is one of the server that kopiaServer runs, whose certificate is given.
func (w *World) kopiaProfile(certificate string) string {
	w.Helper()
	w.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: kopia-user}
stringData: {password: password of alpha, certificate: %q}
`, certificate))

	return w.File("kopia.yaml", `apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: kopia}
location: {type: kopia, endpoint: "https://kopia.{{ns}}.svc:51515"}
credential:
  type: kopia
  kopiaServerSecret:
    username: app
    hostname: alpha.host
    userPassphrase: {key: password, secret: {name: kopia-user, namespace: "{{ns}}"}}
    tlsCert: {key: certificate, secret: {name: kopia-user, namespace: "{{ns}}"}}
`)
}

// noKopiaSnapshots fails the test when the server's repository has one.
func (w *World) noKopiaSnapshots() {
	w.Helper()

	if left := w.Kubectl("exec", "deploy/kopia", "-c", "server", "--", "kopia-cli", "snapshot", "list", "--all", "--json"); strings.Join(strings.Fields(left), "") != "[]" {
		w.Errorf("after delete the repository still holds %s", left)
	}
}

func TestCompatRedis(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Apply(`
apiVersion: v1
kind: Secret
metadata: {name: cache}
stringData: {redis-password: r3d1s-S3cret}
`)
	w.Server("cache-master", `{app.kubernetes.io/instance: cache, app.kubernetes.io/component: master}`,
		`exec redis-server --dir /data --save '' --requirepass "$REDISCLI_AUTH"`, `redis-cli PING | grep -q PONG`, 6379,
		`[{name: REDISCLI_AUTH, valueFrom: {secretKeyRef: {name: cache, key: redis-password}}}]`)

	redis := func(script string) string { return w.In("cache-master-0", script) }
	redis(`redis-cli SET greeting $'h\xc3\xa9llo "world"\n\x01\\' >&2; redis-cli RPUSH list 1 2 1 >&2; redis-cli SADD set a b >&2; redis-cli ZADD ranks 1.5 x 2 y >&2
redis-cli HSET 'hash with blank' f1 v1 'f 2' '' >&2; for i in $(seq 2000); do echo "SET key:$i value-$i"; done | redis-cli >&2; redis-cli SET brief 1 EX 100000 >&2`)

	w.Cycle(cycle{
		Blueprint: "redis/redis-blueprint.yaml", Target: "sts/cache-master", Gone: func() { w.Empty(bucket) },
		// The blueprint leaves the name of the image for everybody to fill in.
		Args: []string{"--pod-override", w.File("image.yaml", "containers: [{name: container, image: "+compatImage+"}]\n")},
		Change: func() {
			redis(`redis-cli DEL greeting list key:7 >&2; redis-cli SET key:8 x >&2; redis-cli SADD set c >&2`)
		},
		Read: func() string {
			return redis(`redis-cli DBSIZE; redis-cli DUMP greeting; redis-cli LRANGE list 0 -1; redis-cli SORT set ALPHA; redis-cli ZRANGE ranks 0 -1 WITHSCORES
redis-cli HGETALL 'hash with blank'; redis-cli GET key:7; redis-cli GET key:8; redis-cli PERSIST brief`) + redis(`redis-cli EXPIRE brief 100000`)
		},
	})
}

func TestCompatEtcd(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Server("etcd", `{}`, `exec etcd --data-dir=/data/etcd --log-level=warn --unsafe-no-fsync`, `etcdctl endpoint health`, 2379, `[{name: ETCDCTL_API, value: "3"}]`)
	// The blueprint's tasks call kubectl, with the rights that upstream's users have given for it.
	w.Apply(`
apiVersion: v1
kind: Secret
metadata: {name: etcd-details}
stringData: {endpoints: "http://127.0.0.1:2379", labels: "app=etcd", etcdns: "{{ns}}"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: etcd-backup}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: etcd-backup}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: etcd-backup}]
`)

	etcd := func(script string) string { return w.In("etcd-0", script) }
	read := `etcdctl get '' --prefix`
	etcd(`for i in $(seq 20); do etcdctl put /registry/things/$i "value $i" >&2; done`)

	w.Cycle(cycle{
		Blueprint: "etcd-incluster-ocp/etcd-incluster-ocp-blueprint.yaml", Target: "secret/etcd-details", Args: []string{"--service-account", "etcd-backup"},
		Read: func() string {
			return etcd(`if [[ -d /data/restored ]]; then ETCDCTL_ENDPOINTS=http://127.0.0.1:3379 ` + read + `; else ` + read + `; fi`)
		},
		Change: func() { etcd(`etcdctl del /registry/things/3 >&2; etcdctl put /registry/things/4 changed >&2`) },
		// What upstream's README has people do by hand: a new data directory from the snapshot, and a member on it.
		Restore: func(backup record.Record) {
			r := w.run(w.Context(), w.Object(bucket, backup.Artifacts["cloudObject"].KeyValue["backupLocation"]), env(t, "KUBECTL"), "-n", w.Namespace, "exec", "-i", "etcd-0", "--", "bash", "-euo", "pipefail", "-c", `
gunzip > /data/snapshot.db
etcdctl snapshot restore /data/snapshot.db --data-dir=/data/restored
setsid etcd --data-dir=/data/restored --log-level=error --listen-client-urls=http://127.0.0.1:3379 --advertise-client-urls=http://127.0.0.1:3379 --listen-peer-urls=http://127.0.0.1:3380 > /data/restored.log 2>&1 < /dev/null &
until ETCDCTL_ENDPOINTS=http://127.0.0.1:3379 etcdctl endpoint health; do sleep 0.2; done`)
			if r.Code != 0 {
				w.Fatalf("restoring etcd: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
			}

			if left := etcd(`ls /tmp`); strings.Contains(left, "etcd-backup.db") {
				t.Errorf("the blueprint's last phase left the snapshot in the pod: %s", left)
			}
		},
		Gone: func() { w.Empty(bucket) },
	})
}

// quote makes one word of bash.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
