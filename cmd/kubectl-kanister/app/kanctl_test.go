package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// kanctl are its commands, and their flags (COMPAT §5.2).
var kanctl = map[string]string{
	"## `kanctl create actionset`": `--action --blueprint --from --name --config-maps --secrets --profile --options --deployment --statefulset --deploymentconfig --pvc
		--namespacetargets --objects --selector --kind --selector-namespace --labels --podlabels --podannotations --repository-server --wait-for-repository-server
		--dry-run --skip-validation --namespace --verbose -a/ -b/ -f/ -A/ -c/ -s/ -p/ -o/ -d/ -t/ -D/ -v/ -T/ -O/ -l/ -k/ -r/ -w/ -n/`,
	"## `kanctl create profile`": `s3compliant gcp azure --access-key --secret-key --role --project-id --service-key --storage-account --storage-key --storage-env --bucket
		--endpoint --prefix --region --skip-SSL-verification --dry-run --skip-validation -a/--access -s/--secret -R/ -a/--project -s/--service -a/--storage -s/--storage -b/ -e/ -p/ -r/`,
	"## `kanctl create repository-server`": `--tls-secret --user --user-access-secret --admin-user-access-secret --kopia-repository-password-secret --kopia-repository-user --prefix
		--location-secret --location-creds-secret --wait -t/ -u/ -s/ -a/ -r/ -k/ -p/ -l/ -c/ -w/`,
	"## `kanctl validate`": `blueprint profile --name --filename --resource-namespace --schema-validation-only --functionVersion -f/ -v/`,
}

var flagWord = regexp.MustCompile(`--[a-zA-Z][a-zA-Z-]*`)

// The page about kanctl has each of its flags, and what it says to use in their place is there.
func TestKanctlPage(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "kanctl.md"))
	if err != nil {
		t.Fatal(err)
	}

	for title, words := range kanctl {
		_, section, found := strings.Cut(string(page), title+"\n")
		if !found {
			t.Errorf("there is no section %q", title)

			continue
		}

		section, _, _ = strings.Cut(section, "\n## ")

		var left strings.Builder

		for line := range strings.Lines(section) {
			cells := strings.Split(line, "|")
			if len(cells) < 4 {
				continue
			}

			theirs, ours := cells[1], strings.Join(cells[2:], "|")
			left.WriteString(theirs)

			if same, _, _ := strings.Cut(theirs, ";"); strings.HasPrefix(strings.TrimSpace(ours), "the same") {
				ours += same
			}

			for _, flag := range flagWord.FindAllString(ours, -1) {
				if !isFlag(t, strings.TrimPrefix(flag, "--")) {
					t.Errorf("%s says %s, which no command has", title, flag)
				}
			}
		}

		for _, word := range strings.Fields(words) {
			if !strings.Contains(left.String(), word) {
				t.Errorf("%s lacks %s", title, word)
			}
		}
	}
}

// isFlag tells whether one of our commands takes it.
func isFlag(t *testing.T, name string) bool {
	t.Helper()

	for _, cmd := range commands(t) {
		if cmd.Flags().Lookup(name) != nil || cmd.InheritedFlags().Lookup(name) != nil {
			return true
		}
	}

	return false
}
