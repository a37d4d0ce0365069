package location

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// openPart opens an object from offset on; etag, from the first call, makes sure that it is still the same object. It returns
// the body, the etag and the length of the body.
type openPart func(ctx context.Context, offset int64, etag string) (io.ReadCloser, string, int64, error)

// resumptions bounds how often one download goes on after a broken connection.
const resumptions = 5

// resumable reads one object to its end although connections break: long downloads outlive load balancers.
type resumable struct {
	ctx    context.Context // a reader's methods take none
	url    string
	open   openPart
	body   io.ReadCloser
	etag   string
	offset int64
	size   int64
	left   int
}

func openResumable(ctx context.Context, url string, open openPart) (io.ReadCloser, error) {
	body, etag, size, err := open(ctx, 0, "")
	if err != nil {
		return nil, wrap("getting object", url, err)
	}

	return &resumable{ctx: ctx, url: url, open: open, body: body, etag: etag, size: size, left: resumptions}, nil
}

func (r *resumable) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.offset += int64(n)

	switch {
	case err == nil, n > 0 && !errors.Is(err, io.EOF):
		return n, nil // a persistent error comes back with the next call
	case errors.Is(err, io.EOF) && r.offset >= r.size:
		return n, io.EOF
	case r.ctx.Err() != nil:
		return n, wrap("getting object", r.url, context.Cause(r.ctx))
	case r.left == 0 || r.etag == "":
		return n, wrap("getting object", r.url, fmt.Errorf("after %d of %d bytes: %w", r.offset, r.size, unexpected(err)))
	}

	r.left--
	_ = r.body.Close()

	r.reopen()

	return n, nil
}

// reopen goes on where the body broke off. If that fails, the next Read says so.
func (r *resumable) reopen() {
	body, _, _, err := r.open(r.ctx, r.offset, r.etag)
	if err != nil {
		body, r.left = io.NopCloser(&failing{err: err}), 0
	}

	r.body = body
}

func (r *resumable) Close() error { return r.body.Close() }

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}

	return err
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
