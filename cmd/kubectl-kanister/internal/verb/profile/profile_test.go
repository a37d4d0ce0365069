package profile

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/ui"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

type fixture struct {
	session     *session.Session
	out, errOut bytes.Buffer
}

func newFixture(objects ...runtime.Object) *fixture {
	return &fixture{session: &session.Session{Kubernetes: fake.NewClientset(objects...), Namespace: "demo", Commands: ui.Commands{Default: "demo"}}}
}

func (f *fixture) base(stdin string) createOptions {
	return createOptions{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &f.out, ErrOut: &f.errOut},
		Session:   f.session, Environ: func(string) (string, bool) { return "", false },
	}
}

func (f *fixture) stored(t *testing.T, name string) (*corev1.Secret, *params.Profile) {
	t.Helper()

	secret, err := f.session.Kubernetes.CoreV1().Secrets("demo").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	profile, err := params.ProfileFromSecret(secret)
	if err != nil {
		t.Fatal(err)
	}

	return secret, profile
}

func TestCreateS3(t *testing.T) {
	f := newFixture()
	first := &s3Options{bucketOptions: bucketOptions{createOptions: f.base(""), Bucket: "b", Region: "r"}, AccessKey: "id", SecretKey: "key"}
	first.Name, first.Prefix = "first", "/a/"

	if err := first.Validate(); err != nil {
		t.Fatal(err)
	}

	if err := first.Run(t.Context()); err != nil {
		t.Fatal(err)
	}

	secret, profile := f.stored(t, "first")
	if secret.Annotations[record.AnnotationDefaultProfile] != "true" || secret.Labels[record.LabelProfile] != "true" {
		t.Errorf("the first profile is not the default: %v %v", secret.Annotations, secret.Labels)
	}

	if profile.Location.Prefix != "a" || profile.Credential.KeyPair.Secret != "key" || len(profile.RepositoryPassword) < 26 {
		t.Errorf("profile %+v", profile)
	}

	if told := f.errOut.String(); strings.Count(told, profile.RepositoryPassword) != 1 || strings.Contains(told, "key\n") || f.out.Len() > 0 {
		t.Errorf("told %q, stdout %q", told, f.out.String())
	}

	second := &s3Options{bucketOptions: bucketOptions{createOptions: f.base("own password\n"), Bucket: "b", Region: "r"}, AccessKey: "id", SecretKey: "key", Role: "arn:aws:iam::1:role/x", STSEndpoint: "https://sts.example.com"}
	second.Name, second.PasswordFile = "second", "-"

	if err := second.Run(t.Context()); err != nil {
		t.Fatal(err)
	}

	secret, profile = f.stored(t, "second")
	if secret.Annotations[record.AnnotationDefaultProfile] != "" || profile.RepositoryPassword != "own password" || string(profile.Credential.Secret.Data["role"]) != "arn:aws:iam::1:role/x" ||
		string(profile.Credential.Secret.Data["aws_sts_endpoint"]) != "https://sts.example.com" {
		t.Errorf("second profile %+v %v", profile, secret.Annotations)
	}

	third := &s3Options{bucketOptions: bucketOptions{createOptions: f.base(""), Bucket: "b", Region: "r"}, PodIdentity: true}
	third.Name, third.Default = "third", true

	if err := third.Run(t.Context()); err != nil {
		t.Fatal(err)
	}

	if secret, _ := f.stored(t, "first"); secret.Annotations[record.AnnotationDefaultProfile] != "" {
		t.Error("two profiles are the default")
	}

	if err := third.Run(t.Context()); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), "a profile of this name exists") {
		t.Errorf("creating it twice: %v", err)
	}
}

func TestS3Refusals(t *testing.T) {
	good := s3Options{bucketOptions: bucketOptions{Bucket: "b", Region: "r"}, AccessKey: "id", SecretKey: "key"}

	for want, change := range map[string]func(*s3Options){
		"flag --bucket: it is missing":        func(o *s3Options) { o.Bucket = "" },
		"is no bucket name":                   func(o *s3Options) { o.Bucket = "b/path" },
		"flag --region":                       func(o *s3Options) { o.Region = "" },
		"flags --access-key and --secret-key": func(o *s3Options) { o.AccessKey, o.SecretKey = "", "" },
		"flag --access-key: it is missing":    func(o *s3Options) { o.AccessKey = "" },
		"flag --secret-key: it is missing":    func(o *s3Options) { o.SecretKey = "" },
		"it uses no keys":                     func(o *s3Options) { o.PodIdentity = true },
		"give one of them":                    func(o *s3Options) { o.SkipVerify, o.CABundle = true, "x" },
		"flag --endpoint":                     func(o *s3Options) { o.Endpoint = "s3.example.com:9000" },
		"a --role or of --pod-identity":       func(o *s3Options) { o.STSEndpoint = "https://sts.example.com" },
		"flag --sts-endpoint: it must begin":  func(o *s3Options) { o.STSEndpoint, o.Role = "sts.example.com", "arn:aws:iam::1:role/x" },
		"neither user nor query":              func(o *s3Options) { o.Endpoint = "https://u:p@s3.example.com" },
	} {
		t.Run(want, func(t *testing.T) {
			o := good
			o.createOptions = newFixture().base("")
			change(&o)

			if err := o.Validate(); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestReadSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	o := newFixture().base("from stdin\n")

	if got, err := o.oneOf("secret-key", "", file); err != nil || got != "from file" {
		t.Errorf("%q, %v", got, err)
	}

	if got, err := o.oneOf("secret-key", "", "-"); err != nil || got != "from stdin" {
		t.Errorf("%q, %v", got, err)
	}

	for name, f := range map[string]func() (string, error){
		"standard input twice": func() (string, error) { return o.oneOf("access-key", "", "-") },
		"flag and file":        func() (string, error) { return o.oneOf("secret-key", "x", file) },
		"no such file":         func() (string, error) { return o.oneOf("secret-key", "", file+"x") },
		"empty file":           func() (string, error) { return o.oneOf("secret-key", "", os.DevNull) },
	} {
		if got, err := f(); exit.Of(err) != exit.Usage {
			t.Errorf("%s: %q, %v, want a usage error", name, got, err)
		}
	}
}

func TestCreateFile(t *testing.T) {
	existing := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "there", Namespace: "demo"},
		Spec:       corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}},
	}
	block := existing.DeepCopy()
	mode := corev1.PersistentVolumeBlock
	block.Name, block.Spec.VolumeMode = "block", &mode

	for name, test := range map[string]struct {
		options fileOptions
		want    string // in the error
		told    string
	}{
		"new claim":          {fileOptions{Claim: "new", Size: "5Gi", AccessMode: "ReadWriteOnce"}, "", "persistentvolumeclaim/new created, 5Gi"},
		"existing claim":     {fileOptions{Claim: "there", Size: "5Gi", AccessMode: "ReadWriteOnce"}, "", "has 1Gi, less than the 5Gi asked for"},
		"no claim, no size":  {fileOptions{Claim: "new", AccessMode: "ReadWriteOnce"}, `looking for claim "new": there is none`, ""},
		"block volume":       {fileOptions{Claim: "block", AccessMode: "ReadWriteOnce"}, "it is a block volume", ""},
		"no claim named":     {fileOptions{AccessMode: "ReadWriteOnce"}, "flag --claim", ""},
		"size":               {fileOptions{Claim: "new", Size: "lots", AccessMode: "ReadWriteOnce"}, "flag --size", ""},
		"size below nothing": {fileOptions{Claim: "new", Size: "-1", AccessMode: "ReadWriteOnce"}, "flag --size", ""},
		"access mode":        {fileOptions{Claim: "new", Size: "1Gi", AccessMode: "Any"}, "flag --access-mode", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(existing, block)
			o := test.options
			o.createOptions = f.base("")
			o.Name = o.Claim

			err := o.Validate()
			if err == nil {
				err = o.Run(t.Context())
			}

			if test.want != "" {
				if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}

				return
			}

			if err != nil || !strings.Contains(f.errOut.String(), test.told) {
				t.Fatalf("error %v, told %q", err, f.errOut.String())
			}

			claim, err := o.Session.Kubernetes.CoreV1().PersistentVolumeClaims("demo").Get(t.Context(), o.Claim, metav1.GetOptions{})
			if err != nil || claim.Labels[record.LabelLocation] != "true" {
				t.Errorf("claim %v, %v: it is not labelled as one that holds backups", claim, err)
			}

			if _, profile := f.stored(t, o.Claim); profile.Location.ClaimName != o.Claim {
				t.Errorf("profile %+v", profile)
			}
		})
	}
}

func profileSecret(t *testing.T, name string) *corev1.Secret {
	t.Helper()

	secret, err := params.SecretFromProfile("demo", &params.Profile{
		Name: name, Location: blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Region: "r"}, RepositoryPassword: "pw-value",
		Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id-value", Secret: "key-value"}},
	})
	if err != nil {
		t.Fatal(err)
	}

	return secret
}

func run(t *testing.T, name, action, from string, state record.State) *corev1.ConfigMap {
	t.Helper()

	data, err := record.Encode(&record.Record{SchemaVersion: record.SchemaVersion, Run: name, Namespace: "demo", Action: action, From: from, Profile: "used", State: state})
	if err != nil {
		t.Fatal(err)
	}

	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "demo", Labels: map[string]string{record.LabelRecord: "true"}}, Data: data}
}

func TestDelete(t *testing.T) {
	f := newFixture(profileSecret(t, "used"), profileSecret(t, "free"),
		run(t, "kept", "backup", "", record.Complete), run(t, "removed", "backup", "", record.Complete), run(t, "d", "delete", "removed", record.Complete),
		run(t, "bad", "backup", "", record.Failed))

	remove := func(name string, force bool) error {
		o := &deleteOptions{IOStreams: genericiooptions.IOStreams{Out: &f.out, ErrOut: &f.errOut}, Session: f.session, Names: []string{name}, Force: force}

		return o.Run(t.Context())
	}

	err := remove("used", false)
	if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), "it is used by kept") || strings.Contains(err.Error(), "removed") || strings.Contains(err.Error(), "bad") {
		t.Errorf("error %v", err)
	}

	if err := remove("free", false); err != nil {
		t.Error(err)
	}

	if err := remove("used", true); err != nil || !strings.Contains(f.errOut.String(), "1 backups cannot be restored") {
		t.Errorf("%v, told %q", err, f.errOut.String())
	}

	if err := remove("nothing", true); exit.Of(err) != exit.Usage {
		t.Errorf("no such profile: %v", err)
	}
}

func TestGetPrintsNoSecrets(t *testing.T) {
	for _, format := range []string{"", "wide", "json", "yaml", "name"} {
		f := newFixture(profileSecret(t, "p"))
		cmd := &cobra.Command{}
		o := &getOptions{IOStreams: genericiooptions.IOStreams{Out: &f.out, ErrOut: &f.errOut}, Output: ui.NewOutput(), Session: f.session, Clock: fixed{}}

		o.AddFlags(cmd)

		if err := cmd.ParseFlags([]string{"-o", format}); err != nil {
			t.Fatal(err)
		}

		if err := o.Run(t.Context()); err != nil {
			t.Fatal(err)
		}

		for _, secret := range []string{"pw-value", "key-value", "id-value", "cHctdmFsdWU", "a2V5LXZhbHVl"} {
			if strings.Contains(f.out.String(), secret) {
				t.Errorf("-o %q prints %q:\n%s", format, secret, f.out.String())
			}
		}

		if !strings.Contains(f.out.String(), "p") {
			t.Errorf("-o %q prints nothing", format)
		}
	}
}

func TestCheck(t *testing.T) {
	record1 := func(state record.State, change func(*record.Record)) *record.Record {
		r := &record.Record{State: state, Phases: []record.Phase{{Name: "check"}}}
		change(r)

		return r
	}

	for name, test := range map[string]struct {
		record *record.Record
		err    error
		code   exit.Code
		told   string
	}{
		"works": {record1(record.Complete, func(r *record.Record) {
			r.Phases[0].Output = map[string]any{"steps": []any{map[string]any{"name": "put", "ok": true}, map[string]any{"name": "delete", "ok": true}}}
		}), nil, exit.Done, "  ✓ put an object\n  ✓ delete it\nprofile/p works\n"},
		"wrong key, by outputs": {record1(record.Failed, func(r *record.Record) {
			r.Phases[0].Output = map[string]any{"steps": []any{map[string]any{"name": "put", "ok": false, "reason": "WrongKey"}}}
			r.Error = &record.Failure{Message: "denied", Reason: "WrongKey", Hint: "check the key"}
		}), exit.Reported(exit.RunFailed, errors.New("x")), exit.RunFailed, "  ✗ put an object: WrongKey\n"},
		"no list, by history": {record1(record.Failed, func(r *record.Record) {
			r.Events = []record.Event{{Message: "check: step put: ok"}, {Message: "check: step list: failed: AccessDenied: no"}, {Message: "first step outside"}}
			r.Error = &record.Failure{Message: "no", Reason: "AccessDenied"}
		}), exit.Reported(exit.RunFailed, errors.New("x")), exit.RunFailed, "  ✓ put an object\n  ✗ list it: AccessDenied\n"},
		"cannot start": {nil, exit.New(exit.RunFailed, errors.New("no image"), ""), exit.RunFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			o := &checkOptions{IOStreams: genericiooptions.IOStreams{Out: &f.out, ErrOut: &f.errOut}, Session: f.session, Name: "p"}
			o.run = func(context.Context, string) (follow.Result, error) {
				return follow.Result{Ref: follow.Ref{Namespace: "demo", Name: "check-demo-xxxxx"}, Record: test.record}, test.err
			}

			err := o.Run(t.Context())
			if exit.Of(err) != test.code || !strings.HasSuffix(f.errOut.String(), "namespace demo\n"+test.told) {
				t.Errorf("code %d (%v), told %q", exit.Of(err), err, f.errOut.String())
			}

			if coded := new(exit.Error); err != nil && errors.As(err, &coded) && coded.Reported {
				t.Error("the error counts as told, but was not")
			}
		})
	}
}

type fixed struct{}

func (fixed) Now() time.Time                  { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }
func (fixed) Since(t time.Time) time.Duration { return fixed{}.Now().Sub(t) }
