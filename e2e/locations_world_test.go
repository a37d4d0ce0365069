//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// serviceKey is one of nobody's: fake-gcs-server without TLS is given none.
const serviceKey = `{"type": "service_account", "project_id": "kanister", "client_email": "e2e@kanister.iam.example.com", "private_key": "none"}`

// GCSProfile creates the default profile "store" in the bucket "e2e" of the cluster's GCS server, with the namespace as its prefix. It
// returns how to list the objects whose names hold the namespace, behind the product's back.
func (w *World) GCSProfile() (keys func() []string) {
	w.Helper()

	if r := w.pipe(serviceKey, "profile", "create", "gcs", "store", "--bucket", "e2e", "--prefix", w.Namespace, "--endpoint", env(w.T, "GCS_PLAIN_ENDPOINT"), "--service-key", "-"); r.Code != 0 {
		w.Fatal(r.Stderr)
	}

	list := "http://" + w.serviceAddress("gcs") + "/storage/v1/b/e2e/o?"

	return func() []string {
		var all []string

		for token := ""; ; {
			request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, list+url.Values{"prefix": {w.Namespace + "/"}, "pageToken": {token}}.Encode(), nil)
			if err != nil {
				w.Fatal(err)
			}

			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				w.Fatal(err)
			}

			var page struct {
				Items         []struct{ Name string }
				NextPageToken string
			}

			err = json.NewDecoder(answer.Body).Decode(&page)
			_ = answer.Body.Close()

			if err != nil {
				w.Fatal(err)
			}

			for _, o := range page.Items {
				all = append(all, o.Name)
			}

			if token = page.NextPageToken; token == "" {
				return all
			}
		}
	}
}

// AzureProfile is GCSProfile for the container "e2e" of the cluster's Azure server.
func (w *World) AzureProfile() (keys func() []string) {
	w.Helper()

	account := env(w.T, "AZURE_STORAGE_ACCOUNT")
	w.Want(0, "profile", "create", "azure", "store", "--bucket", "e2e", "--prefix", w.Namespace, "--endpoint", env(w.T, "AZURE_ENDPOINT"),
		"--ca-bundle", env(w.T, "AZURE_CA_FILE"), "--storage-account", account, "--storage-key", env(w.T, "AZURE_STORAGE_KEY"))

	pem, err := os.ReadFile(env(w.T, "AZURE_CA_FILE"))
	if err != nil {
		w.Fatal(err)
	}

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)

	key, err := container.NewSharedKeyCredential(account, env(w.T, "AZURE_STORAGE_KEY"))
	if err != nil {
		w.Fatal(err)
	}

	// Where the host is an address, the account is in the path.
	client, err := container.NewClientWithSharedKeyCredential("https://"+w.serviceAddress("azure")+"/"+account+"/e2e", key, &container.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}},
	})
	if err != nil {
		w.Fatal(err)
	}

	prefix := w.Namespace + "/"

	return func() []string {
		var all []string

		for pages := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix}); pages.More(); {
			page, err := pages.NextPage(w.Context())
			if err != nil {
				w.Fatal(err)
			}

			for _, o := range page.Segment.BlobItems {
				all = append(all, *o.Name)
			}
		}

		return all
	}
}

// serviceAddress is the address of one of the test bed's services, which this host routes.
func (w *World) serviceAddress(name string) string {
	w.Helper()

	return strings.TrimSpace(w.Kubectl("get", "service", name, "-n", "kanister-backends", "-o", "jsonpath={.spec.clusterIP}"))
}

// pipe runs the plugin with standard input.
func (w *World) pipe(stdin string, args ...string) Result {
	w.Helper()

	return w.run(w.Context(), []byte(stdin), env(w.T, "KANISTER_PLUGIN"), append([]string{"-n", w.Namespace}, args...)...)
}
