//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint/blueprinttest"
)

// TestCompatPlainImage: upstream's PostgreSQL blueprint with the server's own image in place of upstream's tools, which has no kando, in
// a namespace that enforces PodSecurity "restricted".
func TestCompatPlainImage(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()
	w.Postgres(plainPassword)

	if found := w.Kubectl("exec", "shop-postgresql-0", "--", "sh", "-c", "command -v kando || true"); found != "" {
		t.Fatalf("the image has a kando at %s: the test proves nothing", found)
	}

	upstream, err := os.ReadFile(filepath.Join(blueprinttest.Dir(t), "postgres", "postgres-blueprint.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	plain := w.File("plain.yaml", strings.ReplaceAll(string(upstream), "ghcr.io/kanisterio/postgres-kanister-tools:0.116.0", postgresImage))
	before := w.readShop()
	w.Contains(w.Want(0, "backup", "sts/shop-postgresql", "--blueprint", plain, "--dry-run").Stderr, "give the container with image "+postgresImage+" the runner image's kando")

	backup := w.Finished(w.Want(0, "backup", "sts/shop-postgresql", "--blueprint", plain, "-o", "json"))
	w.NothingLeft(backup.Run)
	w.SQL("shop", `DROP VIEW odd; DELETE FROM orders WHERE id < 500`)
	w.Want(0, "restore", "--from", backup.Run)

	if after := w.readShop(); after != before {
		t.Errorf("what was restored differs:\n%s\nwant\n%s", after, before)
	}

	w.Want(0, "delete", "--from", backup.Run)
	w.Empty(bucket)
}

// kandoScript stores something, reads it again, deletes it, and says so.
const kandoScript = `          set -eu
          test "$(command -v kando)" = /usr/local/bin/kando
          id -u > /dev/shm/in; head -c 20000000 /dev/zero >> /dev/shm/in
          kando location push --profile '{{ toJson .Profile }}' --path '%[1]s/odd name/$(HOME)' /dev/shm/in
          kando location pull --profile '{{ toJson .Profile }}' --path '%[1]s/odd name/$(HOME)' - | cmp - /dev/shm/in
          kando location delete --profile '{{ toJson .Profile }}' --path '%[1]s/odd name/$(HOME)'
          kando output user "$(id -u)"
`

// TestKandoAnyUser: as root without its rights, as a user that no image knows, with a root file system that nobody can write to, in
// several containers of one pod, as a command of its own; and where nothing can be given any more.
func TestKandoAnyUser(t *testing.T) {
	t.Parallel()

	w := NewWorld(t, "baseline")
	bucket := w.S3Profile()
	w.Deployment()

	task := func(name, override string) string {
		return fmt.Sprintf(`
    - func: KubeTask
      name: %s
      args:
        image: %s
        podOverride: %s
        command:
        - bash
        - -c
        - |
`, name, toolsImage, override) + fmt.Sprintf(kandoScript, name)
	}

	file := w.File("kando.yaml", `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: kando}
actions:
  try:
    outputArtifacts:
      users: {keyValue: {root: "{{ .Phases.root.Output.user }}", nobody: "{{ .Phases.nobody.Output.user }}", list: "{{ .Phases.list.Output.key }}", multi: "{{ .Phases.multi.Output.got }}"}}
    phases:`+
		task("root", `{containers: [{name: container, securityContext: {runAsUser: 0, readOnlyRootFilesystem: true}, resources: {limits: {memory: 200Mi}, requests: {memory: 20Mi}}}]}`)+
		task("nobody", `{securityContext: {runAsUser: 1234567890, runAsGroup: 1234567890, runAsNonRoot: true}, containers: [{name: container, securityContext: {readOnlyRootFilesystem: true}}]}`)+`
    - func: KubeTask
      name: list
      args: {image: `+toolsImage+`, command: [kando, output, key, "a value"]}
    - func: MultiContainerRun
      name: multi
      args:
        backgroundImage: `+toolsImage+`
        backgroundCommand: [sh, -c, "mkfifo /tmp/pipe; kando location push --profile '{{ toJson .Profile }}' --path multi - < /tmp/pipe"]
        outputImage: `+toolsImage+`
        outputCommand: [bash, -ec, "until [[ -p /tmp/pipe ]]; do sleep 0.05; done; echo through > /tmp/pipe; kando output got through"]
    - func: KubeTask
      name: clean
      args: {image: `+toolsImage+`, command: [sh, -c, "kando location delete --profile '{{ toJson .Profile }}' --path multi"]}
  inside:
    phases:
    - func: KubeExec
      name: inside
      args: {namespace: "{{ .Deployment.Namespace }}", pod: "{{ index .Deployment.Pods 0 }}", container: main, command: [sh, -c, "kando output key value"]}
  direct:
    phases:
    - func: KubeExec
      name: direct
      args: {namespace: "{{ .Deployment.Namespace }}", pod: "{{ index .Deployment.Pods 0 }}", container: main, command: [kando, output, key, value]}
`)

	tried := w.Finished(w.Want(0, "run", "try", "deploy/app", "--blueprint", file, "-o", "json"))

	for key, want := range map[string]string{"root": "0", "nobody": "1234567890", "list": "a value", "multi": "through"} {
		if got := tried.Artifacts["users"].KeyValue[key]; got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}

	w.NothingLeft(tried.Run)

	for _, key := range w.Keys(bucket) {
		if !strings.Contains(key, "/kanister-catalogue/") {
			t.Errorf("kando left %q", key)
		}
	}

	for _, action := range []string{"inside", "direct"} {
		w.Contains(w.Want(3, "run", action, "deploy/app", "--blueprint", file).Stderr, "the container has no kando", "KubeTask")
	}
}

// TestKandoFile: a location that is a volume is mounted for the commands that call kando, whoever runs them.
func TestKandoFile(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.FileProfile()
	w.Deployment()

	file := w.File("kando.yaml", `apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: kando}
actions:
  try:
    phases:
    - func: KubeTask
      name: some
      args:
        image: `+toolsImage+`
        podOverride: {securityContext: {runAsUser: 4321}}
        command:
        - bash
        - -c
        - |
`+fmt.Sprintf(kandoScript, "some")+`    - func: KubeTask
      name: put
      args:
        image: `+toolsImage+`
        podOverride: {securityContext: {runAsUser: 4321}}
        command: [sh, -c, "echo of another user | kando location push --profile '{{ toJson .Profile }}' --path a/b/c -"]
    - func: MultiContainerRun
      name: get
      args:
        backgroundImage: `+toolsImage+`
        backgroundCommand: [sh, -c, "kando location pull --profile '{{ toJson .Profile }}' --path a/b/c /tmp/it && touch /tmp/done"]
        outputImage: `+toolsImage+`
        outputCommand: [bash, -ec, "until [[ -e /tmp/done ]]; do sleep 0.05; done; grep 'of another user' /tmp/it; kando location delete --profile '{{ toJson .Profile }}' --path a"]
`)

	w.Want(0, "run", "try", "deploy/app", "--blueprint", file)
}
