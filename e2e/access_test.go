//go:build e2e

package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// A user with nothing is refused with the Role that he lacks; with exactly that Role he succeeds.
func TestAccessNamespaceUserWithThePrintedRole(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.StatefulSet("csi-btrfs")
	w.Bash("echo precious > /data/x")
	w.Apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: look}
rules:
  - {apiGroups: [apps], resources: [statefulsets], verbs: [get, list]}
  - {apiGroups: [""], resources: [secrets], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: look}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: look}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "owner-{{ns}}"}]
`)

	user := "owner-" + w.Namespace
	r := w.Want(6, "--as", user, "backup", "sts/app")

	_, role, found := strings.Cut(r.Stderr, "apiVersion: rbac.authorization.k8s.io/v1")
	if !found {
		t.Fatalf("no Role in:\n%s", r.Stderr)
	}

	if left := w.Kubectl("get", "jobs,cm", "-l", "kanister.io/run", "-o", "name"); left != "" {
		t.Errorf("a refused run left %s", left)
	}

	manifest, _, _ := strings.Cut("apiVersion: rbac.authorization.k8s.io/v1"+role, "\nhint:")
	manifest, _, _ = strings.Cut(manifest, "\nerror:")
	w.Apply(manifest)

	if !strings.Contains(manifest, "kind: RoleBinding") {
		w.Kubectl("create", "rolebinding", "printed", "--role", strings.TrimSpace(w.Kubectl("get", "roles", "-o", "jsonpath={.items[?(@.metadata.name!='look')].metadata.name}")), "--user", user)
	}

	w.Want(0, "--as", user, "backup", "sts/app")
}

// Nothing that the API server returns or logs holds the store's key or the repository's password.
func TestAccessSecretsAreNowhere(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.S3Profile()
	w.StatefulSet("csi-btrfs")
	w.Apply(`
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: "s3cr3t-needle-in-hay"}
`)
	file := w.Blueprint(`    phases:
      - func: KubeTask
        name: task
        objects: {db: {kind: Secret, name: db, namespace: "{{ .StatefulSet.Namespace }}"}}
        args:
          image: ` + toolsImage + `
          command: [bash, -c, "p='{{ index .Phases.task.Secrets.db.Data \"password\" | toString }}'; echo ${#p} $p; echo '{{ toJson .Profile }}' | wc -c"]
      - func: KubeExec
        name: exec
        objects: {db: {kind: Secret, name: db, namespace: "{{ .StatefulSet.Namespace }}"}}
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          pod: app-0
          container: main
          command: [bash, -c, "p='{{ index .Phases.exec.Secrets.db.Data \"password\" | toString }}'; [ ${#p} = 20 ] && echo $p"]
`)
	run := w.Finished(w.Want(0, "run", "test", "sts/app", "--blueprint", file, "--profile", "store", "-o", "json"))
	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))

	needles := []string{"s3cr3t-needle-in-hay", env(t, "AWS_SECRET_ACCESS_KEY")}
	for _, n := range needles[:2] {
		needles = append(needles, base64.StdEncoding.EncodeToString([]byte(n)))
	}

	look := func(where, text string) {
		for _, n := range needles {
			if strings.Contains(text, n) {
				t.Errorf("%s holds a secret", where)
			}
		}
	}

	look("the cluster", w.Kubectl("get", "pods,jobs,cm,events,roles,pvc,volumesnapshots,sts", "-o", "yaml"))
	look("describe", w.Want(0, "describe", run.Run).Stdout)
	look("the log of the task run", w.Kubectl("logs", "-l", "batch.kubernetes.io/job-name="+run.Run, "--tail=-1"))
	look("the log of the backup", w.Kubectl("logs", "-l", "batch.kubernetes.io/job-name="+backup.Run, "--tail=-1"))

	log, err := os.Open(env(t, "KANISTER_AUDIT_LOG"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()

	lines := 0

	for scanner := bufio.NewScanner(log); scanner.Scan(); {
		var entry struct {
			RequestURI string `json:"requestURI"`
		}
		if json.Unmarshal(scanner.Bytes(), &entry) == nil && strings.Contains(entry.RequestURI, "/"+w.Namespace+"/") {
			lines++

			look("a request URI", entry.RequestURI)
		}
	}

	if lines < 20 {
		t.Errorf("the audit log has %d requests of this namespace: too few to have looked at the right one", lines)
	}
}
