package location

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// Azure is what a profile says about an Azure storage account. Key is empty for the pod's own identity.
type Azure struct {
	Account, Key string
	// Domain is the part after "<account>.", for example "blob.core.windows.net"; Plain means http.
	Domain string
	Plain  bool
}

// AzureAccount resolves account, key and domain of an azure profile (COMPAT §1.5). A custom endpoint is written
// [http://]<domain> or [http://]<account>.<domain>.
func AzureAccount(profile *params.Profile) (Azure, error) {
	var (
		a           Azure
		environment string
	)

	switch c := profile.Credential; {
	case c.Type == blueprint.CredentialKeyPair && c.KeyPair != nil:
		a.Account, a.Key = c.KeyPair.ID, c.KeyPair.Secret
	case c.Type == blueprint.CredentialSecret && c.Secret != nil:
		a.Account, a.Key = string(c.Secret.Data[azureAccount]), string(c.Secret.Data[azureKey])
		environment = string(c.Secret.Data[azureEnvironment])
	default:
		return a, badProfile("credential", "an azure location needs a keyPair or a Secret of type secrets.kanister.io/azure")
	}

	if a.Account == "" {
		return a, badProfile("credential", "the storage account is empty")
	}

	domain, known := params.AzureDomains[strings.ToUpper(environment)]
	if !known {
		return a, badProfile("azure_storage_environment", fmt.Sprintf("%q is unknown", environment))
	}

	a.Domain = domain

	if endpoint := profile.Location.Endpoint; endpoint != "" {
		if !strings.Contains(endpoint, "://") {
			endpoint = "https://" + endpoint
		}

		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" {
			return a, badProfile("location.endpoint", fmt.Sprintf("%q is not a URL like https://host", profile.Location.Endpoint))
		}

		a.Plain = u.Scheme == "http"
		a.Domain = strings.TrimPrefix(u.Host, a.Account+".")
	}

	return a, nil
}

// URL of a container of the account.
func (a Azure) URL(name string) string {
	scheme := "https"
	if a.Plain {
		scheme = "http"
	}

	return fmt.Sprintf("%s://%s.%s/%s", scheme, a.Account, a.Domain, url.PathEscape(name))
}

// openAzure opens the container of an azure profile.
func openAzure(profile *params.Profile) (Store, error) {
	if profile.Location.Bucket == "" {
		return nil, badProfile("location.bucket", "is empty")
	}

	account, err := AzureAccount(profile)
	if err != nil {
		return nil, err
	}

	transport, err := HTTPClient(profile)
	if err != nil {
		return nil, err
	}

	client, err := azureContainer(account, profile.Location.Bucket, azcore.ClientOptions{Transport: transport})
	if err != nil {
		return nil, err
	}

	return &azureStore{
		container: client, idle: transport, name: "azure://" + account.Account + "/" + profile.Location.Bucket, prefix: Clean(profile.Location.Prefix),
	}, nil
}

func azureContainer(account Azure, name string, options azcore.ClientOptions) (*container.Client, error) {
	if account.Key == "" {
		identity, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options})
		if err != nil {
			return nil, err
		}

		return container.NewClient(account.URL(name), identity, &container.ClientOptions{ClientOptions: options})
	}

	key, err := container.NewSharedKeyCredential(account.Account, account.Key)
	if err != nil {
		return nil, badProfile("credential", "the storage key is not base64")
	}

	return container.NewClientWithSharedKeyCredential(account.URL(name), key, &container.ClientOptions{ClientOptions: options})
}
