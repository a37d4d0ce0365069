package volumes

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestDestinations(t *testing.T) {
	info := BackupInfo{Volumes: []Backup{{PVC: "a"}, {PVC: "b"}}}

	for names, want := range map[string]string{"": "a>a b>b", "b": "b>b", "a=x b": "a>x b>b", "a,b=y": "a>a b>y"} {
		plan, err := destinations(info, words([]string{names}))
		if err != nil {
			t.Errorf("%q: %v", names, err)
		}

		var got []string
		for _, d := range plan {
			got = append(got, d.PVC+">"+d.Claim)
		}

		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", names, got, want)
		}
	}

	if _, err := destinations(info, words([]string{"a=x b=x"})); err == nil || !strings.Contains(err.Error(), `claim "x"`) {
		t.Errorf("two volumes into one claim: %v", err)
	}

	for _, names := range []string{"c", "a=", "=x"} {
		if _, err := destinations(info, words([]string{names})); err == nil || !strings.Contains(err.Error(), "a, b") {
			t.Errorf("%q: %v", names, err)
		}
	}
}

func TestReadBackupInfo(t *testing.T) {
	for text, want := range map[string]string{"": "empty", "{": "JSON", `{"version":7}`: "version 7", `{"version":1,"volumes":[]}`: ""} {
		_, err := readBackupInfo(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestNamespaceAndPrefix(t *testing.T) {
	for _, tc := range []struct {
		target            blueprint.ObjectReference
		namespace, prefix string
	}{
		{blueprint.ObjectReference{Kind: "StatefulSet", Name: "db", Namespace: "shop"}, "shop", "kanister/shop/statefulset-db"},
		{blueprint.ObjectReference{Kind: "namespace", Name: "shop"}, "shop", "kanister/shop/namespace-shop"},
		{blueprint.ObjectReference{Kind: "PersistentVolumeClaim", Name: "data"}, "namespace", "kanister/namespace/pvc-data"},
	} {
		run := functest.Run()
		run.Input.Target = tc.target

		if got := namespaceOf(run, ""); got != tc.namespace {
			t.Errorf("%+v: namespace %q", tc.target, got)
		}

		if got := defaultPrefix(run); got != tc.prefix {
			t.Errorf("%+v: prefix %q", tc.target, got)
		}
	}
}

func TestParallelGivesTheFirstFailure(t *testing.T) {
	var (
		mu               sync.Mutex
		running, started int
	)

	first := errors.New("first")

	err := parallel(t.Context(), 20, func(ctx context.Context, _ int) error {
		mu.Lock()

		running++
		started++
		// Whoever takes the last slot fails; the others wait for it, in whatever order they began.
		fails := started == atOnce

		if running > atOnce {
			t.Errorf("%d at once", running)
		}
		mu.Unlock()

		defer func() { mu.Lock(); running--; mu.Unlock() }()

		if fails {
			return first
		}

		<-ctx.Done()

		return ctx.Err()
	})
	if !errors.Is(err, first) {
		t.Errorf("got %v", err)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(functions.ErrInterrupted)

	if err := parallel(ctx, 3, func(ctx context.Context, _ int) error { return ctx.Err() }); !errors.Is(err, functions.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
}

// latest is a journal that keeps the last progress.
type latest struct {
	functions.Journal
	progress record.Progress
}

func (l *latest) Progress(p record.Progress) { l.progress = p }

func TestSumOfProgress(t *testing.T) {
	run := functest.Run()
	journal := &latest{Journal: run.Journal}
	run.Journal = journal

	s := newSum(run, 2)
	s.report(0, "volume a", record.Progress{BytesDone: 50, BytesTotal: 100, FilesDone: 1, Rate: 10})

	// The second volume's size is not known yet: a percentage would run backwards.
	if journal.progress.Percent != nil || journal.progress.BytesTotal != 0 {
		t.Errorf("%+v", journal.progress)
	}

	s.report(1, "volume b", record.Progress{BytesDone: 0, BytesTotal: 100, Rate: 5})

	if p := journal.progress; p.Percent == nil || *p.Percent != 25 || p.Rate != 15 || p.BytesDone != 50 {
		t.Errorf("%+v", p)
	}

	for said, want := range map[string]string{"volume b": "0 of 2 volumes", "waiting for its pod": "volume b: waiting for its pod"} {
		s.report(1, "volume b", record.Progress{Message: said, BytesTotal: 100})

		if got := journal.progress.Message; got != want {
			t.Errorf("the mover says %q: %q", said, got)
		}
	}

	s.done(0)
	s.done(1)

	if p := journal.progress; p.Rate != 0 || p.Message != "2 of 2 volumes" {
		t.Errorf("%+v", p)
	}
}

func TestLikeKeepsWhoAndWhere(t *testing.T) {
	user := int64(1000)
	got := like(&corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: &user},
		Volumes: []corev1.Volume{
			{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
			{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x"}}},
		},
		Containers: []corev1.Container{{Name: "c", Image: "i", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "x"}}, VolumeMounts: []corev1.VolumeMount{{Name: "v"}, {Name: "s"}}}},
	})
	want := &corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: &user},
		Volumes:         []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}},
		Containers:      []corev1.Container{{Name: "c", VolumeMounts: []corev1.VolumeMount{{Name: "v"}}}},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
