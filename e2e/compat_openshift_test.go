//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// deploymentConfigs are OpenShift's kind as far as the API server cares. Like upstream's kinds it stays in the cluster.
const deploymentConfigs = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: deploymentconfigs.apps.openshift.io}
spec:
  group: apps.openshift.io
  scope: Namespaced
  names: {kind: DeploymentConfig, listKind: DeploymentConfigList, plural: deploymentconfigs, singular: deploymentconfig, shortNames: [dc]}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// DeploymentConfig makes one at its second version, with what OpenShift's controller makes of it: a ReplicationController for each
// version, the last of which has the pod of the template. The pod's name is returned.
func (w *World) DeploymentConfig(name, template string) string {
	w.Helper()
	makingKinds.Lock()
	w.applyAnywhere(deploymentConfigs)
	w.Kubectl("wait", "--for=condition=Established", "crd/deploymentconfigs.apps.openshift.io", "--timeout=60s")
	makingKinds.Unlock()

	w.Apply(fmt.Sprintf(`apiVersion: apps.openshift.io/v1
kind: DeploymentConfig
metadata: {name: %[1]s}
spec:
  replicas: 1
  selector: {app: %[1]s}
  template:%[2]s
status: {latestVersion: 2, replicas: 1}
`, name, template))

	uid := w.Kubectl("get", "deploymentconfig.apps.openshift.io/"+name, "-o", "jsonpath={.metadata.uid}")

	for version, replicas := range map[int]int{1: 0, 2: 1} {
		w.Apply(fmt.Sprintf(`apiVersion: v1
kind: ReplicationController
metadata:
  name: %[1]s-%[2]d
  annotations: {openshift.io/deployment-config.latest-version: "%[2]d"}
  ownerReferences: [{apiVersion: apps.openshift.io/v1, kind: DeploymentConfig, name: %[1]s, uid: %[3]s, controller: true}]
spec:
  replicas: %[4]d
  selector: {app: %[1]s, deployment: %[1]s-%[2]d}
  template:%[5]s
`, name, version, uid, replicas, strings.Replace(template, "labels: {", fmt.Sprintf("labels: {deployment: %s-%d, ", name, version), 1)))
	}

	w.Kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "rc/"+name+"-2", "--timeout=120s")

	return w.Kubectl("get", "pods", "-l", "deployment="+name+"-2", "-o", "jsonpath={.items[0].metadata.name}")
}

// Upstream's blueprints for OpenShift's DeploymentConfigs, with real servers in the pods.
func TestCompatDeploymentConfig(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Apply(`
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {database-root-password: r00t-Of_all.evil}
---
apiVersion: v1
kind: Secret
metadata: {name: "shop-{{ns}}"}
stringData: {postgresql_admin_password: ` + jsonQuote(oddPassword) + `}
---` + service("db", 3306) + `---` + service("shop", 5432))

	maria := w.DeploymentConfig("db", serverPod("db", mariaScript, mariaReady, mariaEnv("database-root-password")))
	w.mariaSQL(maria, mariaFill)
	w.Cycle(cycle{
		Blueprint: "mysql-dep-config/mysql-dep-config-blueprint.yaml", Target: "dc/db", Gone: func() { w.Empty(bucket) },
		Read:   func() string { return w.mariaSQL(maria, mariaRead) },
		Change: func() { w.mariaSQL(maria, mariaChange) },
	})

	postgres := w.DeploymentConfig("shop", fmt.Sprintf(`
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: %s
      containers:
        - name: postgresql
          image: %s
          imagePullPolicy: IfNotPresent
          args: [postgres, -c, fsync=off]
          env:
            - {name: PGDATA, value: /data/pg}
            - {name: POSTGRES_PASSWORD, valueFrom: {secretKeyRef: {name: "shop-%s", key: postgresql_admin_password}}}
          readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1]}, periodSeconds: 1}
          securityContext: %s
          volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, emptyDir: {}}]
`, strings.ReplaceAll(restrictedPod, "1000", "999"), postgresImage, w.Namespace, restrictedContainer))
	sql := func(database, statements string) string { return w.sqlIn(postgres, database, statements) }

	sql("postgres", `CREATE DATABASE shop`)
	sql("shop", `CREATE TABLE orders (id int PRIMARY KEY, what text); INSERT INTO orders SELECT i, 'order ' || i || E' \\ "\t''' FROM generate_series(1, 1000) i`)
	w.Cycle(cycle{
		Blueprint: "postgres-dep-config/postgres-dep-config-blueprint.yaml", Target: "dc/shop", Gone: func() { w.Empty(bucket) },
		Read:   func() string { return readShop(sql) },
		Change: func() { sql("shop", `DELETE FROM orders WHERE id < 500`) },
	})
}
