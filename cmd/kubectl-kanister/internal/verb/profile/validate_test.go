package profile

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	dynamicfake "k8s.io/client-go/dynamic/fake"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/verb/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// upstreamProfile is a Profile resource in namespace kanister whose Secret is named.
func upstreamProfile(name, kind, secret string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cr.kanister.io/v1alpha1", "kind": "Profile", "metadata": map[string]any{"name": name, "namespace": "kanister"},
		"location": map[string]any{"type": kind, "bucket": "b", "region": "r"},
		"credential": map[string]any{"type": "keyPair", "keyPair": map[string]any{
			"idField": "id", "secretField": "key", "secret": map[string]any{"name": secret, "namespace": "kanister"},
		}},
	}}
}

func TestValidateNamed(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		flag, elsewhere, file string
		args                  []string
		want, fails           string
	}{
		"kanctl's flags":       {flag: "p", elsewhere: "kanister", want: "kanister/p"},
		"a word":               {args: []string{"p"}, want: "p"},
		"a word elsewhere":     {args: []string{"p"}, elsewhere: "kanister", want: "kanister/p"},
		"a file":               {file: "p.yaml"},
		"nothing":              {fails: "give the name of a profile, or a file with -f FILE"},
		"two names":            {flag: "p", args: []string{"q"}, fails: `"q" and --name "p" are two`},
		"a name and a file":    {flag: "p", file: "p.yaml", fails: `the profile "p" and a file are two`},
		"a namespace alone":    {elsewhere: "kanister", file: "p.yaml", fails: "flag --resource-namespace"},
		"two namespaces":       {flag: "other/p", elsewhere: "kanister", fails: "flag --resource-namespace"},
		"the same name, twice": {flag: "p", args: []string{"p"}, want: "p"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			o := &validateOptions{checkOptions: checkOptions{Name: test.flag}, Elsewhere: test.elsewhere}
			if test.file != "" {
				o.Files.Files = []string{test.file}
			}

			err := o.Named(test.args)

			switch {
			case test.fails == "" && err != nil, test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails) || exit.Of(err) != exit.Usage):
				t.Errorf("error %v (code %d), want one with %q", err, exit.Of(err), test.fails)
			case err == nil && o.Name != test.want:
				t.Errorf("name %q, want %q", o.Name, test.want)
			}
		})
	}
}

func TestValidateProfileInTheCluster(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		profile  string
		formOnly bool
		asked    string
		code     exit.Code
		says     string
	}{
		"good":               {"kanister/good", false, "kanister/good", exit.Done, "profile/kanister/good works"},
		"good, form only":    {"kanister/good", true, "", exit.Done, "profile/kanister/good: valid; location s3Compliant"},
		"its form is wrong":  {"kanister/odd", false, "", exit.Usage, "the location type must be one of"},
		"its Secret is gone": {"kanister/keyless", true, "", exit.Usage, `"kanister/gone"`},
		"there is none":      {"kanister/none", true, "", exit.Usage, "neither a profile Secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f := newFixture(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys", Namespace: "kanister"}, Data: map[string][]byte{"id": []byte("i"), "key": []byte("k")}})
			f.session.Dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
				map[schema.GroupVersionResource]string{{Group: "cr.kanister.io", Version: "v1alpha1", Resource: "profiles"}: "ProfileList"},
				upstreamProfile("good", "s3Compliant", "keys"), upstreamProfile("odd", "s4", "keys"), upstreamProfile("keyless", "s3Compliant", "gone"))

			streams := genericiooptions.IOStreams{Out: &f.out, ErrOut: &f.errOut}
			o := &validateOptions{
				checkOptions: checkOptions{IOStreams: streams, Session: f.session, Name: test.profile}, Files: blueprint.ValidateOptions{IOStreams: streams}, FormOnly: test.formOnly,
			}
			asked := ""
			o.run = func(_ context.Context, name string) (follow.Result, error) {
				asked = name

				return follow.Result{Ref: follow.Ref{Namespace: "demo", Name: "check-demo-xxxxx"}, Record: &record.Record{State: record.Complete}}, nil
			}

			err := o.Run(t.Context())
			if err != nil {
				f.errOut.WriteString(err.Error())
			}

			if exit.Of(err) != test.code || !strings.Contains(f.errOut.String(), test.says) {
				t.Errorf("code %d, said %q", exit.Of(err), f.errOut.String())
			}

			if asked != test.asked {
				t.Errorf("asked the location of %q, want %q", asked, test.asked)
			}
		})
	}
}
