//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The whole data family, the built-in blueprint and kando's words on stores that are no S3.

func TestLocationGCS(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	keys := w.GCSProfile()
	w.everyWord("gs", keys)

	// The server asks for no credentials, so only what needs none can go wrong here; runner/location has the rest.
	w.refused([]string{"gcs", "nowhere", "--bucket", "nowhere", "--endpoint", env(t, "GCS_PLAIN_ENDPOINT"), "--service-key", "-"}, "NoBucket", "create the bucket")
}

func TestLocationAzure(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	keys := w.AzureProfile()
	w.everyWord("azure", keys)

	azure := []string{"azure", "nowhere", "--bucket", "nowhere", "--endpoint", env(t, "AZURE_ENDPOINT"), "--ca-bundle", env(t, "AZURE_CA_FILE"), "--storage-account", env(t, "AZURE_STORAGE_ACCOUNT")}
	w.refused(append(azure, "--storage-key", env(t, "AZURE_STORAGE_KEY")), "NoBucket", "create the bucket")

	azure[1], azure[3] = "stranger", "e2e"
	// Azurite's word for a wrong signature is Azure's for a key that is known and may not do this.
	w.refused(append(azure, "--storage-key", "c29tZWJvZHkgZWxzZSdzIGtleQ=="), "AccessDenied", "check")
	w.conformance()
}

// conformance runs runner/location's tests of Azure in the cluster: the account is the first word of the host's name, which only the
// cluster's DNS knows.
func (w *World) conformance() {
	w.Helper()

	program := filepath.Join(w.TempDir(), "location.test")
	compile := exec.CommandContext(w.Context(), "go", "test", "-c", "-tags", "e2e", "-ldflags", "-s -w", "-o", program, "../runner/location")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")

	if out, err := compile.CombinedOutput(); err != nil {
		w.Fatalf("%v\n%s", err, out)
	}

	content, err := os.ReadFile(program)
	if err != nil {
		w.Fatal(err)
	}

	ca, err := os.ReadFile(env(w.T, "AZURE_CA_FILE"))
	if err != nil {
		w.Fatal(err)
	}

	script := fmt.Sprintf(`cat > /data/location.test; chmod +x /data/location.test; export AZURE_ENDPOINT=%s AZURE_STORAGE_ACCOUNT=%s AZURE_STORAGE_KEY=%s AZURE_PREFIX=%s/conformance AZURE_CA='%s'
/data/location.test -test.run '^TestAzure' -test.timeout 4m`,
		env(w.T, "AZURE_ENDPOINT"), env(w.T, "AZURE_STORAGE_ACCOUNT"), env(w.T, "AZURE_STORAGE_KEY"), w.Namespace, ca)

	r := w.run(w.Context(), content, "kubectl", "-n", w.Namespace, "exec", "-i", "app-0", "--", "bash", "-euc", script)
	if r.Code != 0 || !strings.Contains(r.Stdout, "PASS") {
		w.Errorf("conformance of Azure: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// refused makes a profile that cannot work, and sees its check say why.
func (w *World) refused(create []string, reason, hint string) {
	w.Helper()

	if r := w.pipe(serviceKey, append([]string{"profile", "create"}, create...)...); r.Code != 0 {
		w.Fatalf("creating profile %q: %s", create[1], r.Stderr)
	}

	w.Contains(w.Want(3, "profile", "check", create[1]).Stderr, reason, hint)
}

// everyWord uses the default profile, whose bucket "e2e" others use too, below its prefix.
func (w *World) everyWord(scheme string, keys func() []string) {
	w.Helper()
	w.Contains(w.Want(0, "profile", "check", "store").Stderr, "profile/store works")
	w.dataFunctions("e2e/path", scheme+"://e2e/"+w.Namespace, keys)
	w.builtIn(keys)
	w.kandoWords()
}

// builtIn backs up, restores and deletes without a blueprint.
func (w *World) builtIn(keys func() []string) {
	w.Helper()
	w.Kubectl("scale", "sts/app", "--replicas=1")

	before := w.Fingerprint()
	backup := w.Finished(w.Want(0, "backup", "sts/app", "-o", "json"))
	entry := func(key string) bool {
		return strings.Contains(key, "kanister-catalogue") && strings.Contains(key, backup.Run)
	}

	if !slices.ContainsFunc(keys(), entry) {
		w.Errorf("no entry of %s in the catalogue", backup.Run)
	}

	w.Bash(`rm -rf /data/big "/data/a b"; echo changed > /data/new`)
	w.Want(0, "restore", "--from", backup.Run)
	w.Kubectl("rollout", "status", "sts/app", "--timeout=120s")
	w.SameFiles(before, w.Fingerprint())
	w.Want(0, "delete", "--from", backup.Run)

	if slices.ContainsFunc(keys(), entry) {
		w.Errorf("the entry of %s is left in the catalogue", backup.Run)
	}
}

// kandoWords stores, reads and deletes objects, one larger than a part, under odd names.
func (w *World) kandoWords() {
	w.Helper()

	file := w.File("kando.yaml", strings.ReplaceAll(`apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: kando}
actions:
  try:
    outputArtifacts: {got: {keyValue: {missing: "{{ .Phases.kando.Output.missing }}", empty: "{{ .Phases.kando.Output.empty }}"}}}
    phases:
    - func: KubeTask
      name: kando
      args:
        image: TOOLS
        command:
        - bash
        - -ec
        - |
          k() { words=$1; shift; kando $words --profile '{{ toJson .Profile }}' "$@"; }
          big() { seq 3000000; }
          big | k "location push" --path 'words/ü %20 #x' -
          k "location pull" --path 'words/ü %20 #x' - | cmp - <(big)
          echo small | k "location push" --path words/small -
          echo again | k "location push" --path words/small -
          test "$(k 'location pull' --path words/small -)" = again
          k "location delete" --path words
          code=0; k "location pull" --path words/small - 2>/dev/shm/err || code=$?
          kando output missing "$code $(grep -c words/small /dev/shm/err)"
          kando output empty "$(printf '' | k 'location push' --path other -; k 'location pull' --path other - | wc -c)"
          k "location delete" --path other
`, "TOOLS", toolsImage))

	tried := w.Finished(w.Want(0, "run", "try", "sts/app", "--blueprint", file, "-o", "json"))

	for key, want := range map[string]string{"missing": "69 1", "empty": "0"} {
		if got := tried.Artifacts["got"].KeyValue[key]; got != want {
			w.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
