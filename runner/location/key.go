package location

import (
	"path"
	"strings"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Clean makes a relative key of p, as upstream's kando does (COMPAT §5.1): slashes are merged, "." and ".." resolved without ever
// leaving the root, the leading slash dropped. The empty key is the root.
func Clean(p string) string {
	return strings.TrimPrefix(path.Join("/", p), "/")
}

// Join joins keys and drops empty parts.
func Join(parts ...string) string { return Clean(path.Join(parts...)) }

// ArtifactKey resolves what a blueprint calls an artifact or an artifact prefix to a key below the location's prefix. The
// accepted spellings are "path", "bucket/path" (upstream's idiom: COMPAT §4.0.4, §4.13) and "scheme://bucket/path" (the functions reference).
//
// A leading Location.prefix is dropped too, so that "bucket/prefix/path" is not stored below "prefix/prefix". Upstream's restic
// functions ignore the prefix (COMPAT §0.6), so that a LocationDelete of the same artifact misses the repository; ours agree
// with each other: everything of a profile is below its prefix.
func ArtifactKey(l blueprint.Location, artifact string) string {
	if _, rest, found := strings.Cut(artifact, "://"); found {
		artifact = rest
	}

	key := Clean(artifact)
	key = trimDir(key, l.Bucket)
	key = trimDir(key, Clean(l.Prefix))

	return key
}

// trimDir removes the leading path dir from key, on whole segments only.
func trimDir(key, dir string) string {
	if dir == "" {
		return key
	}

	if key == dir {
		return ""
	}

	return strings.TrimPrefix(key, dir+"/")
}

// Describe names the place of key for people and outputs: "bucket/prefix/key", as upstream's backupArtifactLocation does
// (COMPAT §4.10); for filestore "claim/prefix/key".
func Describe(l blueprint.Location, key string) string {
	root := l.Bucket
	if l.Type == blueprint.LocationFilestore {
		root = l.ClaimName
	}

	return Join(root, l.Prefix, key)
}
