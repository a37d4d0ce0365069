package kando

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// objects are those of a store.
type objects struct{ location.Store }

func (at objects) close(context.Context) error {
	_ = at.Close() // what was written is stored when the call that wrote it has returned

	return nil
}

func (at objects) push(ctx context.Context, o *locationOptions, source string) error {
	key, err := o.object()
	if err != nil {
		return err
	}

	content, done, err := o.source(source)
	if err != nil {
		return err
	}
	defer done()

	if _, err := at.Put(ctx, key, content); err != nil {
		return fmt.Errorf("pushing %s: %w", source, err)
	}

	return nil
}

func (at objects) pull(ctx context.Context, o *locationOptions, target string) error {
	key, err := o.object()
	if err != nil {
		return err
	}

	content, err := at.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("pulling %s: %w", target, err)
	}
	defer content.Close() // read only

	err = o.fill(target, func(out io.Writer) error {
		_, err := io.Copy(out, content)

		return err
	})
	if err != nil {
		return fmt.Errorf("pulling %s to %s: %w", at.URL(key), target, err)
	}

	return nil
}

func (at objects) delete(ctx context.Context, o *locationOptions) error {
	key, err := o.object()
	if err != nil {
		return err
	}

	key = location.Clean(key)

	_, err = at.Stat(ctx, key)
	if err != nil && !errors.Is(err, location.ErrNotFound) {
		return fmt.Errorf("deleting %s: %w", at.URL(key), err)
	}

	found := err == nil
	if err := at.Delete(ctx, key); err != nil {
		return fmt.Errorf("deleting %s: %w", at.URL(key), err)
	}

	var below []string

	err = at.List(ctx, key+"/", func(object location.Object) error {
		below = append(below, object.Key)

		return nil
	})
	if err != nil {
		return fmt.Errorf("deleting below %s: %w", at.URL(key), err)
	}

	for _, k := range below {
		if err := at.Delete(ctx, k); err != nil {
			return fmt.Errorf("deleting %s: %w", at.URL(k), err)
		}
	}

	if !found && len(below) == 0 {
		return o.nothingDeleted(at.URL(key))
	}

	return nil
}

// nothingDeleted is no error, as upstream's; but a mistyped path must not look like a deleted backup.
func (o *locationOptions) nothingDeleted(what string) error {
	if _, err := fmt.Fprintf(o.ErrOut, "kando: nothing deleted: %s does not exist\n", what); err != nil {
		return fmt.Errorf("saying that nothing was deleted: %w", err)
	}

	return nil
}
