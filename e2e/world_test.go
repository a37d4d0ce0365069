//go:build e2e

// Package e2e drives the built plugin against the real cluster of hack/cluster. hack/e2e.sh prepares what it needs.
package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Images that hack/e2e.sh loads into the cluster.
const (
	toolsImage    = "kubectl-kanister/tools:dev"
	postgresImage = "kubectl-kanister/postgres:15"
)

// commandTimeout bounds one command of a test; a hanging plugin is a failure with its output, not of the whole suite.
const commandTimeout = 5 * time.Minute

// World is one test's namespace in the cluster, and the commands that a user types there.
type World struct {
	*testing.T
	Namespace string
	Client    kubernetes.Interface
	Dynamic   dynamic.Interface
	Config    *rest.Config
	// audit is where the API server's audit log ended when the test began.
	audit mark
	ears  *eavesdropper // hears what the plugin says
}

// Result of a command.
type Result struct {
	Stdout, Stderr string
	Code           int
	Took           time.Duration
}

func env(t *testing.T, name string) string {
	t.Helper()

	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("$%s is not set: run the suite by hack/e2e.sh or `make e2e`", name)
	}

	return value
}

// NewWorld makes a namespace that enforces PodSecurity "restricted"; unrestricted tests pass another level.
func NewWorld(t *testing.T, level ...string) *World {
	t.Helper()

	config, err := clientcmd.BuildConfigFromFlags("", env(t, "KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}

	config.QPS, config.Burst = -1, -1
	w := &World{T: t, Config: config}
	w.audit = w.auditMark()
	w.Client = kubernetes.NewForConfigOrDie(config)
	w.Dynamic = dynamic.NewForConfigOrDie(config)

	random := make([]byte, 3)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}

	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	w.Namespace = fmt.Sprintf("e2e-%.40s-%s", strings.TrimPrefix(name, "test"), hex.EncodeToString(random))

	enforce := "restricted"
	if len(level) > 0 {
		enforce = level[0]
	}

	_, err = w.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: w.Namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": enforce, "kanister.io/e2e": "true"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(w.tearDown)

	return w
}

// tearDown checks the permissions of the test's runs, shows what a failed test left, then deletes the namespace without waiting
// for it.
func (w *World) tearDown() {
	if !w.Failed() && !w.Skipped() {
		w.rulesWereRight()
	}

	if w.Failed() {
		for _, args := range [][]string{
			{"get", "all,pvc,configmaps,events", "-o", "wide"},
			{"logs", "-l", "kanister.io/run", "--all-containers", "--prefix", "--tail=40"},
		} {
			r := w.run(context.Background(), nil, "kubectl", append([]string{"-n", w.Namespace}, args...)...)
			w.Logf("kubectl %s:\n%s%s", strings.Join(args, " "), r.Stdout, r.Stderr)
		}

		if os.Getenv("KANISTER_E2E_KEEP") != "" {
			return
		}
	}

	if err := w.Client.CoreV1().Namespaces().Delete(context.Background(), w.Namespace, metav1.DeleteOptions{}); err != nil {
		w.Logf("deleting namespace: %v", err)
	}
}

func (w *World) run(ctx context.Context, stdin []byte, name string, args ...string) Result {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()

	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second

	var stdout, stderr bytes.Buffer

	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), Took: time.Since(began)}

	var exit *exec.ExitError

	switch {
	case err == nil:
	case errors.As(err, &exit):
		r.Code = exit.ExitCode()
	default:
		r.Code, r.Stderr = -1, r.Stderr+err.Error()
	}

	return r
}

// Kanister runs the built plugin in the test's namespace.
func (w *World) Kanister(args ...string) Result {
	w.Helper()

	r := w.run(w.Context(), nil, env(w.T, "KANISTER_PLUGIN"), append([]string{"-n", w.Namespace}, args...)...)
	if w.ears != nil {
		w.ears.look("words", "of "+strings.Join(args, " "), r.Stdout+r.Stderr)
	}

	return r
}

// Want runs the plugin and fails the test unless it ends with code; it returns what was said.
func (w *World) Want(code int, args ...string) Result {
	w.Helper()

	r := w.Kanister(args...)
	if r.Code != code {
		w.Fatalf("kubectl kanister %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), r.Code, code, r.Stdout, r.Stderr)
	}

	return r
}

// Kubectl runs kubectl in the test's namespace and fails the test when kubectl does; it returns its standard output.
func (w *World) Kubectl(args ...string) string {
	w.Helper()

	r := w.run(w.Context(), nil, env(w.T, "KUBECTL"), append([]string{"-n", w.Namespace}, args...)...)
	if r.Code != 0 {
		w.Fatalf("kubectl %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}

	return r.Stdout
}

// Apply applies manifests; {{ns}} in them is the test's namespace.
func (w *World) Apply(manifests string) {
	w.Helper()

	text := strings.ReplaceAll(manifests, "{{ns}}", w.Namespace)

	r := w.run(w.Context(), []byte(text), env(w.T, "KUBECTL"), "-n", w.Namespace, "apply", "-f", "-")
	if r.Code != 0 {
		w.Fatalf("kubectl apply: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// File writes a file that lives as long as the test and returns its path.
func (w *World) File(name, content string) string {
	w.Helper()

	path := filepath.Join(w.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(content, "{{ns}}", w.Namespace)), 0o600); err != nil {
		w.Fatal(err)
	}

	return path
}

// Contains fails the test unless text holds every one of parts.
func (w *World) Contains(text string, parts ...string) {
	w.Helper()

	for _, part := range parts {
		if !strings.Contains(text, part) {
			w.Errorf("missing %q in:\n%s", part, text)
		}
	}
}

// Eventually polls until check returns "", and fails the test with what it last said after the bound.
func (w *World) Eventually(bound time.Duration, check func() string) {
	w.Helper()

	deadline := time.Now().Add(bound)

	for {
		said := check()
		if said == "" {
			return
		}

		if time.Now().After(deadline) {
			w.Fatalf("after %s: %s", bound, said)
		}

		time.Sleep(200 * time.Millisecond)
	}
}
