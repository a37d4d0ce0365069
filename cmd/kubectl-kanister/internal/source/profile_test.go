package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func stored(t *testing.T, namespace, name string, isDefault bool) *corev1.Secret {
	t.Helper()

	secret, err := params.SecretFromProfile(namespace, &params.Profile{
		Name: name, Location: blueprint.Location{Type: blueprint.LocationS3, Bucket: "bucket-" + name, Region: "eu"},
		Credential:         params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "key"}},
		RepositoryPassword: "pw-" + name,
	})
	if err != nil {
		t.Fatal(err)
	}

	if isDefault {
		secret.Annotations = map[string]string{record.AnnotationDefaultProfile: "true"}
	}

	return secret
}

const upstreamProfile = `apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: upstream, namespace: demo}
location: {type: s3Compliant, bucket: old, region: eu}
credential:
  type: keyPair
  keyPair: {idField: id, secretField: key, secret: {name: creds, namespace: demo, kind: Secret, apiVersion: v1}}
`

const credentials = `apiVersion: v1
kind: Secret
metadata: {name: creds, namespace: demo}
stringData: {id: AKID, key: from-file}
`

func TestProfile(t *testing.T) {
	creds := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "creds", Namespace: "demo"}, Data: map[string][]byte{"id": []byte("AKID"), "key": []byte("from-cluster")}}
	r, _, _ := resolver(t, []runtime.Object{fromYAML(t, upstreamProfile)}, stored(t, "demo", "a", false), stored(t, "demo", "b", true), stored(t, "kanister", "c", false), creds)

	for word, bucket := range map[string]string{"a": "bucket-a", "": "bucket-b", "kanister/c": "bucket-c", "upstream": "old"} {
		profile, err := r.Profile(t.Context(), word, "demo")
		if err != nil {
			t.Errorf("Profile(%q): %v", word, err)

			continue
		}

		if profile.Location.Bucket != bucket || profile.Credential.KeyPair == nil || profile.Credential.KeyPair.Secret == "" {
			t.Errorf("Profile(%q) = %+v, want bucket %s with its credential", word, profile, bucket)
		}
	}

	for word, says := range map[string]string{
		"missing": `neither a profile Secret (label kanister.io/profile=true) nor a Profile custom resource of this name in namespace "demo"; there are a, b`,
		"creds":   "is no profile (it has no label kanister.io/profile=true)",
	} {
		if _, err := r.Profile(t.Context(), word, "demo"); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("Profile(%q) = %v", word, err)
		}
	}
}

func TestDefaultProfile(t *testing.T) {
	for name, test := range map[string]struct {
		secrets []runtime.Object
		want    string
		says    string
	}{
		"none":        {says: "no profile"},
		"the only":    {secrets: []runtime.Object{stored(t, "demo", "a", false), stored(t, "other", "b", true)}, want: "a"},
		"marked":      {secrets: []runtime.Object{stored(t, "demo", "a", false), stored(t, "demo", "b", true)}, want: "b"},
		"none marked": {secrets: []runtime.Object{stored(t, "demo", "a", false), stored(t, "demo", "b", false)}, says: "none of a, b is marked"},
		"two marked":  {secrets: []runtime.Object{stored(t, "demo", "a", true), stored(t, "demo", "b", true)}, says: "a, b are all marked"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, _ := resolver(t, nil, test.secrets...)
			profile, err := r.Profile(t.Context(), "", "demo")

			switch {
			case test.want != "" && (err != nil || profile.Name != test.want):
				t.Errorf("got %v, %v, want %q", profile, err, test.want)
			case test.want == "" && (exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), test.says) || exit.HintOf(err) == ""):
				t.Errorf("got %v (hint %q), want %q", err, exit.HintOf(err), test.says)
			}

			if wantNone := len(test.secrets) == 0; errors.Is(err, ErrNoProfile) != wantNone {
				t.Errorf("ErrNoProfile: %v", err)
			}
		})
	}
}

func TestDefaultProfileForbidden(t *testing.T) {
	r, kube, _ := resolver(t, nil)
	kube.PrependReactor("list", "secrets", func(action k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", errors.New("no"))
	})

	if _, err := r.Profile(t.Context(), "", "demo"); exit.Of(err) != exit.NotPermitted || !strings.Contains(exit.HintOf(err), "--profile") {
		t.Errorf("got %v, hint %q", err, exit.HintOf(err))
	}
}

// TestFileProfileElsewhere: a claim can be mounted in its own namespace only.
func TestFileProfileElsewhere(t *testing.T) {
	secret, err := params.SecretFromProfile("kanister", &params.Profile{
		Name: "backups", Location: blueprint.Location{Type: blueprint.LocationFilestore, ClaimName: "disk"}, RepositoryPassword: "x",
	})
	if err != nil {
		t.Fatal(err)
	}

	r, _, _ := resolver(t, nil, secret)
	if _, err := r.Profile(t.Context(), "kanister/backups", "demo"); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), `claim "disk" lies in namespace "kanister"`) {
		t.Errorf("got %v", err)
	}

	if profile, err := r.Profile(t.Context(), "backups", "kanister"); err != nil || profile.Location.ClaimName != "disk" {
		t.Errorf("got %v, %v", profile, err)
	}
}

func TestProfileFile(t *testing.T) {
	write := func(content string) string {
		file := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}

		return file
	}
	r, _, _ := resolver(t, nil, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "creds", Namespace: "demo"}, Data: map[string][]byte{"id": []byte("AKID"), "key": []byte("from-cluster")},
	})

	for content, key := range map[string]string{upstreamProfile + "---\n" + credentials: "from-file", upstreamProfile: "from-cluster"} {
		profile, err := r.ProfileFile(t.Context(), write(content), "demo")
		if err != nil {
			t.Errorf("%s: %v", content, err)

			continue
		}

		if profile.Credential.KeyPair.Secret != key {
			t.Errorf("key %q, want %q", profile.Credential.KeyPair.Secret, key)
		}
	}

	if _, err := r.ProfileFile(t.Context(), write(credentials), "demo"); exit.Of(err) != exit.Usage {
		t.Errorf("a file without a Profile gives %v", err)
	}
}
