package location

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// Step is one thing that Check tried.
type Step struct {
	Name   string `json:"name"` // put, get, list, delete
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Reason Reason `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// Check puts, reads back, lists and deletes one small object and tells for each step whether it worked. It ends with the first
// step that did not, except that it always tries to delete what it put. The error is that of the failed step.
func Check(ctx context.Context, store Store) ([]Step, error) {
	var (
		key     = ".kanister-check-" + rand.Text()
		content = []byte("kubectl kanister wrote this to check the profile; it may be deleted\n")
		steps   []Step
		failed  error
	)

	try := func(name string, f func() error) bool {
		err := f()
		step := Step{Name: name, OK: err == nil}

		if err != nil {
			step.Error = err.Error()
			step.Reason, step.Hint = Explain(err)
			failed = errors.Join(failed, err)
		}

		steps = append(steps, step)

		return err == nil
	}

	put := func() error {
		_, err := store.Put(ctx, key, bytes.NewReader(content))

		return err
	}
	get := func() error { return readBack(ctx, store, key, content) }
	list := func() error { return listed(ctx, store, key) }

	if !try("put", put) {
		return steps, failed
	}

	_ = try("get", get) && try("list", list)

	try("delete", func() error { return store.Delete(context.WithoutCancel(ctx), key) })

	return steps, failed
}

func readBack(ctx context.Context, store Store, key string, want []byte) error {
	r, err := store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close() // read only

	got, err := io.ReadAll(io.LimitReader(r, int64(len(want))+1))
	if err != nil {
		return err
	}

	if !bytes.Equal(got, want) {
		return &Error{Op: "getting object", URL: store.URL(key), Reason: Corrupt, Err: errors.New("what came back is not what was put")}
	}

	return nil
}

func listed(ctx context.Context, store Store, key string) error {
	found := false

	if err := store.List(ctx, key, func(o Object) error {
		found = found || o.Key == key

		return nil
	}); err != nil {
		return err
	}

	if !found {
		return &Error{Op: "listing", URL: store.URL(key), Reason: Corrupt, Err: fmt.Errorf("the object that was just put is not listed")}
	}

	return nil
}
