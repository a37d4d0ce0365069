package kopia_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
)

// commandLine is kopia's own command line, of the version that this package links.
type commandLine struct {
	t      *testing.T
	binary string
	home   string
}

func newCommandLine(t *testing.T) *commandLine {
	t.Helper()

	return &commandLine{t: t, binary: locationtest.Binary(t, "kopia-v0.22.3", ".", "github.com/kopia/kopia"), home: t.TempDir()}
}

func (c *commandLine) try(args ...string) (string, error) {
	cmd := exec.Command(c.binary, append(args, "--config-file", filepath.Join(c.home, "config"), "--log-dir", c.home)...)
	cmd.Env = append(os.Environ(), "HOME="+c.home, "KOPIA_CHECK_FOR_UPDATES=false", "KOPIA_PASSWORD="+password)

	var complaints strings.Builder

	cmd.Stderr = &complaints
	text, err := cmd.Output()

	if err != nil {
		err = fmt.Errorf("kopia %s: %w\n%s%s", strings.Join(args, " "), err, text, &complaints)
	}

	return string(text), err
}

func (c *commandLine) run(args ...string) string {
	c.t.Helper()

	text, err := c.try(args...)
	if err != nil {
		c.t.Fatal(err)
	}

	return text
}

// repository runs a command on the repository itself: "connect" or "create".
func (c *commandLine) repository(verb string, options kopia.Options) {
	c.t.Helper()

	p := options.Profile
	prefix := location.Join(p.Location.Prefix, location.ArtifactKey(p.Location, options.Prefix))

	if p.Location.Bucket == "" {
		c.run("repository", verb, "filesystem", "--path", filepath.Join(location.MountPath(options.Location...), prefix))

		return
	}

	c.run("repository", verb, "s3", "--bucket", p.Location.Bucket, "--prefix", prefix+"/",
		"--endpoint", strings.TrimPrefix(p.Location.Endpoint, "https://"), "--access-key", locationtest.AccessKey,
		"--secret-access-key", locationtest.SecretKey, "--root-ca-pem-base64", base64.StdEncoding.EncodeToString([]byte(p.CABundle)))
}

// TestCommandLineReadsOurs opens what we wrote with kopia's own command line: list, verify, restore, and compares the trees.
func TestCommandLineReadsOurs(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		source := fixture(t)

		// Thousands of small files, as mail and caches have.
		count := 4000
		if options.Profile.Location.Bucket == "" || testing.Short() {
			count = 1000
		}

		for i := range count {
			name := filepath.Join(source, "small", fmt.Sprint(i%100), fmt.Sprint(i))
			if i < 100 {
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
			}

			if err := os.WriteFile(name, []byte(strings.Repeat(name, i%50)), 0o640); err != nil {
				t.Fatal(err)
			}
		}

		r := create(t, options)
		made := backup(t, r, source)

		cli := newCommandLine(t)
		cli.repository("connect", options)

		var list []struct {
			ID     string            `json:"id"`
			Source map[string]string `json:"source"`
			Tags   map[string]string `json:"tags"`
			Pins   []string          `json:"pins"`
		}
		if err := json.Unmarshal([]byte(cli.run("snapshot", "list", "--all", "--json")), &list); err != nil {
			t.Fatal(err)
		}

		if len(list) != 1 || list[0].ID != made.ID || list[0].Source["path"] != "/data" || list[0].Source["host"] != "demo" ||
			list[0].Tags["tag:backupTag"] != made.Tags[kopia.BackupTag] {
			t.Errorf("snapshot list: %+v", list)
		}

		cli.run("snapshot", "verify", "--verify-files-percent=100")

		target := filepath.Join(t.TempDir(), "restored")
		cli.run("snapshot", "restore", made.ID, target)
		// kopia's own restore gives directories another time and links one in microseconds, and knows neither holes nor extended attributes nor hard links nor names that
		// are not UTF-8.
		want, got := listing(t, source, false), listing(t, target, false)
		for _, tree := range []map[string]string{want, got} {
			for name, line := range tree {
				if fields := strings.Fields(line); line[0] == 'd' || line[0] == 'L' {
					tree[name] = strings.Join(append(fields[:2], fields[3:]...), " ")
				}

				if strings.HasPrefix(name, "not utf8") {
					delete(tree, name)
				}
			}
		}

		// kopia takes this name for a placeholder of its own.
		delete(want, "shallow.kopia-entry")
		delete(got, "shallow.kopia-entry")

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-source +restored by kopia):\n%s", diff)
		}

		// Retention rules do not touch our snapshots.
		cli.run("snapshot", "expire", "--all", "--delete")

		if text := cli.run("snapshot", "list", "--all", "--json"); !strings.Contains(text, made.ID) {
			t.Errorf("kopia's snapshot expire deleted ours: %s", text)
		}

		// And the other way round: what the command line adds, we read.
		theirs := t.TempDir()
		if err := errors.Join(os.MkdirAll(filepath.Join(theirs, "dir", "sub"), 0o700), os.WriteFile(filepath.Join(theirs, "dir", "sub", "file"), []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}

		cli.run("snapshot", "create", "--tags", "backupTag:by-hand", theirs)

		found, err := r.Find(t.Context(), "", "by-hand")
		if err != nil {
			t.Fatal(err)
		}

		ours := t.TempDir()
		if _, err := r.Restore(t.Context(), kopia.Restore{ID: found.ID, Sub: "dir", Target: ours}); err != nil {
			t.Fatal(err)
		}

		if text, err := os.ReadFile(filepath.Join(ours, "sub", "file")); err != nil || string(text) != "x" {
			t.Errorf("%q, %v", text, err)
		}

		cli.run("maintenance", "run", "--full", "--safety=full", "--force")
	})
}

// TestOpensTheirs: a repository that kopia's command line created with its defaults is used as it is.
func TestOpensTheirs(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		if options.Profile.Location.Bucket == "" {
			root := filepath.Join(location.MountPath(options.Location...), options.Profile.Location.Prefix, options.Prefix)
			if err := os.MkdirAll(root, 0o777); err != nil {
				t.Fatal(err)
			}
		}

		cli := newCommandLine(t)
		cli.repository("create", options)

		source := fixture(t)
		r := create(t, options)
		made := backup(t, r, source)
		cli.run("snapshot", "verify", made.ID, "--verify-files-percent=100")
	})
}
