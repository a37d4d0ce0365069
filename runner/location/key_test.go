package location_test

import (
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

func TestArtifactKey(t *testing.T) {
	plain := blueprint.Location{Type: blueprint.LocationS3, Bucket: "bucket"}
	prefixed := blueprint.Location{Type: blueprint.LocationS3, Bucket: "bucket", Prefix: "/team/a/"}

	for _, c := range []struct {
		l              blueprint.Location
		artifact, want string
	}{
		{plain, "path/x", "path/x"},
		{plain, "/path//x/", "path/x"},
		{plain, "bucket/path/x", "path/x"},
		{plain, "/bucket/path/x", "path/x"},
		{plain, "bucketful/path", "bucketful/path"},
		{plain, "bucket", ""},
		{plain, "s3://bucket/path/x", "path/x"},
		{plain, "gs://bucket/path/x", "path/x"},
		{plain, "../../etc", "etc"},
		{prefixed, "path/x", "path/x"},
		{prefixed, "bucket/team/a/path", "path"},
		{prefixed, "team/ab/path", "team/ab/path"},
		{prefixed, "s3://bucket/team/a", ""},
	} {
		if got := location.ArtifactKey(c.l, c.artifact); got != c.want {
			t.Errorf("ArtifactKey(%q, %q) = %q, want %q", c.l.Prefix, c.artifact, got, c.want)
		}
	}
}
