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

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// locationOptions are what the three location commands share.
type locationOptions struct {
	Streams

	profile  string
	server   string
	hostname string
	path     string
	snapshot string
	output   string
	open     func(context.Context, *params.Profile) (location.Store, error)
}

// place is where things are kept: objects of a store, or snapshots of a kopia repository server.
type place interface {
	push(ctx context.Context, o *locationOptions, source string) error
	pull(ctx context.Context, o *locationOptions, target string) error
	delete(ctx context.Context, o *locationOptions) error
	close(ctx context.Context) error
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
	flags.StringVarP(&o.profile, "profile", "p", "", "the profile as JSON: '{{ toJson .Profile }}'")
	flags.StringVarP(&o.server, "repository-server", "r", "", "in place of a profile, a kopia repository server as JSON: '{{ toJson .RepositoryServer }}'")
	flags.StringVarP(&o.hostname, "repository-server-user-hostname", "c", "", "the hostname of that server's user; the first one of its Secret by default")
	flags.StringVarP(&o.path, "path", "s", "", "the object's key, below the prefix of the profile's location")
}

// do calls an action of the place that the flags name.
func (o *locationOptions) do(ctx context.Context, action func(place) error) error {
	at, err := o.place(ctx)
	if err != nil {
		return err
	}

	return errors.Join(action(at), at.close(ctx))
}

func (o *locationOptions) place(ctx context.Context) (place, error) {
	switch {
	case o.profile == "" && o.server == "":
		return nil, usageError{errors.New(`required flag(s) "profile" not set`)}
	case o.profile != "" && o.server != "":
		return nil, usageError{errors.New("--profile and --repository-server exclude each other")}
	case o.server != "":
		var server params.RepositoryServer
		if err := json.Unmarshal([]byte(o.server), &server); err != nil {
			return nil, fmt.Errorf("reading --repository-server: it is no JSON of a repository server: %w", err)
		}

		access, err := kopia.ServerOf(&server, o.hostname)
		if err != nil {
			return nil, fmt.Errorf("reading --repository-server: %w", err)
		}

		return openSnapshots(ctx, access)
	}

	profile, err := readProfile("--profile", []byte(o.profile))
	if err != nil {
		return nil, err
	}

	if profile.Location.Type == blueprint.LocationKopia {
		access, err := kopia.ServerOfProfile(profile)
		if err != nil {
			return nil, fmt.Errorf("reading --profile: %w", err)
		}

		return openSnapshots(ctx, access)
	}

	store, err := o.open(ctx, profile)
	if err != nil {
		return nil, err
	}

	return objects{store}, nil
}

// readProfile reads a profile as `toJson .Profile` writes it. from says where it stands.
func readProfile(from string, text []byte) (*params.Profile, error) {
	var profile *params.Profile
	if err := json.Unmarshal(text, &profile); err != nil {
		return nil, fmt.Errorf("reading %s: it is no JSON of a profile: %w", from, err)
	}

	if profile == nil {
		return nil, fmt.Errorf("reading %s: it is null; the run has no profile, name one with --profile of kubectl kanister", from)
	}

	return profile, nil
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
		Use:   "push SOURCE",
		Short: "Store the file SOURCE, or standard input for -, as the object PATH",
		Long: "Store the file SOURCE, or standard input for -, as the object PATH, replacing what was there only when all of it has arrived.\n\n" +
			"Through a kopia repository server it becomes a snapshot, a directory as well, which the output kandoOutput describes.",
		Example: `pg_dump app | kando location push --profile '{{ toJson .Profile }}' --path backups/app.sql -`,
		Args:    exactly("SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.do(cmd.Context(), func(at place) error { return at.push(cmd.Context(), o, args[0]) })
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output-name", "o", "kandoOutput", "the output that gets the snapshot's description, for kopia locations")

	return cmd
}

func newCmdPull(streams Streams) *cobra.Command {
	o := newLocationOptions(streams)
	cmd := &cobra.Command{
		Use:     "pull TARGET",
		Short:   "Write the object PATH to the file TARGET, or to standard output for -",
		Example: `kando location pull --profile '{{ toJson .Profile }}' --path backups/app.sql - | psql app`,
		Args:    exactly("TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.do(cmd.Context(), func(at place) error { return at.pull(cmd.Context(), o, args[0]) })
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.snapshot, "kopia-snapshot", "k", "", "the snapshot to pull, for kopia locations")

	return cmd
}

func newCmdDelete(streams Streams) *cobra.Command {
	o := newLocationOptions(streams)
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete the object PATH and everything below it",
		Long: "Delete the object PATH and everything below PATH/. Where there is nothing, it says so and succeeds.\n\n" +
			"Upstream deletes every object whose key begins with PATH, a/10 with a/1, and the whole bucket for an empty one. This does not.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.do(cmd.Context(), func(at place) error { return at.delete(cmd.Context(), o) })
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.snapshot, "kopia-snapshot", "k", "", "the snapshot to delete, for kopia locations")

	return cmd
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

// target is what is pulled into. The file is made, or emptied, with the first byte: a missing object leaves no empty file, and does
// not destroy a full one. Upstream does not empty it: a longer file kept its old end.
type target struct {
	name string
	file *os.File
}

func (t *target) Write(p []byte) (int, error) {
	if err := t.open(); err != nil {
		return 0, err
	}

	return t.file.Write(p)
}

func (t *target) open() error {
	if t.file != nil {
		return nil
	}

	var err error
	t.file, err = os.OpenFile(t.name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755) // upstream's mode

	return err
}

// close ends the file; whole: all of it has come, an empty one too.
func (t *target) close(whole bool) error {
	if whole {
		if err := t.open(); err != nil {
			return err
		}
	}

	if t.file == nil {
		return nil
	}

	return t.file.Close()
}

// fill writes to the target: standard output for -.
func (o *locationOptions) fill(name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(o.Out)
	}

	to := &target{name: name}
	err := write(to)

	return errors.Join(err, to.close(err == nil))
}
