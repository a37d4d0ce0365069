//go:build e2e

package location_test

import (
	"os"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// TestAzureConforms is run in the test cluster by TestLocationAzure of e2e, in the container "e2e" of its Azure server.
func TestAzureConforms(t *testing.T) {
	store, err := location.Open(t.Context(), &params.Profile{
		Name:       "azure",
		Location:   blueprint.Location{Type: blueprint.LocationAzure, Bucket: "e2e", Endpoint: os.Getenv("AZURE_ENDPOINT"), Prefix: os.Getenv("AZURE_PREFIX")},
		Credential: params.Credential{Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: os.Getenv("AZURE_STORAGE_ACCOUNT"), Secret: os.Getenv("AZURE_STORAGE_KEY")}},
		CABundle:   os.Getenv("AZURE_CA"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() // nothing waits for it

	locationtest.Conformance(t, store)
}
