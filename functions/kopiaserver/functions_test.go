package kopiaserver

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestTags(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]map[string]string{
		"":                           {},
		" , ":                        {},
		"team:red":                   {"team": "red"},
		"team:red, at:12:30 o'clock": {"team": "red", "at": "12:30 o'clock"},
		"empty:":                     {"empty": ""},
		"team":                       nil,
		":red":                       nil,
		"a:1,a:2":                    nil,
	} {
		got, err := tags(text)
		if diff := cmp.Diff(want, got); want != nil && (err != nil || diff != "") {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}

		if want == nil && (err == nil || !strings.Contains(err.Error(), "snapshotTags")) {
			t.Errorf("%q: %v, %v; want an error that names the argument", text, got, err)
		}
	}
}

func TestDecimal(t *testing.T) {
	t.Parallel()

	for bytes, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 KB", 6_700_000_000: "6.7 GB", 5_000_000_000_000_000: "5000.0 TB"} {
		if got := decimal(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()

	restore := map[string]any{"namespace": "demo", "backupIdentifier": "x", "restorePath": "/data", "pod": "app"}
	with := func(key string, value any) map[string]any {
		args := map[string]any{key: value}

		for k, v := range restore {
			if _, set := args[k]; !set {
				args[k] = v
			}
		}

		return args
	}

	for want, args := range map[string]map[string]any{
		"restorePath":      with("restorePath", "data"),
		"pod and volumes":  with("volumes", map[string]any{"data": "/data"}),
		"backupIdentifier": with("backupIdentifier", ""),
	} {
		if _, err := (Restore{spec.Must("RestoreDataUsingKopiaServer")}).Exec(t.Context(), functest.Run(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// journal keeps what a function says.
type journal struct {
	functions.Journal

	events []string
	hidden []string
}

func (j *journal) Event(m string)           { j.events = append(j.events, m) }
func (j *journal) Secret(v string)          { j.hidden = append(j.hidden, v) }
func (j *journal) Progress(record.Progress) {}

// world is a run with a profile on an S3 server of which the runner's own address is the loopback.
func world(t *testing.T, objects ...*corev1.Pod) (*functions.Run, *journal) {
	t.Helper()

	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	profile := server.Profile("backups", "team")
	profile.RepositoryPassword = "the profile's password"

	set := fake.NewClientset()
	for _, pod := range objects {
		_ = set.Tracker().Add(pod)
	}

	run, j := functest.Run(), &journal{}
	run.Name, run.Namespace, run.Phase, run.Journal = "backup-app-1", "demo", "copy", j
	run.Labels = map[string]string{record.LabelRun: "backup-app-1", record.LabelPhase: "copy"}
	run.Params = &params.TemplateParams{Profile: profile}
	run.Kube = &kube.Client{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Clientset: set}

	return run, j
}

// TestThroughAServerOfTheRun makes a snapshot as a worker would, reads it back as a restore in another namespace would, and deletes it.
func TestThroughAServerOfTheRun(t *testing.T) {
	run, j := world(t)
	dir := t.TempDir()

	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}

	through := func(namespace, id string, do func(context.Context, *kopia.Repository) error) error {
		return access{}.through(t.Context(), run, namespace, id, func(server *kopia.Server, index string) error {
			if server.Account() != "kanister@demo" || index != "served-1" {
				t.Errorf("account %q, index %q", server.Account(), index)
			}

			r, err := kopia.Open(t.Context(), kopia.Options{Server: server, Scratch: t.TempDir()})
			if err != nil {
				return err
			}

			return errors.Join(do(t.Context(), r), r.Close(t.Context()))
		})
	}

	var made kopia.Snapshot

	err := through("demo", "", func(ctx context.Context, r *kopia.Repository) (err error) {
		made, err = r.Snapshot(ctx, kopia.Backup{Dir: dir, Source: kopia.Source{Namespace: "demo", Path: "/mnt/data"}})

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	if len(j.hidden) == 0 || !strings.Contains(strings.Join(j.events, "\n"), "https://127.0.0.1:") {
		t.Errorf("hidden %d, events %q", len(j.hidden), j.events)
	}

	target := t.TempDir()

	err = through("elsewhere", made.ID, func(ctx context.Context, r *kopia.Repository) error {
		_, err := r.Restore(ctx, kopia.Restore{ID: made.ID, Target: target})

		return err
	})
	if content, _ := os.ReadFile(filepath.Join(target, "file")); err != nil || string(content) != "content" {
		t.Errorf("%q, %v", content, err)
	}

	f := Delete{spec.Must("DeleteDataUsingKopiaServer")}
	args := map[string]any{"namespace": "demo", "backupID": made.ID, "image": "any"}

	if _, err := f.Exec(t.Context(), run, args); err != nil {
		t.Fatal(err)
	}

	var failure *record.Failure
	if _, err := f.Exec(t.Context(), run, args); !errors.As(err, &failure) || failure.Reason != "NotFound" || !strings.Contains(failure.Hint, "--repository-server") {
		t.Errorf("deleting it twice: %v, %+v", err, failure)
	}

	run.Attempt = 2
	if _, err := f.Exec(t.Context(), run, args); err != nil {
		t.Errorf("deleting what a runner that died had deleted: %v", err)
	}
}

// TestForgetsWorkersOfARunnerThatDied: they talk to a server that is gone, and a restore must not have two.
func TestForgetsWorkersOfARunnerThatDied(t *testing.T) {
	labels := map[string]string{record.LabelRun: "backup-app-1", record.LabelPhase: "copy"}
	left := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: record.ObjectName("backup-app-1", "copy", "served-1"), Labels: labels}}
	run, _ := world(t, left)
	run.Attempt = 2

	err := access{}.through(t.Context(), run, "demo", "", func(_ *kopia.Server, index string) error {
		if index != "served-2" {
			t.Errorf("index %q", index)
		}

		_, err := run.Kube.Clientset.CoreV1().Pods("demo").Get(t.Context(), left.Name, metav1.GetOptions{})
		if err == nil {
			t.Error("the worker is still there")
		}

		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func certificate(t *testing.T) []byte {
	t.Helper()

	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// TestGivenServer takes the hostname that is asked for, else the first in order, and says what there is.
func TestGivenServer(t *testing.T) {
	t.Parallel()

	run, j := functest.Run(), &journal{}
	run.Journal = j
	run.Params.RepositoryServer = &params.RepositoryServer{Name: "server", Namespace: "demo", Username: "app", Address: "https://kopia:51515"}
	credentials := &run.Params.RepositoryServer.Credentials
	credentials.ServerUserAccess = corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "users", Namespace: "demo"}, Data: map[string][]byte{"beta": []byte("b"), "alpha": []byte("a")}}
	credentials.ServerTLS = corev1.Secret{Data: map[string][]byte{"tls.crt": certificate(t)}}

	for hostname, want := range map[string]string{"": "app@alpha", "beta": "app@beta"} {
		server, err := access{Hostname: hostname}.given(run)
		if err != nil || server.Account() != want || len(server.Fingerprint) != 64 {
			t.Errorf("%q: %+v, %v", hostname, server, err)
		}
	}

	if _, err := (access{Hostname: "gamma"}).given(run); err == nil || !strings.Contains(err.Error(), "alpha, beta") {
		t.Errorf("an unknown hostname: %v", err)
	}

	credentials.ServerTLS.Data["tls.crt"] = []byte("no PEM")
	if _, err := (access{}).given(run); err == nil || !strings.Contains(err.Error(), "tls.crt") {
		t.Errorf("no certificate: %v", err)
	}
}
