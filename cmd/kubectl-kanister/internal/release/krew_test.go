package release_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/yaml"
)

var root = filepath.Join("..", "..", "..", "..")

// TestKrew: krew.yaml, filled in as krew-release-bot does, is a manifest that krew takes, and names the archives that hack/dist.sh builds.
func TestKrew(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "krew.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	// What the bot puts there: the second line has four spaces, wherever the first one stands.
	bot := func(uri, tag string) string {
		return "uri: " + strings.ReplaceAll(uri, "{{ .TagName }}", tag) + "\n    sha256: " + strings.Repeat("a", 64)
	}

	parsed, err := template.New("krew.yaml").Funcs(template.FuncMap{"addURIAndSha": bot}).Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}

	var filled bytes.Buffer
	if err := parsed.Execute(&filled, map[string]string{"TagName": "v1.2.3"}); err != nil {
		t.Fatal(err)
	}

	var manifest struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Version, Homepage, ShortDescription, Description, Caveats string
			Platforms                                                 []struct {
				Selector         struct{ MatchLabels struct{ OS, Arch string } }
				URI, SHA256, Bin string
			}
		}
	}

	if err := yaml.UnmarshalStrict(filled.Bytes(), &manifest); err != nil {
		t.Fatalf("%v\n%s", err, filled.String())
	}

	spec := manifest.Spec
	if manifest.Kind != "Plugin" || manifest.Metadata.Name != "kanister" || spec.Version != "v1.2.3" || spec.Homepage == "" || spec.Description == "" {
		t.Errorf("manifest %+v", manifest)
	}

	if n := len(spec.ShortDescription); n == 0 || n > 50 {
		t.Errorf("the short description has %d characters, krew's index wants at most 50", n)
	}

	var platforms []string

	for _, p := range spec.Platforms {
		at := p.Selector.MatchLabels
		platforms = append(platforms, at.OS+"/"+at.Arch)

		uri := fmt.Sprintf("https://github.com/kubectl-kanister/kubectl-kanister/releases/download/v1.2.3/kubectl-kanister_%s_%s.tar.gz", at.OS, at.Arch)
		bin := "kubectl-kanister" + map[bool]string{true: ".exe"}[at.OS == "windows"]

		if p.URI != uri || p.Bin != bin || len(p.SHA256) != 64 {
			t.Errorf("%s/%s: %+v, want %s with %s", at.OS, at.Arch, p, uri, bin)
		}
	}

	script, err := os.ReadFile(filepath.Join(root, "hack", "dist.sh"))
	if err != nil {
		t.Fatal(err)
	}

	list := regexp.MustCompile(`platforms=\((.*)\)`).FindSubmatch(script)
	if list == nil || !slices.Equal(strings.Fields(string(list[1])), platforms) {
		t.Errorf("hack/dist.sh builds %s, krew.yaml names %q", list, platforms)
	}
}
