package toolimage_test

import (
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/toolimage"
)

func TestHas(t *testing.T) {
	t.Parallel()

	for image, want := range map[string]bool{
		"ghcr.io/kanisterio/kanister-tools:0.110.0":              true,
		"kanisterio/kanister-tools":                              true,
		"mirror.corp:5000/ghcr.io/kanisterio/mysql-sidecar:1":    true,
		"ghcr.io/kanisterio/kanister-tools@sha256:aa/kanisterio": true,
		"postgres:17":                    false,
		"corp/kanister-postgres:1":       false,
		"corp/tools@sha256:/kanisterio/": false,
		"":                               false,
	} {
		if got := toolimage.Has(image); got != want {
			t.Errorf("%q: %t", image, got)
		}
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]bool{
		"kando":                               true,
		"kando location push -":               true,
		"/usr/local/bin/kando output a b":     true,
		"pg_dump | kando location push -":     true,
		"set -e\nkando output a b":            true,
		"x=$(kando location pull -)":          true,
		`bash -c "kando"`:                     true,
		"dump;kando output a b":               true,
		"kando\n":                             true,
		"exec 'kando'":                        true,
		"kandoo":                              false,
		"my-kando run":                        false,
		"kando.sh":                            false,
		"kando-wrapper":                       false,
		"/scripts/kando_test":                 false,
		"echo nothing of the sort":            false,
		"registry/kando-tools:1":              false,
		"pull https://example.com/kando.html": false,
	} {
		if got := toolimage.Mentions("sh", text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
