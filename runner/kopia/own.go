package kopia

import (
	"context"
	"strings"

	"github.com/kopia/kopia/repo/blob"
)

// own is a storage that lists only what may be of this repository. Blobs are told from each other by their first letters, and repositories
// may lie below each other's prefixes: what is in "postgres-0/" would be taken for packs that nobody uses, and deleted with them.
type own struct{ blob.Storage }

func (o own) ListBlobs(ctx context.Context, prefix blob.ID, visit func(blob.Metadata) error) error {
	return o.Storage.ListBlobs(ctx, prefix, func(m blob.Metadata) error {
		if foreign(string(m.BlobID)) {
			return nil
		}

		return visit(m)
	})
}

// least is how many hexadecimal digits a pack's or a session's name begins with, at least.
const least = 16

// foreign tells what is not named as kopia names its blobs. In an object store the names of others hold a slash. kopia's storage in
// directories leaves the slashes out, so that for packs and sessions, which get deleted, the name itself is looked at: one letter, then
// hexadecimal digits up to the end or a dash.
func foreign(id string) bool {
	if strings.Contains(id, "/") {
		return true
	}

	if id == "" || !strings.Contains("pqs", id[:1]) {
		return false
	}

	digits, _, _ := strings.Cut(id[1:], "-")

	return len(digits) < least || strings.Trim(digits, "0123456789abcdef") != ""
}
