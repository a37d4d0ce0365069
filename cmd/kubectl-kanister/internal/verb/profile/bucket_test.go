package profile

import (
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

const serviceKey = `{"type": "service_account", "project_id": "shop", "client_email": "backup@shop.iam.example.com", "private_key": "secret-part"}`

// getter has no cluster: Complete makes clients, and calls nobody.
func getter() genericclioptions.RESTClientGetter {
	server := "https://127.0.0.1:1"

	return &genericclioptions.ConfigFlags{APIServer: &server}
}

func TestCreateGCS(t *testing.T) {
	for name, test := range map[string]struct {
		options gcsOptions
		args    []string
		environ string // GOOGLE_APPLICATION_CREDENTIALS
		want    string // in the error
		id      string // of the key pair
	}{
		"key":              {gcsOptions{bucketOptions: bucketOptions{Bucket: "b"}, KeyFile: "-"}, []string{"p"}, "", "", "shop"},
		"key, by variable": {gcsOptions{bucketOptions: bucketOptions{Bucket: "p"}}, nil, "-", "", "shop"},
		"other project":    {gcsOptions{bucketOptions: bucketOptions{Bucket: "p"}, KeyFile: "-", Project: "other"}, nil, "", "", "other"},
		"identity":         {gcsOptions{bucketOptions: bucketOptions{Bucket: "p"}, PodIdentity: true}, nil, "-", "", ""},
		"both":             {gcsOptions{bucketOptions: bucketOptions{Bucket: "p"}, PodIdentity: true, KeyFile: "-"}, nil, "", "it uses no key", ""},
		"neither":          {gcsOptions{bucketOptions: bucketOptions{Bucket: "p"}}, nil, "", "flag --service-key: it is missing", ""},
		"no bucket":        {gcsOptions{KeyFile: "-"}, []string{"p"}, "", "flag --bucket: it is missing", ""},
		"endpoint":         {gcsOptions{bucketOptions: bucketOptions{Bucket: "p", Endpoint: "storage.example.com"}, KeyFile: "-"}, nil, "", "flag --endpoint: it must begin", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			o := test.options
			o.createOptions = f.base(serviceKey)
			o.Getter = getter()
			o.Environ = func(name string) (string, bool) {
				return test.environ, test.environ != "" && name == "GOOGLE_APPLICATION_CREDENTIALS"
			}

			err := o.Complete(test.args)
			if err == nil {
				err = o.Validate()
			}

			if test.want != "" {
				if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}

				return
			}

			o.Session = f.session
			if err == nil {
				err = o.Run(t.Context())
			}

			if err != nil {
				t.Fatal(err)
			}

			_, profile := f.stored(t, "p")
			if pair := profile.Credential.KeyPair; profile.Location.Type != blueprint.LocationGCS || (pair == nil) != (test.id == "") || pair != nil && (pair.ID != test.id || pair.Secret != serviceKey) {
				t.Errorf("profile %+v", profile)
			}

			if strings.Contains(f.errOut.String(), "secret-part") {
				t.Errorf("told the key: %s", f.errOut.String())
			}
		})
	}
}

func TestGCSKeys(t *testing.T) {
	for _, key := range []string{"AKIA", `{"type": "authorized_user", "client_email": "x"}`, `{"type": "service_account"}`, `[]`} {
		o := &gcsOptions{bucketOptions: bucketOptions{createOptions: newFixture().base(key), Bucket: "b"}, KeyFile: "-"}
		o.Getter = getter()

		if err := o.Complete(nil); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), "not the key of a service account") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestCreateAzure(t *testing.T) {
	for name, test := range map[string]struct {
		options azureOptions
		environ map[string]string
		want    string // in the error
		secret  bool   // credentials are a Secret, not a key pair
	}{
		"key":         {azureOptions{Account: "a", Key: "c2VjcmV0"}, nil, "", false},
		"file":        {azureOptions{Account: "a", KeyFile: "-"}, nil, "", false},
		"environment": {azureOptions{}, map[string]string{"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_KEY": "c2VjcmV0"}, "", false},
		"cloud":       {azureOptions{Account: "a", Key: "c2VjcmV0", StorageEnv: "AZUREUSGOVERNMENT"}, nil, "", true},
		"identity":    {azureOptions{Account: "a", PodIdentity: true}, map[string]string{"AZURE_STORAGE_KEY": "c2VjcmV0"}, "", true},
		"no account":  {azureOptions{Key: "c2VjcmV0"}, nil, "flag --storage-account: it is missing", false},
		"no key":      {azureOptions{Account: "a"}, nil, "flag --storage-key: it is missing", false},
		"both":        {azureOptions{Account: "a", Key: "c2VjcmV0", PodIdentity: true}, nil, "it uses no key", false},
		"no base64":   {azureOptions{Account: "a", Key: "?"}, nil, "it is not base64", false},
		"two keys":    {azureOptions{Account: "a", Key: "c2VjcmV0", KeyFile: "-"}, nil, "storage-key", false},
		"no cloud":    {azureOptions{Account: "a", Key: "c2VjcmV0", StorageEnv: "MOON"}, nil, "flag --storage-env", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			o := test.options
			o.createOptions, o.Bucket = f.base("c2VjcmV0\n"), "p"
			o.Getter = getter()
			o.Environ = func(name string) (string, bool) {
				value, ok := test.environ[name]

				return value, ok
			}

			err := o.Complete(nil)
			if err == nil {
				err = o.Validate()
			}

			if test.want != "" {
				if exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}

				return
			}

			o.Session = f.session
			if err == nil {
				err = o.Run(t.Context())
			}

			if err != nil {
				t.Fatal(err)
			}

			_, profile := f.stored(t, "p")

			switch c := profile.Credential; {
			case profile.Location.Type != blueprint.LocationAzure, (c.Secret != nil) != test.secret:
				t.Errorf("profile %+v", profile)
			case c.Secret != nil && (string(c.Secret.Data["azure_storage_account_id"]) != "a" || string(c.Secret.Data["azure_storage_environment"]) != o.StorageEnv):
				t.Errorf("Secret %v", c.Secret.Data)
			case c.Secret == nil && (c.KeyPair.ID != "a" || c.KeyPair.Secret != "c2VjcmV0"):
				t.Errorf("key pair %+v", c.KeyPair)
			}
		})
	}
}
