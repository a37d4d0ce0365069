package kando

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// locationOptions are what the three location commands share.
type locationOptions struct {
	Streams

	profile  string
	path     string
	snapshot string // of a kopia server: accepted, because blueprints pass it for every location type
	output   string
	open     func(context.Context, *params.Profile) (location.Store, error)
}

func newLocationOptions(streams Streams) *locationOptions {
	return &locationOptions{
		Streams: streams,
		open: func(ctx context.Context, p *params.Profile) (location.Store, error) {
			return location.Open(ctx, p)
		},
	}
}

// AddFlags adds the shared flags.
func (o *locationOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&o.profile, "profile", "p", "", "the profile as JSON: '{{ toJson .Profile }}' (required)")
	flags.StringVarP(&o.path, "path", "s", "", "the object's key, below the prefix of the profile's location")
}

// store opens the profile's location.
func (o *locationOptions) store(ctx context.Context) (location.Store, error) {
	if o.profile == "" {
		return nil, usageError{errors.New(`required flag(s) "profile" not set`)}
	}

	var profile *params.Profile
	if err := json.Unmarshal([]byte(o.profile), &profile); err != nil {
		return nil, fmt.Errorf("reading --profile: it is no JSON of a profile: %w", err)
	}

	if profile == nil {
		return nil, errors.New("reading --profile: it is null; the run has no profile, name one with --profile of kubectl kanister")
	}

	return o.open(ctx, profile)
}

// object is the path, which must name one object.
func (o *locationOptions) object() (string, error) {
	if location.Clean(o.path) == "" {
		return "", usageError{errors.New("--path names no object: it is empty")}
	}

	return o.path, nil
}

func newCmdLocation(streams Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "location",
		Short: "Push to, pull from and delete in the profile's location",
		Args:  known,
		RunE:  help,
	}
	cmd.AddCommand(newCmdPush(streams), newCmdPull(streams), newCmdDelete(streams))

	return cmd
}

func newCmdPush(streams Streams) *cobra.Command {
	o := newLocationOptions(streams)
	cmd := &cobra.Command{
		Use:     "push SOURCE",
		Short:   "Store the file SOURCE, or standard input for -, as the object PATH",
		Long:    "Store the file SOURCE, or standard input for -, as the object PATH, replacing what was there only when all of it has arrived.",
		Example: `pg_dump app | kando location push --profile '{{ toJson .Profile }}' --path backups/app.sql -`,
		Args:    exactly("SOURCE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.push(cmd.Context(), args[0]) },
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output-name", "o", "kandoOutput", "the output that gets the snapshot's description, for kopia locations")

	return cmd
}

func (o *locationOptions) push(ctx context.Context, source string) error {
	key, err := o.object()
	if err != nil {
		return err
	}

	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	defer store.Close() // Put has returned: everything is stored

	content, done, err := o.source(source)
	if err != nil {
		return err
	}
	defer done()

	if _, err := store.Put(ctx, key, content); err != nil {
		return fmt.Errorf("pushing %s: %w", source, err)
	}

	return nil
}

// source opens what is to be pushed.
func (o *locationOptions) source(name string) (io.Reader, func(), error) {
	if name == "-" {
		// A terminal or /dev/null, where a pipe was meant, would become an empty backup.
		if file, ok := o.In.(*os.File); ok {
			info, err := file.Stat()
			if err != nil {
				return nil, nil, fmt.Errorf("reading standard input: %w", err)
			}

			if info.Mode()&os.ModeCharDevice != 0 {
				return nil, nil, errors.New(`standard input must be piped when the source is "-"`)
			}
		}

		return o.In, func() {}, nil
	}

	file, err := os.Open(name) // the user's own word
	if err != nil {
		return nil, nil, fmt.Errorf("pushing %s: %w", name, err)
	}

	done := func() { _ = file.Close() } // read only

	if info, err := file.Stat(); err == nil && info.IsDir() {
		done()

		return nil, nil, fmt.Errorf("pushing %s: it is a directory; push a file, or pipe an archive", name)
	}

	return file, done, nil
}

func newCmdPull(streams Streams) *cobra.Command {
	o := newLocationOptions(streams)
	cmd := &cobra.Command{
		Use:     "pull TARGET",
		Short:   "Write the object PATH to the file TARGET, or to standard output for -",
		Example: `kando location pull --profile '{{ toJson .Profile }}' --path backups/app.sql - | psql app`,
		Args:    exactly("TARGET"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.pull(cmd.Context(), args[0]) },
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.snapshot, "kopia-snapshot", "k", "", "the snapshot to pull, for kopia locations")

	return cmd
}

func (o *locationOptions) pull(ctx context.Context, target string) error {
	key, err := o.object()
	if err != nil {
		return err
	}

	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	defer store.Close() // read only

	// Before TARGET is touched: a missing object must not leave an empty file.
	content, err := store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("pulling %s: %w", target, err)
	}
	defer content.Close() // read only

	if target == "-" {
		if _, err := io.Copy(o.Out, content); err != nil {
			return fmt.Errorf("pulling %s: %w", store.URL(key), err)
		}

		return nil
	}

	// Upstream does not truncate: a longer file kept its old end.
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755) // upstream's mode
	if err != nil {
		return fmt.Errorf("pulling %s: %w", target, err)
	}

	_, err = io.Copy(file, content)
	if closed := file.Close(); err == nil {
		err = closed
	}

	if err != nil {
		return fmt.Errorf("pulling %s to %s: %w", store.URL(key), target, err)
	}

	return nil
}

func newCmdDelete(streams Streams) *cobra.Command {
	o := newLocationOptions(streams)
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete the object PATH and everything below it",
		Long: "Delete the object PATH and everything below PATH/. Where there is nothing, it says so and succeeds.\n\n" +
			"Upstream deletes every object whose key begins with PATH, a/10 with a/1, and the whole bucket for an empty one. This does not.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.delete(cmd.Context()) },
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.snapshot, "kopia-snapshot", "k", "", "the snapshot to delete, for kopia locations")

	return cmd
}

func (o *locationOptions) delete(ctx context.Context) error {
	key, err := o.object()
	if err != nil {
		return err
	}

	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	defer store.Close() // Delete has returned

	key = location.Clean(key)

	_, err = store.Stat(ctx, key)
	if err != nil && !errors.Is(err, location.ErrNotFound) {
		return fmt.Errorf("deleting %s: %w", store.URL(key), err)
	}

	found := err == nil
	if err := store.Delete(ctx, key); err != nil {
		return fmt.Errorf("deleting %s: %w", store.URL(key), err)
	}

	var below []string

	err = store.List(ctx, key+"/", func(object location.Object) error {
		below = append(below, object.Key)

		return nil
	})
	if err != nil {
		return fmt.Errorf("deleting below %s: %w", store.URL(key), err)
	}

	for _, k := range below {
		if err := store.Delete(ctx, k); err != nil {
			return fmt.Errorf("deleting %s: %w", store.URL(k), err)
		}
	}

	if !found && len(below) == 0 {
		// No error, as upstream's; but a mistyped path must not look like a deleted backup.
		if _, err := fmt.Fprintf(o.ErrOut, "kando: nothing deleted: %s does not exist\n", store.URL(key)); err != nil {
			return fmt.Errorf("saying that nothing was deleted: %w", err)
		}
	}

	return nil
}
