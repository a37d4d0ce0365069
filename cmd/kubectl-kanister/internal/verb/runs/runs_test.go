package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()

	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), -update rewrites it:\n%s", path, diff)
	}
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *time.Time {
	t := now.Add(-d)

	return &t
}

func ptr[T any](value T) *T { return &value }

// stored is a record as it lies in the cluster.
func stored(t *testing.T, r *record.Record, change ...func(*corev1.ConfigMap)) *corev1.ConfigMap {
	t.Helper()

	data, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}

	labels := record.Labels(r)
	labels[record.LabelRecord] = "true"
	held := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: r.Run, Namespace: r.Namespace, UID: "uid", CreationTimestamp: metav1.NewTime(r.Created), Labels: labels},
		Data:       data,
	}

	for _, c := range change {
		c(held)
	}

	return held
}

func withBlueprint(actions ...string) func(*corev1.ConfigMap) {
	return func(held *corev1.ConfigMap) {
		text := "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nmetadata: {name: b}\nactions:\n"
		for _, action := range actions {
			text += "  " + action + ": {phases: []}\n"
		}

		held.Data[record.KeyBlueprint] = text
	}
}

// example is a run in a state.
func example(name string, state record.State) *record.Record {
	r := &record.Record{
		SchemaVersion: record.SchemaVersion, Run: name, Namespace: "demo", Action: "backup", State: state, Created: *ago(10 * time.Minute),
		Blueprint: record.BlueprintInfo{Name: "volumes", Source: "built in"}, Profile: "backups",
		Target: blueprint.ObjectReference{Kind: "statefulset", Name: "postgres", Namespace: "demo"},
		Phases: []record.Phase{
			{Name: "snapshot", Func: "CreateCSISnapshot", State: record.Pending},
			{Name: "copy", Func: "CopyVolumeData", State: record.Pending},
		},
	}

	if state == record.Pending {
		return r
	}

	r.Started, r.Attempts = ago(9*time.Minute), 1
	r.Phases[0] = record.Phase{
		Name: "snapshot", Func: "CreateCSISnapshot", State: record.Complete, Started: ago(9 * time.Minute), Ended: ago(8 * time.Minute), Attempts: 1,
		Output: map[string]any{"name": "snap-1", "restoreSize": "5Gi", "nested": map[string]any{"a": []any{"b"}}},
	}
	copying := &r.Phases[1]
	copying.State, copying.Started, copying.Attempts = record.Running, ago(8*time.Minute), 1
	copying.Progress = &record.Progress{Message: "volume data-postgres-0", BytesDone: 1300000000, BytesNew: 222298112, FilesDone: 4812}
	copying.Pods = []record.PodRef{{Namespace: "demo", Name: name + "-copy"}}
	r.Events = []record.Event{{Time: *ago(9 * time.Minute), Type: "Normal", Message: "run started"}}

	switch state {
	case record.Complete:
		copying.State, copying.Ended = record.Complete, ago(2*time.Minute)
		r.Ended = ago(2 * time.Minute)
		r.Warnings = []string{"3 files changed while they were read"}
		r.Artifacts = map[string]blueprint.Artifact{"data": {KeyValue: map[string]string{"backupID": "k1", "path": "/a"}}, "repo": {KopiaSnapshot: "{}"}}
	case record.Failed:
		copying.State, copying.Ended = record.Failed, ago(2*time.Minute)
		r.Ended = ago(2 * time.Minute)
		r.Attempts = 2
		r.Error = &record.Failure{
			Phase: "copy", Func: "CopyVolumeData", Message: "opening the repository: invalid password", Reason: "WrongPassword", Exit: ptr(1),
			Pod: &record.PodRef{Namespace: "demo", Name: name + "-copy"}, LastLogs: []string{"a", "b"}, Hint: "kubectl kanister profile check backups",
		}
		copying.Error = r.Error
		r.Defer = &record.Phase{Name: "forget", Func: "DeleteCSISnapshot", State: record.Complete, Started: ago(2 * time.Minute), Ended: ago(2 * time.Minute)}
		r.Undo = []record.Undo{{Key: "a", Text: "scale statefulset demo/postgres 0→1", Func: "ScaleWorkload", Done: true}}
	case record.Cancelled:
		copying.State, copying.Ended = record.Cancelled, ago(2*time.Minute)
		r.Ended, r.CancelReason = ago(2*time.Minute), "maintenance"
	case record.Pending, record.Running, record.Skipped:
	}

	return r
}

type fixture struct {
	session     *session.Session
	out, errOut bytes.Buffer
	streams     genericiooptions.IOStreams
}

func newFixture(objects ...runtime.Object) *fixture {
	f := &fixture{}
	f.streams = genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &f.out, ErrOut: &f.errOut}
	f.session = &session.Session{
		Kubernetes: fake.NewClientset(objects...), Dynamic: dynamicfake.NewSimpleDynamicClient(scheme.Scheme, objects...),
		Namespace: "demo", Commands: ui.Commands{Default: "demo"},
	}

	return f
}

func (f *fixture) get(t *testing.T, backups bool, flags ...string) error {
	t.Helper()

	f.out.Reset()
	f.errOut.Reset()

	o := &GetOptions{IOStreams: f.streams, Output: ui.NewOutput(), Session: f.session, Clock: clocktesting.NewFakePassiveClock(now), Backups: backups}
	cmd := &cobra.Command{}
	o.addFlags(cmd)

	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}

	o.Names = cmd.Flags().Args()

	if err := o.Validate(); err != nil {
		return err
	}

	return o.Run(t.Context())
}

func allStates(t *testing.T) []runtime.Object {
	t.Helper()

	older := example("backup-postgres-older", record.Complete)
	older.Created, older.Namespace = *ago(50 * time.Hour), "demo"
	broken := stored(t, example("broken", record.Running))
	broken.Data[record.KeyRecord] = `{"schemaVersion":"v9"}`
	deletion := example("delete-postgres-xxxxx", record.Complete)
	deletion.Action, deletion.From = "delete", "backup-postgres-older"
	elsewhere := example("backup-web-zzzzz", record.Complete)
	elsewhere.Namespace = "other"

	return []runtime.Object{
		stored(t, older, withBlueprint("backup", "restore", "delete")),
		stored(t, example("backup-postgres-good", record.Complete), withBlueprint("backup", "restore", "delete")),
		stored(t, example("backup-postgres-dead-end", record.Complete), withBlueprint("backup")),
		stored(t, example("backup-postgres-unknown", record.Complete)),
		stored(t, example("backup-postgres-bad", record.Failed)),
		stored(t, example("backup-postgres-gone", record.Cancelled)),
		stored(t, example("backup-postgres-busy", record.Running)),
		stored(t, example("backup-postgres-new", record.Pending)),
		stored(t, deletion), stored(t, elsewhere), broken,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "no-run", Namespace: "demo"}},
	}
}

func TestGetTables(t *testing.T) {
	one := []runtime.Object{stored(t, example("backup-postgres-good", record.Complete), withBlueprint("restore"))}

	for name, test := range map[string]struct {
		objects []runtime.Object
		backups bool
		flags   []string
	}{
		"runs-none":           {},
		"runs-one":            {objects: one},
		"runs-many":           {objects: allStates(t)},
		"runs-wide":           {objects: allStates(t), flags: []string{"-o", "wide"}},
		"runs-all-namespaces": {objects: allStates(t), flags: []string{"-A", "--sort", "state"}},
		"runs-named":          {objects: allStates(t), flags: []string{"run/backup-postgres-bad", "demo/backup-postgres-new"}},
		"runs-no-headers":     {objects: one, flags: []string{"--no-headers"}},
		"runs-name":           {objects: allStates(t), flags: []string{"-o", "name"}},
		"runs-jsonpath":       {objects: allStates(t), flags: []string{"-o", `jsonpath={range .items[*]}{.metadata.name} {.state}{"\n"}{end}`}},
		"runs-json":           {objects: one, flags: []string{"-o", "json"}},
		"runs-json-none":      {flags: []string{"-o", "json"}},
		"backups-none":        {backups: true},
		"backups-one":         {objects: one, backups: true},
		"backups-many":        {objects: allStates(t), backups: true},
		"backups-wide":        {objects: allStates(t), backups: true, flags: []string{"-o", "wide", "-A", "--sort", "size"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(test.objects...)
			if err := f.get(t, test.backups, test.flags...); err != nil {
				t.Fatal(err)
			}

			golden(t, "get-"+name+".txt", f.out.String()+mark(f.errOut.String()))
		})
	}
}

// mark shows what went to stderr.
func mark(text string) string {
	if text == "" {
		return ""
	}

	return "--- stderr ---\n" + text
}

func TestGetJSONIsAlwaysAList(t *testing.T) {
	f := newFixture(allStates(t)...)

	for _, flags := range [][]string{{"-o", "json"}, {"-o", "json", "backup-postgres-bad"}, {"-o", "json", "-l", "kanister.io/state=nothing"}} {
		if err := f.get(t, false, flags...); err != nil {
			t.Fatal(err)
		}

		var list struct {
			Kind  string
			Items []struct{ Kind, State string }
		}

		if err := json.Unmarshal(f.out.Bytes(), &list); err != nil || list.Kind != "List" || list.Items == nil {
			t.Errorf("%v: %v, %+v", flags, err, list)
		}
	}
}

func TestGetRefusals(t *testing.T) {
	f := newFixture(allStates(t)...)

	for name, test := range map[string]struct {
		flags []string
		want  string
	}{
		"no such run":   {[]string{"nothing"}, `looking for run "nothing": there is none in namespace "demo"`},
		"not a run":     {[]string{"no-run"}, `looking for run "no-run"`},
		"odd name":      {[]string{"a/b/c"}, "is neither NAME nor run/NAME"},
		"sort":          {[]string{"--sort", "luck"}, "flag --sort"},
		"format":        {[]string{"-o", "xml"}, "flag --output"},
		"selector":      {[]string{"-l", "=="}, "flag --selector"},
		"names and all": {[]string{"x", "-A"}, "cannot be combined"},
	} {
		t.Run(name, func(t *testing.T) {
			err := f.get(t, false, test.flags...)
			if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want a usage error with %q", err, test.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "backup-postgres-new", Namespace: "demo"}}
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "demo"}, Type: "Warning", Reason: "FailedCreate", Count: 3, LastTimestamp: metav1.NewTime(*ago(time.Minute)),
		Message: "Error creating: pods \"x\" is forbidden:\n exceeded quota: q", InvolvedObject: corev1.ObjectReference{Kind: "Job", Name: "backup-postgres-new"},
	}
	foreign := event.DeepCopy()
	foreign.Name, foreign.InvolvedObject.Name, foreign.Message = "f", "other", "not ours"

	for _, name := range []string{"backup-postgres-good", "backup-postgres-bad", "backup-postgres-gone", "backup-postgres-busy", "backup-postgres-new", "broken"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(append(allStates(t), job, event, foreign)...)
			o := &DescribeOptions{IOStreams: f.streams, Session: f.session, Clock: clocktesting.NewFakePassiveClock(now), Events: true, Refs: []follow.Ref{{Namespace: "demo", Name: name}}}

			if err := o.Run(t.Context()); err != nil {
				t.Fatal(err)
			}

			golden(t, "describe-"+name+".txt", f.out.String())

			if strings.Contains(f.out.String(), "not ours") {
				t.Error("events of other objects are shown")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx := context.Background()
	job := func(name string) *batchv1.Job {
		return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "demo"}}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "demo", Labels: map[string]string{batchv1.JobNameLabel: "backup-postgres-new"}},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
	}

	run := func(f *fixture, name string) error {
		o := &CancelOptions{IOStreams: f.streams, Session: f.session, Clock: clocktesting.NewFakePassiveClock(now), Reason: "why", Refs: []follow.Ref{{Namespace: "demo", Name: name}}}

		return o.Run(ctx)
	}
	held := func(f *fixture, name string) *corev1.ConfigMap {
		configMap, err := f.session.Kubernetes.CoreV1().ConfigMaps("demo").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}

		return configMap
	}

	t.Run("running: asked by annotation", func(t *testing.T) {
		f := newFixture(append(allStates(t), job("backup-postgres-busy"))...)
		if err := run(f, "backup-postgres-busy"); err != nil {
			t.Fatal(err)
		}

		if got := held(f, "backup-postgres-busy").Annotations[record.AnnotationCancel]; got != "why" {
			t.Errorf("annotation %q", got)
		}
	})

	t.Run("runner begins: asked by annotation", func(t *testing.T) {
		f := newFixture(append(allStates(t), job("backup-postgres-new"), pod)...)
		if err := run(f, "backup-postgres-new"); err != nil {
			t.Fatal(err)
		}

		if got := held(f, "backup-postgres-new").Annotations[record.AnnotationCancel]; got != "why" {
			t.Errorf("annotation %q", got)
		}
	})

	t.Run("no runner yet: ended at once", func(t *testing.T) {
		role := func(name, namespace string) *rbacv1.ClusterRole {
			return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
				record.LabelRun: "backup-postgres-new", pack.LabelRunNamespace: namespace,
			}}}
		}

		f := newFixture(append(allStates(t), job("backup-postgres-new"), role("its", "demo"), role("another's", "other"))...)
		if err := run(f, "backup-postgres-new"); err != nil {
			t.Fatal(err)
		}

		r, err := record.Decode(held(f, "backup-postgres-new"))
		if err != nil || r.State != record.Cancelled || r.CancelReason != "why" || r.Phases[1].State != record.Skipped {
			t.Errorf("record %+v, %v", r, err)
		}

		if label := held(f, "backup-postgres-new").Labels[record.LabelState]; label != "cancelled" {
			t.Errorf("label %q", label)
		}

		if _, err := f.session.Kubernetes.BatchV1().Jobs("demo").Get(ctx, "backup-postgres-new", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the Job is still there: %v", err)
		}

		roles, err := f.session.Dynamic.Resource(elsewhere[3]).List(ctx, metav1.ListOptions{})
		if err != nil || len(roles.Items) != 1 || roles.Items[0].GetName() != "another's" {
			t.Errorf("%v, cluster roles %v", err, roles)
		}
	})

	for name, want := range map[string]string{
		"backup-postgres-good": "it is complete since 2026-11-23 11:58:00 UTC; there is nothing to cancel",
		"backup-postgres-busy": "its Job is gone",
		"nothing":              "there is none",
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			f := newFixture(allStates(t)...)
			if err := run(f, name); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), want) || exit.HintOf(err) == "" {
				t.Errorf("error %v, want a usage error with %q and a hint", err, want)
			}
		})
	}
}

func TestForget(t *testing.T) {
	ctx := context.Background()
	left := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "left", Namespace: "demo", Labels: map[string]string{record.LabelRun: "backup-postgres-bad"}}}
	other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "demo", Labels: map[string]string{record.LabelRun: "backup-postgres-good"}}}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "backup-postgres-busy", Namespace: "demo"}}

	run := func(t *testing.T, f *fixture, change func(*ForgetOptions)) error {
		t.Helper()

		o := &ForgetOptions{IOStreams: f.streams, Session: f.session, Clock: clocktesting.NewFakePassiveClock(now)}
		change(o)

		if err := o.Validate(); err != nil {
			return err
		}

		return o.Run(ctx)
	}
	there := func(f *fixture, name string) bool {
		_, err := f.session.Kubernetes.CoreV1().ConfigMaps("demo").Get(ctx, name, metav1.GetOptions{})

		return err == nil
	}

	t.Run("with its leftovers, not those of others", func(t *testing.T) {
		f := newFixture(append(allStates(t), left, other)...)
		if err := run(t, f, func(o *ForgetOptions) { o.Names = []string{"backup-postgres-bad"} }); err != nil {
			t.Fatal(err)
		}

		secrets, err := f.session.Dynamic.Resource(leftovers[2]).Namespace("demo").List(ctx, metav1.ListOptions{})
		if err != nil || len(secrets.Items) != 1 || secrets.Items[0].GetName() != "other" || there(f, "backup-postgres-bad") {
			t.Errorf("%v, secrets %v, record there: %v", err, secrets, there(f, "backup-postgres-bad"))
		}

		if !strings.Contains(f.errOut.String(), "run/backup-postgres-bad forgotten with secret/left") {
			t.Errorf("told %q", f.errOut.String())
		}
	})

	t.Run("dry run", func(t *testing.T) {
		f := newFixture(append(allStates(t), left)...)
		if err := run(t, f, func(o *ForgetOptions) { o.Names, o.DryRun = []string{"backup-postgres-bad"}, true }); err != nil || !there(f, "backup-postgres-bad") {
			t.Errorf("%v, record there: %v", err, there(f, "backup-postgres-bad"))
		}
	})

	for name, want := range map[string]string{
		"backup-postgres-good":    "it is a backup that can be restored",
		"backup-postgres-unknown": "it is a backup that can be restored",
		"backup-postgres-busy":    "it is running",
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			f := newFixture(append(allStates(t), job)...)

			err := run(t, f, func(o *ForgetOptions) { o.Names = []string{name} })
			if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), want) || exit.HintOf(err) == "" || !there(f, name) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}

	t.Run("all, keeping what must stay", func(t *testing.T) {
		f := newFixture(append(allStates(t), job)...)
		if err := run(t, f, func(o *ForgetOptions) { o.All = true }); err != nil {
			t.Fatal(err)
		}

		for name, want := range map[string]bool{
			"backup-postgres-good": true, "backup-postgres-unknown": true, "backup-postgres-busy": true, "no-run": true,
			"backup-postgres-older": false, "backup-postgres-bad": false, "backup-postgres-gone": false, "backup-postgres-dead-end": false,
		} {
			if there(f, name) != want {
				t.Errorf("%s there: %v, want %v; told:\n%s", name, !want, want, f.errOut.String())
			}
		}
	})

	t.Run("older than", func(t *testing.T) {
		f := newFixture(allStates(t)...)
		if err := run(t, f, func(o *ForgetOptions) { o.All, o.Older = true, time.Hour }); err != nil || !there(f, "backup-postgres-bad") {
			t.Errorf("%v, young run there: %v", err, there(f, "backup-postgres-bad"))
		}
	})

	t.Run("undone work is not forgotten", func(t *testing.T) {
		r := example("dead", record.Running)
		r.Undo = []record.Undo{{Key: "a", Text: "scale back"}}
		f := newFixture(stored(t, r))

		if err := run(t, f, func(o *ForgetOptions) { o.Names = []string{"dead"} }); err == nil || !strings.Contains(err.Error(), "scale back") {
			t.Errorf("error %v", err)
		}
	})
}
