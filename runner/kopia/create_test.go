package kopia

import (
	"bytes"
	"context"
	"testing"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/format"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// plain is a store without conditional writes. Somebody's write arrives when the storage is looked at.
type plain struct {
	memory

	arrives []byte
}

func (p plain) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if opts.DoNotRecreate {
		return blob.ErrUnsupportedPutBlobOption
	}

	return p.memory.PutBlob(ctx, id, data, opts)
}

func (p plain) GetMetadata(_ context.Context, id blob.ID) (blob.Metadata, error) {
	if p.arrives != nil {
		p.memory[id] = p.arrives
	}

	if _, ok := p.memory[id]; !ok {
		return blob.Metadata{}, blob.ErrBlobNotFound
	}

	return blob.Metadata{BlobID: id}, nil
}

// TestPublishBlindly: a store without conditional writes is looked at right before the write, so that a repository that is there by then
// is not written over.
func TestPublishBlindly(t *testing.T) {
	for _, test := range []struct {
		arrives []byte
		want    string
		won     bool
	}{
		{nil, "ours", true},
		{[]byte("theirs"), "theirs", false},
	} {
		store := plain{memory{}, test.arrives}
		r := &Repository{storage: store, options: Options{Profile: &params.Profile{Location: blueprint.Location{Type: blueprint.LocationS3}}}}

		won, err := r.publish(t.Context(), []byte("ours"))
		if err != nil || won != test.won || !bytes.Equal(store.memory[format.KopiaRepositoryBlobID], []byte(test.want)) {
			t.Errorf("%q arrives: %v, %v, there is %q", test.arrives, won, err, store.memory[format.KopiaRepositoryBlobID])
		}
	}
}
