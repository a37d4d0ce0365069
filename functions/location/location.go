// Package location holds the functions that work on objects of the profile's location, in the runner itself: LocationDelete (COMPAT
// §4.13) and our own LocationCheck.
package location

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

type (
	// LocationDelete deletes an artifact.
	LocationDelete struct{ spec.Function }
	// LocationCheck puts, reads, lists and deletes one object.
	LocationCheck struct{ spec.Function }
)

var (
	_ = functions.Register(LocationDelete{spec.Must("LocationDelete")})
	_ = functions.Register(LocationCheck{spec.Must("LocationCheck")})
)

const (
	// deleters delete at once.
	deleters = 16
	// checkAttempts of one request: a check is for people who wait.
	checkAttempts = 3
)

// Exec implements functions.Func.
func (f LocationDelete) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	var a struct {
		Artifact string `mapstructure:"artifact"`
	}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	store, err := open(ctx, run)
	if err != nil {
		return nil, err
	}
	defer store.Close() // every change was answered

	l := run.Params.Profile.Location

	if _, rest, isURL := strings.Cut(a.Artifact, "://"); isURL && l.Bucket != "" {
		if bucket, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/"); bucket != l.Bucket {
			return nil, fmt.Errorf("reading argument %q: %q names the bucket %q; the profile's is %q", "artifact", a.Artifact, bucket, l.Bucket)
		}
	}

	key := location.ArtifactKey(l, a.Artifact)
	if key == "" {
		return nil, fmt.Errorf("reading argument %q: %q names no artifact but everything in %q, which is not deleted", "artifact", a.Artifact, store.URL(""))
	}

	deleted, err := remove(ctx, run, store, key)
	if err != nil {
		return nil, failure(err)
	}

	if deleted == 0 {
		run.Journal.Warn(fmt.Sprintf("there is no artifact %s: nothing was deleted", store.URL(key)))
	} else {
		run.Journal.Event(fmt.Sprintf("deleted %s, objects: %d", store.URL(key), deleted))
	}

	return map[string]any{"deleted": strconv.FormatInt(deleted, 10)}, nil
}

// remove deletes the object and all objects below it as a directory. Whole segments only: backup-1 does not take backup-10 with it.
func remove(ctx context.Context, run *functions.Run, store location.Store, key string) (int64, error) {
	var deleted atomic.Int64

	if _, err := store.Stat(ctx, key); err == nil {
		if err := store.Delete(ctx, key); err != nil {
			return 0, err
		}

		deleted.Add(1)
	} else if !errors.Is(err, location.ErrNotFound) {
		return 0, err
	}

	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(deleters)

	err := store.List(groupCtx, key+"/", func(o location.Object) error {
		group.Go(func() error {
			return functions.Recovered(func() error {
				if err := store.Delete(groupCtx, o.Key); err != nil {
					return err
				}

				if n := deleted.Add(1); n%100 == 0 {
					run.Journal.Progress(record.Progress{Message: "deleting " + store.URL(key), FilesDone: n})
				}

				return nil
			})
		})

		return groupCtx.Err()
	})

	// The error of a deletion ends the listing, not the other way round.
	if deleteErr := group.Wait(); deleteErr != nil {
		err = deleteErr
	}

	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}

	return deleted.Load(), err
}

// Exec implements functions.Func.
func (f LocationCheck) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	if err := functions.Decode(f.Function, args, &struct{}{}); err != nil {
		return nil, err
	}

	store, err := open(ctx, run, location.Attempts(checkAttempts))
	if err != nil {
		return nil, err
	}
	defer store.Close() // every change was answered

	steps, err := location.Check(ctx, store)
	shown := make([]any, 0, len(steps))

	for _, s := range steps {
		line := map[string]any{"name": s.Name, "ok": s.OK}
		if !s.OK {
			line["error"], line["reason"], line["hint"] = s.Error, string(s.Reason), s.Hint
		}

		shown = append(shown, line)
	}

	// The steps are given beside the error, too.
	return map[string]any{"steps": shown, "ok": err == nil}, failure(err)
}

func open(ctx context.Context, run *functions.Run, options ...location.Option) (location.Store, error) {
	if run.Params == nil || run.Params.Profile == nil {
		return nil, &record.Failure{
			Reason: string(location.BadProfile), Message: "opening the location: the run has no profile", Hint: "name a profile with --profile",
		}
	}

	store, err := location.Open(ctx, run.Params.Profile, options...)

	return store, failure(err)
}

// failure gives an error its reason and hint in the record.
func failure(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}

	reason, hint := location.Explain(err)

	return &record.Failure{Reason: string(reason), Message: err.Error(), Hint: hint}
}
