package data

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/mover"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// journal keeps what a function says.
type journal struct {
	functions.Journal

	mu       sync.Mutex
	events   []string
	warnings []string
	progress []record.Progress
	hidden   []string
}

func (j *journal) Event(m string) { j.mu.Lock(); defer j.mu.Unlock(); j.events = append(j.events, m) }
func (j *journal) Warn(m string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.warnings = append(j.warnings, m)
}
func (j *journal) Secret(v string) { j.mu.Lock(); defer j.mu.Unlock(); j.hidden = append(j.hidden, v) }
func (j *journal) Progress(p record.Progress) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress = append(j.progress, p)
}
func (j *journal) Log(string, string) {}

// newRun is a run with a profile on a real S3 server and a cluster that holds the objects.
func newRun(profile *params.Profile, objects ...*corev1.Pod) (*functions.Run, *journal) {
	j := &journal{}
	set := fake.NewClientset()

	for _, pod := range objects {
		_ = set.Tracker().Add(pod)
	}

	return &functions.Run{
		Name: "backup-app-1", Namespace: "demo", Phase: "copy", Attempt: 1, Journal: j,
		Params: &params.TemplateParams{Profile: profile}, Input: &record.Input{RunnerImage: "runner:1", ServiceAccount: "backup-app-1"},
		Kube: &kube.Client{Clientset: set}, Labels: map[string]string{record.LabelRun: "backup-app-1", record.LabelPhase: "copy"},
	}, j
}

func s3(t *testing.T) *params.Profile {
	t.Helper()

	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	p := server.Profile("backups", "team")
	p.RepositoryPassword = "the profile's password"

	return p
}

// seed backs something up, as a worker does.
func seed(t *testing.T, p *params.Profile, prefix, tag string) mover.Backup {
	t.Helper()

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(strings.Repeat(tag, 1000)), 0o600); err != nil {
		t.Fatal(err)
	}

	r, err := kopia.OpenOrCreate(t.Context(), kopia.Options{Profile: p, Prefix: prefix, Password: p.RepositoryPassword, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}

	made, err := r.Snapshot(t.Context(), kopia.Backup{Dir: dir, Source: kopia.Source{Namespace: "demo", Path: "/data"}, Tags: map[string]string{kopia.BackupTag: tag}})
	if err = errors.Join(err, r.Close(t.Context())); err != nil {
		t.Fatal(err)
	}

	return mover.Backup{Snapshot: made}
}

func reason(err error) string {
	var f *record.Failure
	if errors.As(err, &f) {
		return f.Reason
	}

	return ""
}

func TestDeleteData(t *testing.T) {
	profile := s3(t)
	f := DeleteData{spec.Must("DeleteData")}
	run, j := newRun(profile)
	exec := func(args map[string]any) (map[string]any, error) { return f.Exec(t.Context(), run, args) }

	a, b, c := seed(t, profile, "backups/one", "a"), seed(t, profile, "one", "b"), seed(t, profile, "two", "c")

	for name, args := range map[string]map[string]any{
		"neither":        {"backupArtifactPrefix": "one"},
		"both":           {"backupArtifactPrefix": "one", "backupID": "x", "backupTag": "y"},
		"empty":          {"backupArtifactPrefix": "one", "backupID": " "},
		"lists disagree": {"backupArtifactPrefix": "one two", "backupID": "x y z"},
		"unknown":        {"backupArtifactPrefix": "one", "backupID": "0123456789abcdef"},
		"no repository":  {"backupArtifactPrefix": "three", "backupID": a.ID},
		"wrong key":      {"backupArtifactPrefix": "one", "backupID": a.ID, "encryptionKey": "wrong"},
	} {
		if outputs, err := exec(args); err == nil {
			t.Errorf("%s: %v", name, outputs)
		}
	}

	if _, err := exec(map[string]any{"backupArtifactPrefix": "one", "backupID": a.ID, "encryptionKey": "wrong"}); reason(err) != "WrongPassword" {
		t.Errorf("wrong key: %q", reason(err))
	}

	outputs, err := exec(map[string]any{"namespace": "demo", "backupArtifactPrefix": "one backups/two", "backupID": a.ID + " " + c.ID, "reclaimSpace": true, "insecureTLS": true})
	if err != nil || outputs["spaceFreed"] != "0 B" {
		t.Errorf("outputs %v, error %v", outputs, err)
	}

	if _, err := exec(map[string]any{"backupArtifactPrefix": "one", "backupTag": "a"}); reason(err) != "NotFound" {
		t.Errorf("deleted twice: %v", err)
	}

	// After a crash, what is gone is done.
	run.Attempt = 2
	if _, err := exec(map[string]any{"backupArtifactPrefix": "one", "backupTag": "a b"}); err != nil {
		t.Errorf("repeated: %v", err)
	}

	run.Attempt = 1
	if _, err := exec(map[string]any{"backupArtifactPrefix": "one", "backupID": b.ID}); reason(err) != "NotFound" {
		t.Errorf("b is still there: %v", err)
	}

	if !slices.Contains(j.hidden, "the profile's password") || len(j.warnings) > 0 {
		t.Errorf("hidden %q, warnings %q", j.hidden, j.warnings)
	}
}

func TestDeleteDataAll(t *testing.T) {
	profile := s3(t)
	run, _ := newRun(profile)
	f := DeleteDataAll{spec.Must("DeleteDataAll")}
	info := map[string]podBackup{}

	for _, pod := range []string{"app-0", "app-1"} {
		made := seed(t, profile, "all/"+pod, pod)
		info[pod] = podBackup{PodName: pod, BackupID: made.ID, BackupTag: pod}
	}

	text, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}

	if !strings.Contains(string(text), `"app-0":{"PodName":"app-0","BackupID":"`) {
		t.Errorf("BackupAllInfo has other names than upstream's: %s", text)
	}

	for range 2 { // what is gone already is passed over
		if outputs, err := f.Exec(t.Context(), run, map[string]any{"backupArtifactPrefix": "backups/all", "backupInfo": string(text)}); err != nil || outputs["spaceFreed"] != "0 B" {
			t.Errorf("outputs %v, error %v", outputs, err)
		}
	}

	for _, bad := range []string{"", "{}", "[]", "tag"} {
		if _, err := f.Exec(t.Context(), run, map[string]any{"backupArtifactPrefix": "all", "backupInfo": bad}); err == nil || !strings.Contains(err.Error(), "backupInfo") {
			t.Errorf("backupInfo %q: %v", bad, err)
		}
	}
}

// TestDeleteFromASilentStore: a store that does not say whether upstream's restic has a repository there must not look like one without:
// the deletion would find nothing, and succeed.
func TestDeleteFromASilentStore(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/backups/all/app-0/config" { // restic's is at the bucket's root: upstream ignores the profile's prefix
			w.WriteHeader(http.StatusTeapot) // one that nobody tries again

			return
		}

		w.Header().Set("Content-Type", "application/xml")

		if r.URL.Query().Has("list-type") {
			_, _ = io.WriteString(w, `<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`)

			return
		}

		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
	}))
	defer server.Close()

	run, _ := newRun(&params.Profile{
		Location:   blueprint.Location{Type: blueprint.LocationS3, Bucket: "backups", Prefix: "team", Endpoint: server.URL, Region: "us-east-1"},
		Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "secret"}},
	})

	_, err := DeleteDataAll{spec.Must("DeleteDataAll")}.Exec(t.Context(), run, map[string]any{
		"backupArtifactPrefix": "all", "backupInfo": `{"app-0":{"PodName":"app-0","BackupID":"0123456789abcdef"}}`,
	})
	if reason(err) != string(location.Unknown) {
		t.Errorf("got %v, reason %q", err, reason(err))
	}
}

func TestStatsAndCheck(t *testing.T) {
	profile := s3(t)
	run, j := newRun(profile)
	made := seed(t, profile, "one", "a")
	stats, check := BackupDataStats{spec.Must("BackupDataStats")}, CheckRepository{spec.Must("CheckRepository")}

	for _, args := range []map[string]any{{}, {"statsMode": "restore-size"}, {"mode": "restore-size"}} {
		args["backupArtifactPrefix"], args["backupID"] = "one", made.ID

		outputs, err := stats.Exec(t.Context(), run, args)
		if err != nil || outputs["mode"] != "restore-size" || outputs["fileCount"] != "1" || outputs["size"] != "1000 B" {
			t.Errorf("%v: outputs %v, error %v", args, outputs, err)
		}
	}

	if _, err := stats.Exec(t.Context(), run, map[string]any{"backupArtifactPrefix": "one", "backupID": made.ID, "mode": "size"}); err == nil || !strings.Contains(err.Error(), "raw-data") {
		t.Errorf("unknown mode: %v", err)
	}

	for _, c := range []struct{ prefix, key, wrong, absent string }{
		{"one", "", "false", "false"}, {"one", "wrong", "true", "false"}, {"absent", "", "false", "true"},
	} {
		outputs, err := check.Exec(t.Context(), run, map[string]any{"backupArtifactPrefix": c.prefix, "encryptionKey": c.key})
		if err != nil || outputs["passwordIncorrect"] != c.wrong || outputs["repoUnavailable"] != c.absent {
			t.Errorf("%+v: outputs %v, error %v", c, outputs, err)
		}
	}

	gone := *profile
	gone.Location.Bucket = "absent"
	run.Params.Profile = &gone

	if _, err := check.Exec(t.Context(), run, map[string]any{"backupArtifactPrefix": "one"}); reason(err) != "NoBucket" {
		t.Errorf("no bucket: %q, %v", reason(err), err)
	}

	public := *profile
	public.RepositoryPassword = ""
	run.Params.Profile = &public

	if _, err := check.Exec(t.Context(), run, map[string]any{"backupArtifactPrefix": "one"}); err != nil || len(j.warnings) != 1 || !strings.Contains(j.warnings[0], "public default key") {
		t.Errorf("warnings %q, %v", j.warnings, err)
	}

	run.Params.Profile = nil
	if _, err := check.Exec(t.Context(), run, map[string]any{"backupArtifactPrefix": "one"}); reason(err) != "BadProfile" {
		t.Errorf("no profile: %v", err)
	}
}

// application is a pod as users have them.
func application() *corev1.Pod {
	claim := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}

	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "app-0", UID: "uid"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
		Spec: corev1.PodSpec{
			NodeName:        "node-1",
			Tolerations:     []corev1.Toleration{{Key: "database"}},
			SecurityContext: &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](999), RunAsGroup: ptr.To[int64](998), FSGroup: ptr.To[int64](997), SupplementalGroups: []int64{5}},
			Volumes: []corev1.Volume{
				{Name: "data", VolumeSource: claim("data-app-0")}, {Name: "wal", VolumeSource: claim("wal-app-0")},
				{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
				{Name: "own", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			},
			Containers: []corev1.Container{{
				Name: "db",
				Env:  []corev1.EnvVar{{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}},
				VolumeMounts: []corev1.VolumeMount{
					{Name: "data", MountPath: "/data/", SubPathExpr: "pods/$(POD)"}, {Name: "wal", MountPath: "/data/wal", SubPath: "wal"},
					{Name: "scratch", MountPath: "/scratch"}, {Name: "config", MountPath: "/data/config"}, {Name: "scratch", MountPath: "/data/tmp"},
					{Name: "data", MountPath: "/secret", SubPathExpr: "$(UNKNOWN)"}, {Name: "own", MountPath: "/own"},
				},
			}},
		},
	}
}

func TestVolumeOfPath(t *testing.T) {
	pod := application()

	for _, c := range []struct {
		path   string
		kind   volumeKind
		mounts []mount
	}{
		{"/data", onClaim, []mount{{"data-app-0", "/data", "pods/app-0"}, {"wal-app-0", "/data/wal", "wal"}}},
		{"/data/base/1", onClaim, []mount{{"data-app-0", "/data", "pods/app-0"}}},
		{"/data/wal", onClaim, []mount{{"wal-app-0", "/data/wal", "wal"}}},
		{"/own/x", onClaim, []mount{{"app-0-own", "/own", ""}}},
		{"/database", onImage, nil},
		{"/etc", onImage, nil},
		{"/", onImage, nil},
		{"/scratch/x", onOther, nil},
		{"/data/config", onOther, nil},
		{"/secret", onOther, nil},
	} {
		j := &journal{}
		s := source{run: &functions.Run{Journal: j}, pod: pod, container: &pod.Spec.Containers[0], path: c.path, worker: &worker{subject: c.path}}

		on, kind := s.volume()
		if kind != c.kind {
			t.Errorf("%s: kind %d, want %d", c.path, kind, c.kind)
		}

		if kind != onClaim {
			continue
		}

		if got := s.mounts(on); !slices.Equal(got, c.mounts) {
			t.Errorf("%s: mounts %v, want %v", c.path, got, c.mounts)
		}

		// What lies below and is left out is said: data as a warning, objects of the cluster as an event.
		if c.path == "/data" && (len(j.warnings) != 1 || !strings.Contains(j.warnings[0], "/data/tmp") || len(j.events) != 1 || !strings.Contains(j.events[0], "/data/config")) {
			t.Errorf("warnings %q, events %q", j.warnings, j.events)
		}
	}
}

func claim(name string, modes ...corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name}, Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes}}
}

func addClaims(t *testing.T, run *functions.Run, claims ...*corev1.PersistentVolumeClaim) {
	t.Helper()

	for _, c := range claims {
		if _, err := run.Kube.Clientset.CoreV1().PersistentVolumeClaims("demo").Create(context.Background(), c, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func newWorker(t *testing.T, run *functions.Run, like *corev1.PodSpec, write bool) *worker {
	t.Helper()

	request, err := repository{Prefix: "app"}.request(run)
	if err != nil {
		t.Fatal(err)
	}

	return &worker{
		run: run, namespace: "demo", subject: "volume data-app-0", mounts: []mount{{"data-app-0", "/data", "sub"}},
		write: write, identity: identityOf(like, "", "data-app-0"), request: request,
	}
}

// TestWorkerPod: as whom, where and with what a worker runs, and that nothing secret is in its spec.
func TestWorkerPod(t *testing.T) {
	profile := locationtest.Filestore("")
	profile.Location = blueprint.Location{Type: blueprint.LocationS3, Bucket: "b"}
	profile.Credential = params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "access", Secret: "very secret key"}}
	profile.RepositoryPassword = "very secret password"

	app := application()
	run, _ := newRun(profile, app)
	addClaims(t, run, claim("data-app-0", corev1.ReadWriteOnce))

	for _, write := range []bool{false, true} {
		w := newWorker(t, run, &app.Spec, write)

		o, err := w.options(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		pod, secret, err := o.Build()
		if err != nil {
			t.Fatal(err)
		}

		text, _ := json.Marshal(pod)
		if strings.Contains(string(text), "very secret") || !strings.Contains(string(secret.Data[mover.RequestFile]), "very secret key") {
			t.Errorf("secrets are not where they belong: %s", text)
		}

		c, s := pod.Spec.Containers[0], pod.Spec.SecurityContext
		if *s.RunAsUser != 999 || *s.RunAsGroup != 998 || !*s.RunAsNonRoot || !o.Restricted || len(c.SecurityContext.Capabilities.Add) != 0 || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("runs as %+v, %+v", s, c.SecurityContext)
		}

		// A backup is a member of the volume's group; only a restore may let the kubelet set it.
		if !write && (s.FSGroup != nil || !slices.Contains(s.SupplementalGroups, 997)) || write && *s.FSGroup != 997 || !slices.Contains(s.SupplementalGroups, 5) {
			t.Errorf("write %v: groups %+v", write, s)
		}

		for _, m := range c.VolumeMounts {
			if m.Name == "data-0" && (m.MountPath != "/volumes/data" || m.SubPath != "sub" || m.ReadOnly == write) {
				t.Errorf("write %v: mount %+v", write, m)
			}
		}

		for _, v := range pod.Spec.Volumes {
			if v.Name == "data-0" && v.PersistentVolumeClaim.ReadOnly == write {
				t.Errorf("write %v: volume %+v", write, v)
			}
		}

		if o.Node != "node-1" || len(pod.Spec.Tolerations) != 1 || *pod.Spec.AutomountServiceAccountToken {
			t.Errorf("node %q, tolerations %v", o.Node, pod.Spec.Tolerations)
		}
	}

	// Nobody knows who the workload is: root with three capabilities, no more.
	o, err := newWorker(t, run, nil, false).options(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if *o.PodSecurity.RunAsUser != 0 || o.Restricted || !slices.Equal(o.Security.Capabilities.Add, []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER"}) ||
		!slices.Equal(o.Security.Capabilities.Drop, []corev1.Capability{"ALL"}) || *o.Security.AllowPrivilegeEscalation {
		t.Errorf("%+v %+v", o.PodSecurity, o.Security)
	}
}

func TestPlacement(t *testing.T) {
	profile := locationtest.Filestore("") // claim "backups"
	profile.RepositoryPassword = "own"
	elsewhere := application()
	elsewhere.Name, elsewhere.Spec.NodeName, elsewhere.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "runner", "node-2", "backups"

	t.Run("location on another node", func(t *testing.T) {
		run, _ := newRun(profile, application(), elsewhere)
		addClaims(t, run, claim("data-app-0", corev1.ReadWriteOnce), claim("backups", corev1.ReadWriteOnce))

		_, err := newWorker(t, run, nil, false).options(t.Context())
		if reason(err) != kube.ReasonUnschedulable || !strings.Contains(err.Error(), "node-1") || !strings.Contains(err.Error(), "node-2") || !strings.Contains(err.Error(), "app-0") {
			t.Errorf("%v", err)
		}
	})

	t.Run("location on several nodes", func(t *testing.T) {
		run, _ := newRun(profile, application(), elsewhere)
		addClaims(t, run, claim("data-app-0", corev1.ReadWriteOnce), claim("backups", corev1.ReadWriteMany))

		o, err := newWorker(t, run, nil, false).options(t.Context())
		if err != nil || o.Node != "node-1" || !slices.ContainsFunc(o.Mounts, func(m corev1.VolumeMount) bool { return m.MountPath == record.LocationMountPath && !m.ReadOnly }) {
			t.Errorf("%+v, %v", o, err)
		}
	})

	t.Run("one pod only", func(t *testing.T) {
		run, _ := newRun(profile, application())
		addClaims(t, run, claim("data-app-0", corev1.ReadWriteOncePod), claim("backups", corev1.ReadWriteMany))

		if _, err := newWorker(t, run, nil, false).options(t.Context()); err == nil || !strings.Contains(err.Error(), "ReadWriteOncePod") || !strings.Contains(err.Error(), "app-0") {
			t.Errorf("%v", err)
		}
	})

	t.Run("block", func(t *testing.T) {
		run, _ := newRun(profile)
		block := claim("data-app-0", corev1.ReadWriteOnce)
		block.Spec.VolumeMode = ptr.To(corev1.PersistentVolumeBlock)
		addClaims(t, run, block)

		if _, err := newWorker(t, run, nil, false).options(t.Context()); err == nil || !strings.Contains(err.Error(), "block device") {
			t.Errorf("%v", err)
		}
	})

	t.Run("in use while restored", func(t *testing.T) {
		run, j := newRun(profile, application())
		addClaims(t, run, claim("data-app-0", corev1.ReadWriteOnce), claim("backups", corev1.ReadWriteMany))

		if _, err := newWorker(t, run, nil, true).options(t.Context()); err != nil || len(j.warnings) != 1 || !strings.Contains(j.warnings[0], "app-0") {
			t.Errorf("%q, %v", j.warnings, err)
		}
	})
}

// TestPodMounts finds volumes of pods that are gone.
func TestPodMounts(t *testing.T) {
	app := application()
	run, _ := newRun(nil)
	run.Params.StatefulSet = &params.StatefulSetParams{PersistentVolumeClaims: map[string]map[string]string{"app-0": {"data-app-0": "/data"}}}
	run.Params.Object = map[string]any{"kind": "StatefulSet", "spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"securityContext": map[string]any{"runAsUser": int64(70)},
		"containers":      []any{map[string]any{"name": "db", "volumeMounts": []any{map[string]any{"name": "data", "mountPath": "/data", "subPath": "sub"}}}},
	}}}}

	mounts, like, err := podMounts(t.Context(), run, "demo", "app-0")
	if err != nil || !slices.Equal(mounts, []mount{{"data-app-0", "/data", "sub"}}) || *identityOf(like, "").user != 70 {
		t.Errorf("%v, %v", mounts, err)
	}

	if _, _, err := podMounts(t.Context(), run, "demo", "app-7"); reason(err) != "NoVolumes" {
		t.Errorf("%v", err)
	}

	// A living pod knows best.
	run, _ = newRun(nil, app)
	if mounts, _, err = podMounts(t.Context(), run, "demo", "app-0"); err != nil || len(mounts) != 3 || mounts[0] != (mount{"data-app-0", "/data", "pods/app-0"}) {
		t.Errorf("%v, %v", mounts, err)
	}
}

func TestReport(t *testing.T) {
	j := &journal{}
	w := &worker{run: &functions.Run{Journal: j}, subject: "volume data"}
	w.report(mover.Event{Backup: &mover.Backup{Seconds: 2, Snapshot: kopia.Snapshot{
		Bytes: 4 << 20, Files: 3, BytesNew: 1 << 20,
		Unreadable: kopia.Problems{Count: 12, First: []string{"a: permission denied", "b: permission denied"}},
		Changed:    kopia.Problems{Count: 1, First: []string{"log: it was written to"}},
	}}})

	want := []string{
		"volume data: 12 files could not be read and are not in the backup: a: permission denied; b: permission denied; and 10 more",
		"volume data: 1 file changed while it was read: log: it was written to",
	}
	if !slices.Equal(j.warnings, want) || !slices.Equal(j.events, []string{"volume data: backed up 4.000 MiB in 3 files, 1.000 MiB new, 2.000 MiB/s"}) {
		t.Errorf("warnings %q, events %q", j.warnings, j.events)
	}
}

func TestHuman(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.000 KiB", 1294000: "1.234 MiB", 3 << 40: "3.000 TiB", 3 << 50: "3072.000 TiB"} {
		if got := human(bytes); got != want {
			t.Errorf("human(%d) = %q, want %q", bytes, got, want)
		}
	}
}
