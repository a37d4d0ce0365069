package action

import (
	"slices"
	"strings"
	"testing"
)

func TestGrants(t *testing.T) {
	for word, want := range map[string]string{
		"get,list:pods":                          "shop  pods get,list ",
		"create:pods/exec=web-0@db":              "db  pods/exec create web-0",
		"patch:deployments.apps=web":             "shop apps deployments patch web",
		"update:deployments.apps/scale":          "shop apps deployments/scale update ",
		"get:widgets.things.example.com=a.b@":    " things.example.com widgets get a.b",
		"*:certificates.cert-manager.io@vault":   "vault cert-manager.io certificates * ",
		"get:volumesnapshots.snapshot.k8s.io=@x": "",
		"get":                                    "",
		":pods":                                  "",
		"get,:pods":                              "",
		"get:":                                   "",
		"get:pods/=x":                            "",
	} {
		parsed, err := grants([]string{word})
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "VERBS:RESOURCE") {
				t.Errorf("%s: %v", word, err)
			}

			continue
		}

		if err != nil {
			t.Errorf("%s: %v", word, err)

			continue
		}

		g := inNamespace(parsed, "shop")[0]
		if got := strings.Join([]string{g.Namespace, g.Rule.APIGroups[0], g.Rule.Resources[0], strings.Join(g.Rule.Verbs, ","), strings.Join(g.Rule.ResourceNames, ",")}, " "); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}

		if slices.Equal([]string{parsed[0].Namespace}, []string{"shop"}) {
			t.Errorf("%s: the namespace of one run got into the flags", word)
		}
	}
}
