package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestWords(t *testing.T) {
	for _, test := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{[]string{"/runner"}, ExitUsage, "", "Its words are:"},
		{[]string{"/runner", "dance"}, ExitUsage, "", `"dance" is no word of this program`},
		{[]string{"/runner", "version"}, ExitComplete, Version, ""},
		{[]string{"/runner", "run", "now"}, ExitUsage, "", "run takes no arguments"},
		{[]string{"/runner", "kando", "output", "k", "v"}, 0, `###Phase-output###: {"key":"k","value":"v"}`, ""},
		{[]string{"/usr/local/bin/kando", "output", "k", "v"}, 0, `###Phase-output###: {"key":"k","value":"v"}`, ""},
		{[]string{"/usr/local/bin/kando", "run"}, 69, "", `unknown command "run"`},
		{nil, ExitUsage, "", "Its words are:"},
	} {
		var out, errOut bytes.Buffer

		code := Main(test.args, strings.NewReader(""), &out, &errOut)
		if code != test.code || !strings.Contains(out.String(), test.out) || !strings.Contains(errOut.String(), test.err) {
			t.Errorf("%q: code %d, out %q, err %q", test.args, code, out.String(), errOut.String())
		}
	}
}

// server is as much of an API server as a run of one function on a namespace needs.
type server struct {
	mu      sync.Mutex
	record  *corev1.ConfigMap
	job     *batchv1.Job
	away    int // requests that are still answered with 503
	deleted bool
	watches []chan corev1.ConfigMap
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")

	s.mu.Lock()

	if s.away > 0 {
		s.away--
		s.mu.Unlock()
		w.WriteHeader(http.StatusServiceUnavailable)

		return
	}

	switch {
	case r.URL.Query().Get("watch") != "":
		changes := make(chan corev1.ConfigMap, 100)
		s.watches = append(s.watches, changes)
		s.mu.Unlock()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()

		for {
			select {
			case <-r.Context().Done():
				return
			case cm := <-changes:
				_ = json.NewEncoder(w).Encode(map[string]any{"type": "MODIFIED", "object": cm})
				w.(http.Flusher).Flush()
			}
		}
	case strings.HasSuffix(r.URL.Path, "/configmaps/run-1") && !s.deleted && r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(s.record)
	case strings.HasSuffix(r.URL.Path, "/configmaps/run-1") && r.Method == http.MethodPut:
		raw, _ := io.ReadAll(r.Body)

		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil) // JSON or protobuf
		if next, ok := object.(*corev1.ConfigMap); err == nil && ok {
			s.set(*next)
		}

		_ = json.NewEncoder(w).Encode(s.record)
	case strings.HasSuffix(r.URL.Path, "/jobs/run-1") && s.job != nil:
		_ = json.NewEncoder(w).Encode(s.job)
	case r.URL.Path == "/api/v1/namespaces/demo":
		_ = json.NewEncoder(w).Encode(corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "demo"}})
	default:
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(metav1.Status{Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404, Message: r.URL.Path})
	}

	s.mu.Unlock()
}

func (s *server) set(cm corev1.ConfigMap) {
	cm.ResourceVersion += "1"
	s.record = &cm

	for _, w := range s.watches {
		select {
		case w <- cm:
		default:
		}
	}
}

// fake is a function of the test.
type fake struct {
	name string
	exec func(context.Context, *functions.Run) error
}

func (f fake) Name() string           { return f.name }
func (f fake) RequiredArgs() []string { return nil }
func (f fake) Arguments() []string    { return nil }
func (f fake) Exec(ctx context.Context, run *functions.Run, _ map[string]any) (map[string]any, error) {
	return map[string]any{"k": "v"}, f.exec(ctx, run)
}

func input(function string) *record.Input {
	return &record.Input{
		SchemaVersion: record.SchemaVersion, Run: "run-1", Namespace: "demo", Action: "test",
		Blueprint: blueprint.Blueprint{ObjectMeta: metav1.ObjectMeta{Name: "bp"}, Actions: map[string]*blueprint.Action{"test": {
			Phases: []blueprint.Phase{{Name: "only", Func: function}},
		}}},
		Target: blueprint.ObjectReference{Kind: "Namespace", Name: "demo", Namespace: "demo"},
		Profile: &record.Profile{
			Name: "p", Location: blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Region: "r", Endpoint: "http://127.0.0.1:1"},
			Credential:         params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "AKIDTHATISSHOWN", Secret: "s3-secret-key"}},
			RepositoryPassword: "repository-password",
		},
	}
}

// attempt is one runner pod.
type attempt struct {
	code        int
	log         string
	termination string
	record      *record.Record
}

func try(t *testing.T, ctx context.Context, s *server, in *record.Input, f fake) attempt { // t first, as tests do
	t.Helper()

	api := httptest.NewServer(s)
	defer api.Close()
	defer api.CloseClientConnections() // the watch

	dir := t.TempDir()

	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "input.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}

	if s.record == nil {
		data, err := record.Encode(&record.Record{SchemaVersion: record.SchemaVersion, Run: in.Run, Namespace: in.Namespace, State: record.Pending})
		if err != nil {
			t.Fatal(err)
		}

		s.record = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "run-1", Namespace: "demo", ResourceVersion: "1"}, Data: data}
	}

	registry := &functions.Registry{}
	if err := registry.Add(f); err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer

	r := &Runner{
		Input: filepath.Join(dir, "input.json"), Termination: filepath.Join(dir, "termination-log"), Functions: registry, Clock: clock.RealClock{}, Out: &log,
		Getenv: func(name string) string {
			return map[string]string{envNamespace: "demo", envJob: "run-1", envJobUID: "1-2-3", envPod: "run-1-abc"}[name]
		},
		Config: func() (*rest.Config, error) { return &rest.Config{Host: api.URL}, nil },
	}

	got := attempt{code: r.Run(ctx), log: log.String()}

	if raw, err := os.ReadFile(r.Termination); err == nil {
		got.termination = string(raw)
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	if got.record, err = record.Decode(s.record); err != nil {
		t.Fatal(err)
	}

	for name, text := range map[string]string{"log": got.log, "termination message": got.termination, "record": fmt.Sprint(s.record.Data)} {
		for _, secret := range []string{"s3-secret-key", "repository-password"} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds %q", name, secret)
			}
		}
	}

	return got
}

func TestRunCodes(t *testing.T) {
	for _, test := range []struct {
		name  string
		exec  func(context.Context, *functions.Run) error
		code  int
		state record.State
		says  string
	}{
		{"complete", func(_ context.Context, run *functions.Run) error {
			if o := run.Owner; o == nil || o.Reference.Kind != "Job" || o.Reference.Name != "run-1" || o.Reference.UID != "1-2-3" || o.Namespace != "demo" {
				return fmt.Errorf("owner is %+v", o)
			}

			if run.Params.Namespace.Name != "demo" || run.Kube == nil || run.Labels[record.LabelPhase] != "only" {
				return errors.New("the function was not given what it needs")
			}

			run.Journal.Log("pod/container", "using s3-secret-key\nand a second line")

			return nil
		}, ExitComplete, record.Complete, ""},
		{"failed", func(context.Context, *functions.Run) error {
			return &record.Failure{Message: "login with s3-secret-key refused", Reason: "AccessDenied"}
		}, ExitFailed, record.Failed, "login with [redacted] refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &server{away: 2}

			got := try(t, t.Context(), s, input("F"), fake{"F", test.exec})
			if got.code != test.code || got.record.State != test.state {
				t.Fatalf("code %d, state %s: %s", got.code, got.record.State, got.log)
			}

			v, ok := record.ParseVerdict(got.termination)
			if !ok || v.State != test.state || v.Error != nil && v.Error.Message != test.says {
				t.Errorf("termination message %q", got.termination)
			}

			// Another pod of the same run has nothing to do, and says the same.
			again := try(t, t.Context(), s, input("F"), fake{"F", func(context.Context, *functions.Run) error {
				t.Error("the function was called again")

				return nil
			}})
			if again.code != test.code {
				t.Errorf("the second pod ended with %d", again.code)
			}
		})
	}
}

func TestRunCancelled(t *testing.T) {
	s := &server{}

	got := try(t, t.Context(), s, input("F"), fake{"F", func(ctx context.Context, _ *functions.Run) error {
		s.mu.Lock()
		cm := s.record.DeepCopy()
		cm.Annotations = map[string]string{record.AnnotationCancel: "by hand"}
		s.set(*cm)
		s.mu.Unlock()

		<-ctx.Done()

		return ctx.Err()
	}})

	if got.code != ExitFailed || got.record.State != record.Cancelled || got.record.CancelReason != "by hand" {
		t.Errorf("code %d, %s, %q: %s", got.code, got.record.State, got.record.CancelReason, got.log)
	}
}

func job() *batchv1.Job {
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Name: "run-1", Namespace: "demo", UID: "1-2-3"},
		Spec:       batchv1.JobSpec{BackoffLimit: ptr.To[int32](6)},
	}
}

func TestRunTold(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := &server{job: job()}

	got := try(t, ctx, s, input("F"), fake{"F", func(context.Context, *functions.Run) error {
		stop()

		return nil
	}})

	// The phase came to its end; the run's end is the successor's.
	if got.code != ExitInterrupted || got.record.State != record.Running || got.record.Phases[0].State != record.Complete {
		t.Fatalf("code %d, %s: %s", got.code, got.record.State, got.log)
	}

	got = try(t, t.Context(), s, input("F"), fake{"F", func(context.Context, *functions.Run) error { return errors.New("called again") }})
	if got.code != ExitComplete || got.record.Attempts != 2 {
		t.Errorf("code %d: %s", got.code, got.log)
	}
}

func TestRunToldWithoutASuccessor(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())

	got := try(t, ctx, &server{}, input("F"), fake{"F", func(ctx context.Context, _ *functions.Run) error {
		stop()
		<-ctx.Done()

		return ctx.Err()
	}})
	if got.code != ExitFailed || got.record.State != record.Cancelled || got.record.CancelReason != "its Job was deleted" {
		t.Errorf("code %d, %s, %q: %s", got.code, got.record.State, got.record.CancelReason, got.log)
	}
}

// TestRunWithoutRecord: the Job of a run whose record was deleted ends, rather than to do everything again or to crash six times.
func TestRunWithoutRecord(t *testing.T) {
	got := try(t, t.Context(), &server{deleted: true}, input("Fake"), fake{"Fake", func(context.Context, *functions.Run) error {
		t.Error("the function was called")

		return nil
	}})

	var v record.Verdict
	if err := json.Unmarshal([]byte(got.termination), &v); err != nil {
		t.Fatal(err)
	}

	if got.code != ExitFailed || v.State != record.Failed || v.Error == nil || v.Error.Reason != record.ReasonDeleted || v.Error.Hint == "" {
		t.Errorf("code %d, verdict %s, log %s", got.code, got.termination, got.log)
	}
}

func TestRunBadInput(t *testing.T) {
	for name, test := range map[string]struct{ raw, want string }{
		"none":             {"", "no such file"},
		"no JSON":          {"{", "unexpected end"},
		"newer":            {`{"schemaVersion":"v2"}`, "the runner image is older than the plugin"},
		"other namespace":  {`{"schemaVersion":"v1","run":"r","namespace":"elsewhere","action":"a"}`, `it is for namespace "elsewhere", this pod is in "demo"`},
		"no name":          {`{"schemaVersion":"v1"}`, "it names no run"},
		"secret is masked": {`{"schemaVersion":"v1","run":1}`, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.raw != "" {
				if err := os.WriteFile(filepath.Join(dir, "in"), []byte(test.raw), 0o600); err != nil {
					t.Fatal(err)
				}
			}

			var log bytes.Buffer

			r := &Runner{
				Input: filepath.Join(dir, "in"), Termination: filepath.Join(dir, "out"), Clock: clock.RealClock{}, Out: &log,
				Getenv: func(string) string { return "demo" },
			}

			code := r.Run(t.Context())
			raw, err := os.ReadFile(r.Termination)
			v, ok := record.ParseVerdict(string(raw))

			if code != ExitUsage || err != nil || !ok || !strings.Contains(v.Error.Message, test.want) || !strings.Contains(log.String(), test.want) {
				t.Errorf("code %d, verdict %s, log %s", code, raw, log.String())
			}
		})
	}
}

func TestRunWithoutCluster(t *testing.T) {
	dir := t.TempDir()

	raw, err := json.Marshal(input("F"))
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "in"), raw, 0o600); err != nil {
		t.Fatal(err)
	}

	r := &Runner{
		Input: filepath.Join(dir, "in"), Termination: filepath.Join(dir, "out"), Clock: clock.RealClock{}, Out: io.Discard,
		Getenv: func(string) string { return "" }, Config: func() (*rest.Config, error) { return nil, errors.New("no token for s3-secret-key") },
	}

	if code := r.Run(t.Context()); code != ExitCrashed {
		t.Errorf("code %d", code)
	}

	out, err := os.ReadFile(r.Termination)
	if v, ok := record.ParseVerdict(string(out)); err != nil || !ok || v.State != record.Running || v.Error.Message != "reaching the cluster: no token for [redacted]" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestLogLinesCannotBeForged(t *testing.T) {
	var out bytes.Buffer

	l := newLogger(&out, clock.RealClock{}, &record.Redactor{})
	l.Info("first\n2026-01-01T00:00:00.000Z [phase] forged\n")

	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "    ") {
		t.Errorf("%q", out.String())
	}

	if _, err := time.Parse("2006-01-02T15:04:05.000Z", strings.Fields(out.String())[0]); err != nil {
		t.Error(err)
	}
}
