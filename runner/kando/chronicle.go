package kando

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
)

// longestManifest bounds what is read of the object that names the latest data.
const longestManifest = 4096

// tidyLimit bounds what a round does after the command's output is stored.
const tidyLimit = 30 * time.Second

func newCmdChronicle(streams Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chronicle",
		Short: "Store what a command writes again and again, keeping the latest",
		Args:  known,
		RunE:  help,
	}
	cmd.AddCommand(newCmdChroniclePush(streams), newCmdChroniclePull(streams))

	return cmd
}

// chronicle stores the output of a command every now and then. The object at its key, the manifest, holds the key of the latest
// output, KEY-N (COMPAT §5.1).
type chronicle struct {
	*locationOptions

	profileFile string
	keyFile     string
	envDir      string
	every       time.Duration
	command     string
}

func newCmdChroniclePush(streams Streams) *cobra.Command {
	c := &chronicle{locationOptions: newLocationOptions(streams)}
	cmd := &cobra.Command{
		Use:   "push COMMAND...",
		Short: "Store the output of COMMAND every now and then",
		Long: "Run sh -c COMMAND every --frequency, with the variables of --env-dir and no others, and store its output as KEY-N, where KEY is the " +
			"content of --artifact-path. The object KEY then names it, and the one before is deleted. Profile, key and variables are read anew each " +
			"time; while there is no profile file, nothing is done.\n\nIt ends with SIGTERM, or when the command fails: what that had written is not stored.",
		Example: `kando chronicle push --profile-path /run/profile --artifact-path /run/key --frequency 30s 'pg_dump app'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("%s needs a command", cmd.CommandPath())}
			}

			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c.command = strings.Join(args, " ")

			return c.push(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&c.profileFile, "profile-path", "p", "", "file with the profile as JSON (required)")
	flags.StringVarP(&c.keyFile, "artifact-path", "s", "", "file with the key of the manifest (required)")
	flags.StringVarP(&c.envDir, "env-dir", "e", "", "directory with a file for each variable of the command")
	flags.DurationVarP(&c.every, "frequency", "f", time.Minute, "time between the beginnings of two runs")

	return cmd
}

func (c *chronicle) push(ctx context.Context) error {
	for _, flag := range []struct{ name, value string }{{"profile-path", c.profileFile}, {"artifact-path", c.keyFile}} {
		if flag.value == "" {
			return usageError{fmt.Errorf("required flag(s) %q not set", flag.name)}
		}
	}

	if c.every <= 0 {
		return usageError{fmt.Errorf("--frequency is %s; it must be longer than nothing", c.every)}
	}

	ticker := time.NewTicker(c.every)
	defer ticker.Stop()

	for {
		err := c.round(ctx)
		if ctx.Err() != nil {
			return nil // told to end; what was under way is not stored, and the manifest names the one before
		}

		if err != nil {
			return err
		}

		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round stores one output.
func (c *chronicle) round(ctx context.Context) error {
	text, err := os.ReadFile(c.profileFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("reading the profile: %w", err)
	}

	raw, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("reading the key of the manifest: %w", err)
	}

	key := location.Clean(strings.TrimSpace(string(raw)))
	if key == "" {
		return fmt.Errorf("reading the key of the manifest: file %q is empty", c.keyFile)
	}

	env, err := readEnvDir(c.envDir)
	if err != nil {
		return err
	}

	profile, err := readProfile(c.profileFile, text)
	if err != nil {
		return err
	}

	store, err := c.open(ctx, profile)
	if err != nil {
		return err
	}
	defer store.Close() // what was written is stored

	// Upstream counts from 0 in each process, and writes over what its manifest names.
	before, err := latest(ctx, store, key)
	if err != nil {
		return err
	}

	current := key + "-" + strconv.Itoa(ordinal(before, key)+1)
	err = c.store(ctx, store, current, env)

	// What is stored is also named, and what is not named is deleted: the end of ctx comes after that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()

	if err != nil {
		// The store may have had all of it when the request was given up.
		if left := store.Delete(ctx, current); left != nil {
			err = errors.Join(err, fmt.Errorf("deleting what is stored of it: %w", left))
		}

		return err
	}

	if _, err := store.Put(ctx, key, strings.NewReader(current)); err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}

	if before != "" {
		if err := store.Delete(ctx, before); err != nil {
			return fmt.Errorf("deleting the output before: %w", err)
		}
	}

	return nil
}

// store runs the command into an object, which appears only when the command has succeeded.
func (c *chronicle) store(ctx context.Context, store location.Store, key string, env []string) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", c.command) // what it is for
	cmd.Env, cmd.Stderr = env, c.ErrOut
	cmd.WaitDelay = 10 * time.Second // a child of its own may hold the pipe

	in, out := io.Pipe()
	cmd.Stdout = out

	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the command: %w", err)
	}

	ended := make(chan error, 1)

	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("the command failed: %w", err)
		}

		out.CloseWithError(err)
		ended <- err
	}()

	_, err := store.Put(ctx, key, in)
	in.CloseWithError(errors.New("the output could not be stored")) // a command that goes on writing hears of it

	if failed := <-ended; err == nil || failed != nil && strings.Contains(err.Error(), failed.Error()) {
		err = failed
	}

	if err != nil {
		return fmt.Errorf("storing the output of the command: %w", err)
	}

	return nil
}

// latest is the key that the manifest names; "" if there is no manifest.
func latest(ctx context.Context, store location.Store, key string) (string, error) {
	manifest, err := store.Get(ctx, key)
	if errors.Is(err, location.ErrNotFound) {
		return "", nil
	}

	if err != nil {
		return "", fmt.Errorf("reading the manifest: %w", err)
	}
	defer manifest.Close() // read only

	text, err := io.ReadAll(io.LimitReader(manifest, longestManifest+1))
	if err != nil {
		return "", fmt.Errorf("reading the manifest: %w", err)
	}

	if named := string(text); ordinal(named, key) >= 0 {
		return named, nil
	}

	return "", fmt.Errorf("reading the manifest: %s holds something else than the key of an output; choose another key", store.URL(key))
}

// ordinal is N of KEY-N; -1 of anything else.
func ordinal(named, key string) int {
	digits, found := strings.CutPrefix(named, key+"-")
	n, err := strconv.Atoi(digits)

	if !found || err != nil || n < 0 {
		return -1
	}

	return n
}

// readEnvDir reads the variables of a directory with a file for each. Upstream skips links, and with them everything in a mounted
// Secret; here links to files count.
func readEnvDir(dir string) ([]string, error) {
	env := []string{} // not nil: the command inherits none

	if dir == "" {
		return env, nil
	}

	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return env, nil
	}

	if err != nil {
		return nil, fmt.Errorf("reading the variables: %w", err)
	}

	for _, e := range entries {
		file := filepath.Join(dir, e.Name())

		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("reading the variables: %w", err)
		}

		if !info.Mode().IsRegular() {
			continue
		}

		value, err := os.ReadFile(file) // named by the user
		if err != nil {
			return nil, fmt.Errorf("reading the variables: %w", err)
		}

		env = append(env, e.Name()+"="+string(value))
	}

	return env, nil
}

func newCmdChroniclePull(streams Streams) *cobra.Command {
	o := newLocationOptions(streams)
	cmd := &cobra.Command{
		Use:   "pull TARGET",
		Short: "Write the latest output to the file TARGET, or to standard output for -",
		Args:  exactly("TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.do(cmd.Context(), func(at place) error { return o.pullLatest(cmd.Context(), at, args[0]) })
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.profile, "profile", "p", "", "the profile as JSON: '{{ toJson .Profile }}' (required)")
	flags.StringVarP(&o.path, "path", "s", "", "the key of the manifest")

	return cmd
}

func (o *locationOptions) pullLatest(ctx context.Context, at place, target string) error {
	stored, ok := at.(objects)
	if !ok {
		return errors.New("a chronicle needs an object store, not a kopia repository server")
	}

	key, err := o.object()
	if err != nil {
		return err
	}

	key = location.Clean(key)

	// A push may delete what its manifest named a moment ago.
	for range 3 {
		if o.path, err = latest(ctx, stored, key); err == nil && o.path == "" {
			err = fmt.Errorf("reading the manifest: %s: %w", stored.URL(key), location.ErrNotFound)
		}

		if err != nil {
			return err
		}

		if err = stored.pull(ctx, o, target); !errors.Is(err, location.ErrNotFound) {
			return err
		}
	}

	return err
}
