package recipe

import (
	"regexp"
	"slices"
	"testing"

	blueprints "github.com/kanisterio/blueprints"
)

// Every image that the blueprints of the end-to-end tests name has its stand-in.
func TestStandIns(t *testing.T) {
	images := regexp.MustCompile(`(?m)image: *"?(ghcr\.io/kanisterio/[^\s"]+|bitnamilegacy/[^\s"]+)`)
	found := 0
	for _, file := range []string{
		"etcd-incluster-ocp/etcd-incluster-ocp-blueprint.yaml",
		"maria/maria-blueprint.yaml",
		"mysql/mysql-blueprint.yaml",
		"postgres-basic-pgdump/postgres-basic-pgdump-blueprint.yaml",
		"postgres/postgres-blueprint.yaml",
		"postgres/postgres-start-stop-blueprint.yaml",
		"time-log/time-log-blueprint.yaml",
	} {
		data, err := blueprints.ReadFromEmbeddedFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range images.FindAllStringSubmatch(string(data), -1) {
			found++
			if !slices.Contains(compatTags, match[1]) {
				t.Errorf("%s: there is no stand-in for %s", file, match[1])
			}
		}
	}
	if found < 15 {
		t.Errorf("found %d images: too few to have looked at the right places", found)
	}
}
