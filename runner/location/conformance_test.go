package location_test

import (
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
)

// prefixes by the bucket that a test uses with them.
var prefixes = map[string]string{"bare": "", "prefixed": "team/a"}

func TestFilestoreConforms(t *testing.T) {
	for name, prefix := range prefixes {
		t.Run(name, func(t *testing.T) {
			store, err := location.Open(t.Context(), locationtest.Filestore(prefix), location.At(t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close() // a directory

			locationtest.Conformance(t, store)
		})
	}
}

func TestS3Conforms(t *testing.T) {
	for server, start := range map[string]func(testing.TB) *locationtest.Server{
		"TLS": locationtest.Versitygw, "plain": locationtest.VersitygwPlain,
	} {
		s := start(t)

		for name, prefix := range prefixes {
			t.Run(server+"/"+name, func(t *testing.T) {
				s.Bucket(t, name)

				store, err := location.Open(t.Context(), s.Profile(name, prefix))
				if err != nil {
					t.Fatal(err)
				}

				locationtest.Conformance(t, store)
			})
		}
	}
}
