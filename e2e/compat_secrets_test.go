//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// oddKey is a store's key with every character that something on the way could take for its own.
const oddKey = `k'e"y$$ $(HOME) $HOME ` + "`id`" + ` \n & <x> %41 {{ .Time }}é-secret`

func unescaped(uri string) string {
	text, err := url.QueryUnescape(uri)
	if err != nil {
		return ""
	}

	return text
}

// The profile and a password in commands reach the containers whole, and nobody who may not read Secrets learns of them: from upstream's
// own blueprint, and from one that puts them into each kind of function that takes a command.
func TestCompatSecretsStaySecret(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	bucket := w.S3Profile()

	store, err := w.Client.CoreV1().Secrets(w.Namespace).Get(w.Context(), "store", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	password := string(store.Data[params.KeyRepositoryPassword])
	if password == "" {
		t.Fatal("the profile has no repository password")
	}

	w.Apply(`
apiVersion: v1
kind: Secret
metadata: {name: odd-keys}
stringData: {id: "odd-key-of-nobody", key: ` + jsonQuote(oddKey) + `}
`)

	stop := w.Eavesdrop(map[string]string{
		"the store's key": env(t, "AWS_SECRET_ACCESS_KEY"), "the repository's password": password, "the database's password": oddPassword, "the odd key": oddKey,
	})

	w.Postgres(oddPassword)
	w.Cycle(cycle{
		Blueprint: "postgres/postgres-blueprint.yaml", Target: "sts/shop-postgresql", Read: w.readShop, Gone: func() { w.Empty(bucket) },
		Change: func() { w.SQL("shop", `DELETE FROM orders WHERE id < 500`) },
	})
	w.wholeProfile()
	w.carelessCommand()
	// Data movers hold the store's key and the repository's password.
	w.Want(0, "backup", "sts/shop-postgresql")
	stop()
}

// wholeProfile compares what arrives in a container with what `toJson .Profile` is.
func (w *World) wholeProfile() {
	w.Helper()

	profile := w.File("profile.yaml", `apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: odd}
location: {type: s3Compliant, bucket: nowhere, region: nowhere}
credential:
  type: keyPair
  keyPair: {idField: id, secretField: key, secret: {name: odd-keys, namespace: "{{ns}}"}}
`)
	script := `printf %s '{{ toJson .Profile }}' | sha256sum | cut -d ' ' -f 1 | sed 's/.*/###Phase-output###: {"key":"sum","value":"&"}/'`
	file := w.Blueprint(`    outputArtifacts:
      sums: {keyValue: {task: "{{ .Phases.task.Output.sum }}", exec: "{{ .Phases.exec.Output.sum }}"}}
    phases:
      - func: KubeTask
        name: task
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          image: ` + toolsImage + `
          command: [bash, -c, ` + jsonQuote(script) + `]
      - func: KubeExec
        name: exec
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          pod: "{{ index .StatefulSet.Pods 0 }}"
          command: [bash, -c, ` + jsonQuote(script) + `]
`)
	run := w.Finished(w.Want(0, "run", "test", "sts/shop-postgresql", "--blueprint", file, "--profile-file", profile, "-o", "json"))

	whole, err := template.Render(`{{ toJson .Profile }}`, &params.TemplateParams{Profile: &params.Profile{
		Location:   blueprint.Location{Type: blueprint.LocationS3, Bucket: "nowhere", Region: "nowhere"},
		Credential: params.Credential{Type: "keyPair", KeyPair: &params.KeyPair{ID: "odd-key-of-nobody", Secret: oddKey}},
	}})
	if err != nil {
		w.Fatal(err)
	}

	sum := sha256.Sum256([]byte(whole))

	for where, got := range run.Artifacts["sums"].KeyValue {
		if got != hex.EncodeToString(sum[:]) {
			w.Errorf("what arrived in the container of the %s is not the whole profile", where)
		}
	}

	if len(run.Artifacts["sums"].KeyValue) != 2 {
		w.Errorf("artifacts %v", run.Artifacts)
	}
}

// carelessCommand prints a secret and fails with it as its last words. That its own container's log has it is its own doing; what the
// runner and the plugin make of it has not.
func (w *World) carelessCommand() {
	w.Helper()

	file := w.Blueprint(`    phases:
      - func: KubeTask
        name: careless
        objects: {db: {kind: Secret, name: shop-postgresql, namespace: "{{ .StatefulSet.Namespace }}"}}
        args:
          namespace: "{{ .StatefulSet.Namespace }}"
          image: ` + toolsImage + `
          command: [bash, -c, "p='{{ index .Phases.careless.Secrets.db.Data \"postgres-password\" | toString }}'; echo \"the password is $p\"; exit ${#p}"]
`)

	r := w.Want(3, "run", "test", "sts/shop-postgresql", "--blueprint", file, "-o", "json")
	if rec := w.Finished(r); rec.Error == nil || rec.Error.Exit == nil || *rec.Error.Exit != len(oddPassword) || len(rec.Error.LastLogs) == 0 {
		w.Errorf("the command had another password, or its last words are missing: %+v", rec.Error)
	}
}

func jsonQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
