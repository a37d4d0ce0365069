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

	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// rdsPod is a stand-in for RDS (hack/aws): requests are checked against AWS's own model, and behind each instance is a PostgreSQL. It is
// not AWS. "shop" is an instance, "fleet" an Aurora cluster with one member.
const rdsPod = awsStandIn + `        - {name: KEY_IDS, value: "AKIATEST:wJalrXUtnFEMIK7MDENG %[5]s:%[6]s"}
        - {name: DATABASES, value: "shop boss %[3]s postgres sg-0a %[4]s"}
` + awsStandInEnd + `---
apiVersion: v1
kind: Secret
metadata: {name: aws-keys}
stringData: {aws_access_key_id: AKIATEST, aws_secret_access_key: wJalrXUtnFEMIK7MDENG, region: eu-test-1}
---
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {username: boss, password: %[3]s}
`

// oddName is that of a database.
const oddName = `Odd "name'; --`

const rdsPassword = "pa55-w0rd'x"

// rds is the stand-in in a test's namespace.
type rds struct{ *World }

func newRDS(w *World) rds {
	w.Helper()

	return newRDSOf(w, "sg-0b; fleet boss "+rdsPassword+" aurora-postgresql sg-0a sg-0b")
}

// newRDSOf has the instance shop with the security group sg-0a, and more as the stand-in's DATABASES says it. The object store's keys are
// known as well.
func newRDSOf(w *World, more string) rds {
	w.Helper()
	w.Apply(fmt.Sprintf(rdsPod, restrictedContainer, postgresImage, rdsPassword, more, env(w.T, "AWS_ACCESS_KEY_ID"), env(w.T, "AWS_SECRET_ACCESS_KEY")))
	w.Kubectl("wait", "--for=condition=Ready", "pod/aws", "--timeout=120s")

	return rds{w}
}

func (r rds) endpoint() string { return "http://aws." + r.Namespace + ".svc:8080" }

func (r rds) sh(script string) string {
	r.Helper()

	return r.Kubectl("exec", "aws", "-c", "main", "--", "bash", "-euc", script)
}

// sql runs statements as the master user of an instance or cluster, over the network.
func (r rds) sql(id, database, text string) string {
	r.Helper()

	return r.sh(fmt.Sprintf(`port=$(awk '$2 == "%s" {print $4}' /data/state | sort -n | tail -1)
PGPASSWORD=%s psql -X -q -A -t -v ON_ERROR_STOP=1 -h $HOST -p $port -U boss -d %s <<'EOS'
%s
EOS`, id, quoted(rdsPassword), quoted("dbname='"+strings.ReplaceAll(database, "'", `\'`)+"'"), text))
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// fill makes two databases with content, one of them with an odd name.
func (r rds) fill(id string) {
	r.Helper()
	r.sql(id, "postgres", `CREATE DATABASE shop; CREATE DATABASE "Odd ""name'; --";`)
	r.sql(id, "shop", `CREATE TABLE orders (id int PRIMARY KEY, what text, at timestamptz DEFAULT '2020-01-01');
INSERT INTO orders SELECT n, repeat('€ \ '' '||n, 20) FROM generate_series(1, 20000) n;
CREATE TABLE lines (id int REFERENCES orders, n int); INSERT INTO lines SELECT id, id*2 FROM orders;
CREATE VIEW big AS SELECT * FROM orders WHERE id > 100; CREATE SEQUENCE s START 77;`)
	r.sql(id, oddName, `CREATE TABLE t (x bytea); INSERT INTO t VALUES ('\x00ff');`)
}

// rows is all that is in the databases of fill.
func (r rds) rows(id string) string {
	r.Helper()

	return r.sql(id, "shop", `SELECT count(*), md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o; SELECT count(*), sum(n) FROM lines; SELECT last_value FROM s; SELECT count(*) FROM big`) +
		r.sql(id, oddName, `SELECT * FROM t`)
}

// spoil changes what rows sees.
func (r rds) spoil(id string) {
	r.Helper()
	r.sql(id, "shop", `DELETE FROM lines WHERE id > 10; UPDATE orders SET what = 'gone'; DROP VIEW big; SELECT nextval('s')`)
	r.sql(id, oddName, `TRUNCATE t`)
}

// state of an instance, cluster or snapshot; "" if there is none.
func (r rds) state(kind, id string) string {
	r.Helper()

	for line := range strings.Lines(r.sh("cat /data/state")) {
		if f := strings.Fields(line); f[0] == kind && f[1] == id {
			return f[2]
		}
	}

	return ""
}

// temporary are the instances and clusters that were not there at first.
func (r rds) temporary() []string {
	r.Helper()

	var all []string

	for line := range strings.Lines(r.sh("cat /data/state")) {
		if f := strings.Fields(line); f[0] != "snapshot" && f[1] != "shop" && f[1] != "fleet" && f[1] != "fleet-a" && f[1] != "fleet-instance-1" {
			all = append(all, f[1]+" "+f[2])
		}
	}

	return all
}

func (r rds) nothingTemporary() {
	r.Helper()
	r.Eventually(30*time.Second, func() string {
		if left := r.temporary(); len(left) > 0 {
			return "left behind: " + strings.Join(left, ", ")
		}

		return ""
	})
}

// phase prepares a call with the stand-in's keys and the object store's profile.
func (r rds) phase(name string, profile *params.Profile) *call {
	r.Helper()

	c := r.Call(name)
	c.Run.Params.Profile = profile
	c.Run.Params.Secrets = map[string]corev1.Secret{"aws": {Data: map[string][]byte{
		"aws_access_key_id": []byte("AKIATEST"), "aws_secret_access_key": []byte("wJalrXUtnFEMIK7MDENG"), "region": []byte("eu-test-1"),
	}}}

	return c
}

// args are those of a function, with those that lead to the stand-in.
func (r rds) args(args map[string]any) map[string]any {
	all := map[string]any{"credentialsSource": "secret", "credentialsSecret": "aws", "endpoint": r.hostEndpoint(), "timeout": "2m"}
	for k, v := range args {
		all[k] = v
	}

	return all
}

// hostEndpoint is for functions that this process calls itself: the node reaches pods by their address.
func (r rds) hostEndpoint() string {
	r.Helper()

	return "http://" + r.Kubectl("get", "pod", "aws", "-o", "jsonpath={.status.podIP}") + ":8080"
}

// storeProfile is the profile of S3Profile as the runner has it.
func (r rds) storeProfile() *params.Profile {
	r.Helper()

	r.S3Profile()

	secret, err := r.Client.CoreV1().Secrets(r.Namespace).Get(r.Context(), "store", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}

	p, err := params.ProfileFromSecret(secret)
	if err != nil {
		r.Fatal(err)
	}

	return p
}

const rdsBlueprint = `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: rds}
actions:
  backup:
    outputArtifacts:
      backupInfo:
        keyValue:
          snapshotID: "{{ .Phases.createSnapshot.Output.snapshotID }}"
          instanceID: "{{ .Phases.createSnapshot.Output.instanceID }}"
          securityGroupID: "{{ .Phases.createSnapshot.Output.securityGroupID }}"
          allocatedStorage: "{{ .Phases.createSnapshot.Output.allocatedStorage }}"
          backupID: "{{ .Phases.exportSnapshot.Output.backupID }}"
          dbSubnetGroup: "{{ .Phases.createSnapshot.Output.dbSubnetGroup }}"
    configMapNames: [dbconfig]
    phases:
    - func: CreateRDSSnapshot
      name: createSnapshot
      args:
        instanceID: '{{ index .ConfigMaps.dbconfig.Data "postgres.instanceid" }}'
        ACCESS
    - func: ExportRDSSnapshotToLocation
      name: exportSnapshot
      objects:
        dbsecret:
          kind: Secret
          name: '{{ index .ConfigMaps.dbconfig.Data "postgres.secret" }}'
          namespace: "{{ .Namespace.Name }}"
      args:
        namespace: "{{ .Namespace.Name }}"
        instanceID: "{{ .Phases.createSnapshot.Output.instanceID }}"
        securityGroupID: "{{ .Phases.createSnapshot.Output.securityGroupID }}"
        username: '{{ index .Phases.exportSnapshot.Secrets.dbsecret.Data "username" | toString }}'
        password: '{{ index .Phases.exportSnapshot.Secrets.dbsecret.Data "password" | toString }}'
        dbEngine: "PostgreSQL"
        databases: '{{ index .ConfigMaps.dbconfig.Data "postgres.databases" }}'
        snapshotID: "{{ .Phases.createSnapshot.Output.snapshotID }}"
        backupArtifactPrefix: test-postgresql-instance/postgres
        dbSubnetGroup: "{{ .Phases.createSnapshot.Output.dbSubnetGroup }}"
        image: IMAGE
        ACCESS
  restore:
    inputArtifactNames: [backupInfo]
    kind: Namespace
    phases:
    - func: RestoreRDSSnapshot
      name: restoreSnapshots
      objects:
        dbsecret:
          kind: Secret
          name: '{{ index .ConfigMaps.dbconfig.Data "postgres.secret" }}'
          namespace: "{{ .Namespace.Name }}"
      args:
        namespace: "{{ .Namespace.Name }}"
        backupArtifactPrefix: test-postgresql-instance/postgres
        instanceID: "{{ .ArtifactsIn.backupInfo.KeyValue.instanceID }}"
        backupID: "{{ .ArtifactsIn.backupInfo.KeyValue.backupID }}"
        securityGroupID: "{{ .ArtifactsIn.backupInfo.KeyValue.securityGroupID }}"
        username: '{{ index .Phases.restoreSnapshots.Secrets.dbsecret.Data "username" | toString }}'
        password: '{{ index .Phases.restoreSnapshots.Secrets.dbsecret.Data "password" | toString }}'
        dbEngine: "PostgreSQL"
        dbSubnetGroup: "{{ .ArtifactsIn.backupInfo.KeyValue.dbSubnetGroup }}"
        image: IMAGE
        ACCESS
  delete:
    kind: Namespace
    inputArtifactNames: [backupInfo]
    phases:
    - func: DeleteRDSSnapshot
      name: deleteSnapshot
      args:
        snapshotID: "{{ .ArtifactsIn.backupInfo.KeyValue.snapshotID }}"
        ACCESS
`

// The reference's own example, through the plugin: rows are compared end to end.
func TestRDSThroughThePlugin(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	r := newRDS(w)
	bucket := w.S3Profile()
	w.Apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: dbconfig}
data: {postgres.instanceid: shop, postgres.secret: db, postgres.databases: ""}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: badconfig}
data: {postgres.instanceid: shop, postgres.secret: bad, postgres.databases: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: bad}
stringData: {username: boss, password: not-the-password}
`)

	access := "credentialsSource: secret\n        credentialsSecret: aws\n        endpoint: " + r.endpoint()
	file := w.File("rds.yaml", strings.NewReplacer("ACCESS", access, "IMAGE", postgresImage).Replace(rdsBlueprint))
	with := []string{"ns/" + w.Namespace, "--config-map", "dbconfig=dbconfig", "--secret", "aws=aws-keys", "-o", "json"}

	r.fill("shop")
	before, orders := r.rows("shop"), r.orders("shop")

	backup := w.Finished(w.Want(0, append([]string{"backup", "--blueprint", file}, with...)...))
	r.nothingTemporary()
	w.NothingLeft(backup.Run)

	info := backup.Artifacts["backupInfo"].KeyValue
	if info["allocatedStorage"] != "20GiB" || info["dbSubnetGroup"] != "private" || !strings.Contains(info["securityGroupID"], "sg-0b") {
		t.Errorf("outputs %v", info)
	}

	keys := strings.Join(w.Keys(bucket), "\n")
	w.Contains(keys, "some/prefix/test-postgresql-instance/postgres/"+info["backupID"])
	w.secretNowhere(backup)

	r.spoil("shop")

	if r.orders("shop") == orders {
		t.Fatal("the test changes nothing")
	}

	w.Want(0, append([]string{"restore", "--from", backup.Run}, with...)...)

	if after := r.rows("shop"); after != before {
		t.Errorf("rows differ: before\n%s\nafter\n%s", before, after)
	}

	w.Want(0, append([]string{"delete", "--from", backup.Run}, with...)...)

	if state := r.state("snapshot", info["snapshotID"]); state != "" {
		t.Errorf("the snapshot is %s", state)
	}

	// The undo list of a failed run deletes the temporary instance.
	with[2] = "dbconfig=badconfig"
	failed := w.Finished(w.Want(3, append([]string{"backup", "--blueprint", file}, with...)...))
	w.Contains(pretty(failed.Error), "WrongPassword", "exportSnapshot")
	r.nothingTemporary()

	if len(failed.Undo) != 1 || !failed.Undo[0].Done {
		t.Errorf("undo list %s", pretty(failed.Undo))
	}

	with[2] = "dbconfig=dbconfig"
	r.killed(append([]string{"backup", "--blueprint", file}, with[:5]...))
}

// killed backs up with a runner that dies while the temporary instance is being made: its successor goes on with that instance, and it is
// gone afterwards. A run that is cancelled after such a death deletes it, too.
func (r rds) killed(args []string) {
	r.Helper()

	made := func() int { return strings.Count(r.sh("cat /data/requests"), "RestoreDBInstanceFromDBSnapshot") }
	hold := func() (run string, before int) {
		r.Helper()

		before = made()
		run = r.start(args...)
		r.inPhase(run, "exportSnapshot")
		r.sh("touch /data/slow")
		r.Eventually(time.Minute, func() string {
			if len(r.temporary()) != 1 || made() == before {
				return fmt.Sprintf("temporary instances: %q", r.temporary())
			}

			return ""
		})
		r.Kubectl("delete", "pod", r.runner(run), "--grace-period=0", "--force")
		r.Eventually(time.Minute, func() string {
			if n := r.Record(run).Attempts; n < 2 {
				return fmt.Sprintf("%d attempts", n)
			}

			return ""
		})

		return run, before
	}

	run, before := hold()
	r.sh("rm /data/slow")
	r.Want(0, "wait", run, "--timeout", "120s")
	r.nothingTemporary()
	r.NothingLeft(run)

	// The successor may ask again, and hears that there is one.
	if rec := r.Record(run); rec.State != record.Complete || len(rec.Undo) != 0 || made() > before+2 {
		r.Errorf("asked %d times to make an instance, record %s", made()-before, pretty(rec))
	}

	run, _ = hold()
	r.Want(0, "cancel", run)
	r.sh("rm /data/slow")
	r.Kanister("wait", run, "--timeout", "120s")
	r.nothingTemporary()
	r.NothingLeft(run)

	if rec := r.Record(run); rec.State != record.Cancelled || len(rec.Undo) != 1 || !rec.Undo[0].Done {
		r.Errorf("record %s", pretty(rec))
	}
}

// orders can be read after spoil, too.
func (r rds) orders(id string) string {
	r.Helper()

	return r.sql(id, "shop", `SELECT count(*), md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o`)
}

// secretNowhere fails the test if the password of the database is in the run's record.
func (w *World) secretNowhere(rec record.Record) {
	w.Helper()

	if strings.Contains(pretty(rec), rdsPassword) || strings.Contains(w.Kubectl("get", "configmap", rec.Run, "-o", "yaml"), rdsPassword) {
		w.Error("the password is in the record")
	}
}

// Aurora by the same functions: snapshot, dump by a temporary cluster, restore of the snapshot, delete.
func TestFunctionRDSAurora(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	r := newRDS(w)
	profile := r.storeProfile()
	r.fill("fleet")
	before := r.rows("fleet")

	snap := r.phase("snap", profile).MustDo("CreateRDSSnapshot", r.args(map[string]any{"instanceID": "fleet", "dbEngine": "aurora-postgresql"}))
	export := r.phase("export", profile)
	args := r.args(map[string]any{
		"instanceID": "fleet", "namespace": w.Namespace, "snapshotID": snap["snapshotID"], "dbEngine": "aurora-postgresql", "username": "boss",
		"password": rdsPassword, "image": postgresImage, "databases": []any{"shop", oddName}, "podLabels": map[string]any{"team": "a"},
	})
	out := export.MustDo("ExportRDSSnapshotToLocation", args)
	r.nothingTemporary()

	if len(export.notes.undo) != 0 {
		t.Errorf("undo list %v", export.notes.undo)
	}

	if !export.notes.said("waiting for cluster") || !export.notes.said("dumping database shop") {
		t.Errorf("said %q", export.notes.messages)
	}

	r.spoil("fleet")
	r.phase("from-dump", profile).MustDo("RestoreRDSSnapshot", r.args(map[string]any{
		"instanceID": "fleet", "namespace": w.Namespace, "backupID": out["backupID"], "dbEngine": "aurora-postgresql", "username": "boss", "password": rdsPassword,
		"image": postgresImage,
	}))

	if after := r.rows("fleet"); after != before {
		t.Errorf("rows differ after the dump: before\n%s\nafter\n%s", before, after)
	}

	r.spoil("fleet")

	restore := r.args(map[string]any{"instanceID": "fleet", "snapshotID": snap["snapshotID"], "dbEngine": "aurora-postgresql"})
	if got := r.phase("from-snapshot", profile).MustDo("RestoreRDSSnapshot", restore); got["endpoint"] == "" {
		t.Errorf("outputs %v", got)
	}

	if after := r.rows("fleet"); after != before {
		t.Errorf("rows differ after the snapshot: before\n%s\nafter\n%s", before, after)
	}

	// Repeated, as after a crash, nothing is deleted again.
	asked := strings.Count(r.sh("cat /data/requests"), "DeleteDBCluster fleet")
	r.phase("from-snapshot", profile).MustDo("RestoreRDSSnapshot", restore)

	if now := strings.Count(r.sh("cat /data/requests"), "DeleteDBCluster fleet"); now != asked {
		t.Errorf("deleted %d times, then %d", asked, now)
	}

	for range 2 {
		r.phase("delete", profile).MustDo("DeleteRDSSnapshot", r.args(map[string]any{"snapshotID": snap["snapshotID"], "dbEngine": "aurora-postgresql"}))
	}
}

// An instance is made again from its snapshot; a phase that fails or is cancelled leaves the undo list a way to delete the
// temporary instance.
func TestFunctionRDSInstance(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	r := newRDS(w)
	profile := r.storeProfile()
	r.fill("shop")
	before := r.rows("shop")

	create := r.args(map[string]any{"instanceID": "shop"})
	snap := r.phase("snap", profile).MustDo("CreateRDSSnapshot", create)

	if again := r.phase("snap", profile).MustDo("CreateRDSSnapshot", create); again["snapshotID"] != snap["snapshotID"] {
		t.Errorf("repeated: %v, %v", again, snap)
	}

	export := map[string]any{
		"instanceID": "shop", "namespace": w.Namespace, "snapshotID": snap["snapshotID"], "dbEngine": "PostgreSQL", "username": "boss",
		"password": rdsPassword, "image": postgresImage, "securityGroupID": snap["securityGroupID"], "dbSubnetGroup": snap["dbSubnetGroup"],
	}

	t.Run("failure", func(t *testing.T) {
		for name, tc := range map[string]struct {
			args   map[string]any
			reason string
			says   string
		}{
			"password": {map[string]any{"password": "wrong-one"}, "WrongPassword", "password authentication failed"},
			"database": {map[string]any{"databases": "nothing"}, "NotFound", `"nothing" does not exist`},
			"tools":    {map[string]any{"image": toolsImage}, "NoPostgreSQLTools", "psql"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()

				args := r.args(export)
				for k, v := range tc.args {
					args[k] = v
				}

				c := r.phase("export-"+name, profile)

				_, err := c.Do(t.Context(), "ExportRDSSnapshotToLocation", args)
				if f := failureOf(err); err == nil || f.Reason != tc.reason || !strings.Contains(f.Message, tc.says) {
					t.Errorf("%v %s", err, pretty(f))
				}

				r.undo(c, profile)
			})
		}
	})

	t.Run("cancel", func(t *testing.T) {
		r.sh("touch /data/slow")
		c := r.phase("export-cancel", profile)
		ctx, cancel := context.WithCancel(t.Context())

		go func() {
			defer cancel()

			for range 300 {
				if c.notes.said("creating") || ctx.Err() != nil {
					return
				}

				time.Sleep(100 * time.Millisecond)
			}
		}()

		if _, err := c.Do(ctx, "ExportRDSSnapshotToLocation", r.args(export)); err == nil {
			t.Error("it was cancelled and succeeded")
		}

		if !c.notes.said("creating") {
			t.Errorf("said %q", c.notes.messages)
		}

		r.sh("rm /data/slow")
		r.undo(c, profile)
	})

	r.nothingTemporary()

	t.Run("restore", func(t *testing.T) {
		r.spoil("shop")

		out := r.phase("restore", profile).MustDo("RestoreRDSSnapshot", r.args(map[string]any{"instanceID": "shop", "snapshotID": snap["snapshotID"]}))
		if text, _ := out["endpoint"].(string); text == "" {
			t.Errorf("outputs %v", out)
		}

		if after := r.rows("shop"); after != before {
			t.Errorf("rows differ: before\n%s\nafter\n%s", before, after)
		}
	})

	t.Run("refused", func(t *testing.T) {
		for name, tc := range map[string]struct {
			function, says string
			args           map[string]any
		}{
			"no instance":   {"CreateRDSSnapshot", `no DB instance "nobody"`, map[string]any{"instanceID": "nobody"}},
			"no cluster":    {"CreateRDSSnapshot", `no DB cluster "shop"`, map[string]any{"instanceID": "shop", "dbEngine": "aurora-mysql"}},
			"no snapshot":   {"RestoreRDSSnapshot", `no instance snapshot "none"`, map[string]any{"instanceID": "shop", "snapshotID": "none"}},
			"nothing":       {"RestoreRDSSnapshot", `"backupID"`, map[string]any{"instanceID": "shop"}},
			"no dump":       {"RestoreRDSSnapshot", "shop/none", map[string]any{"instanceID": "shop", "backupID": "none", "image": postgresImage, "username": "boss", "password": rdsPassword}},
			"engine":        {"ExportRDSSnapshotToLocation", `"MySQL"`, map[string]any{"instanceID": "shop", "snapshotID": "x", "namespace": "x", "dbEngine": "MySQL"}},
			"no region":     {"DeleteRDSSnapshot", "region", map[string]any{"snapshotID": "x", "credentialsSource": "eks_service_account", "credentialsSecret": ""}},
			"empty":         {"DeleteRDSSnapshot", `"snapshotID"`, map[string]any{"snapshotID": " "}},
			"no credential": {"DeleteRDSSnapshot", `"other"`, map[string]any{"snapshotID": "x", "credentialsSecret": "other"}},
		} {
			c := r.phase("refused", profile)
			if name == "no region" {
				c.Run.Params.Profile = nil
			}

			if _, err := c.Do(t.Context(), tc.function, r.args(tc.args)); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v", name, err)
			}
		}

		r.sh("echo CreateDBSnapshot AccessDenied > /data/fail")

		if _, err := r.phase("denied", profile).Do(t.Context(), "CreateRDSSnapshot", create); err == nil || failureOf(err).Reason != "AccessDenied" {
			t.Errorf("denied: %v", err)
		}

		r.sh("echo CreateDBSnapshot SnapshotQuotaExceeded > /data/fail")

		if _, err := r.phase("quota", profile).Do(t.Context(), "CreateRDSSnapshot", create); err == nil || failureOf(err).Hint == "" {
			t.Errorf("quota: %v", err)
		}
	})

	t.Run("timeout", func(t *testing.T) {
		r.sh("rm -f /data/fail; touch /data/slow")

		args := r.args(map[string]any{"instanceID": "shop"})
		args["timeout"] = "2s"

		_, err := r.phase("slow", profile).Do(t.Context(), "CreateRDSSnapshot", args)
		if f := failureOf(err); err == nil || f.Reason != "Timeout" || !strings.Contains(f.Message, `"creating"`) {
			t.Errorf("%v", err)
		}
	})

	w.Call("x").NoPods()
}

// undo does what the engine does with a failed phase's undo list.
func (r rds) undo(c *call, profile *params.Profile) {
	r.Helper()

	if len(c.notes.undo) != 1 {
		r.Fatalf("undo list %v", c.notes.undo)
	}

	u := c.notes.undo[0]
	r.phase("undo-1", profile).MustDo(u.Func, u.Args)
}
