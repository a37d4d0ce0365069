package restic

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

func profile(l blueprint.Location) *params.Profile {
	return &params.Profile{Name: "p", Location: l, Credential: params.Credential{
		Type: blueprint.CredentialKeyPair, KeyPair: &params.KeyPair{ID: "id", Secret: "it's $HOME `x`"},
	}}
}

// TestLocate: URLs as upstream made them (COMPAT §4.0.4).
func TestLocate(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		location blueprint.Location
		prefix   string
		want     string
	}{
		"S3":                 {blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Region: "us-east-1"}, "x/y", "s3:s3.amazonaws.com/b/x/y"},
		"bucket in the path": {blueprint.Location{Type: blueprint.LocationS3, Bucket: "b"}, "b/x/y", "s3:s3.amazonaws.com/b/x/y"},
		"bucket alike":       {blueprint.Location{Type: blueprint.LocationS3, Bucket: "b"}, "bb/x", "s3:s3.amazonaws.com/b/bb/x"},
		"endpoint":           {blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Endpoint: "https://s3.example:9000//"}, "x", "s3:https://s3.example:9000/b/x"},
		"prefix of profile":  {blueprint.Location{Type: blueprint.LocationS3, Bucket: "b", Prefix: "no/matter"}, "x", "s3:s3.amazonaws.com/b/x"},
		"Azure":              {blueprint.Location{Type: blueprint.LocationAzure, Bucket: "b"}, "b/x/y", "azure:b:/x/y/"},
		"GCS":                {blueprint.Location{Type: blueprint.LocationGCS, Bucket: "b"}, "x/y", "gs:b:/x/y/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r, err := Locate(t.Context(), profile(tc.location), tc.prefix, "", "/secret")
			if err != nil || r.URL != tc.want {
				t.Fatalf("got %+v, %v; want %s", r, err, tc.want)
			}
		})
	}

	if _, err := Locate(t.Context(), profile(blueprint.Location{Type: blueprint.LocationFilestore}), "x", "", "/secret"); err == nil {
		t.Error("a filestore has no restic repository of upstream's")
	}
}

// TestEnvironment: a shell reads what was written, whatever the values hold.
func TestEnvironment(t *testing.T) {
	t.Parallel()

	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here")
	}

	for _, value := range []string{"plain", "it's", `a "b" $HOME $(id) \ ` + "`x`", "two\nlines", "'"} {
		script := string(environment(map[string]string{"VALUE": value})) + `printf %s "$VALUE"`

		out, err := exec.CommandContext(t.Context(), sh, "-c", script).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q came out as %q, %v", value, out, err)
		}
	}
}

func TestRestoreCommand(t *testing.T) {
	t.Parallel()

	r := &Repository{Flags: []string{"--insecure-tls"}}

	for name, tc := range map[string]struct {
		ask  Restore
		want string // arguments of restic
		says string
	}{
		"where it was":    {ask: Restore{Tag: "t", Volumes: []string{"/data", "/mnt/a*b"}, Root: "/v"}, want: `restore --no-lock --target /v --insecure-tls --tag t --include /data/* --include /mnt/a\*b/* latest`},
		"elsewhere above": {ask: Restore{ID: "i", Path: "/x", Volumes: []string{"/x/data"}, Root: "/v"}, want: `restore --no-lock --target /v/x --insecure-tls --include /data/* i`},
		"into the volume": {ask: Restore{ID: "i", Path: "/data/sub/", Volumes: []string{"/data"}, Root: "/v"}, want: `restore --no-lock --target /v/data/sub --insecure-tls i`},
		"a part":          {ask: Restore{ID: "i", Sub: "/a/b", Path: "/data", Volumes: []string{"/data"}, Root: "/v"}, want: `restore --no-lock --target /v/data --insecure-tls i:/a/b`},
		"root volume":     {ask: Restore{ID: "i", Volumes: []string{"/"}, Root: "/v"}, want: `restore --no-lock --target /v --insecure-tls i`},
		"beside":          {ask: Restore{ID: "i", Path: "/other", Volumes: []string{"/data"}, Root: "/v"}, says: `below "/other"`},
		"alike":           {ask: Restore{ID: "i", Path: "/dat", Volumes: []string{"/data"}, Root: "/v"}, says: `below "/dat"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := r.Restore("/secret", tc.ask)
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("got %v, want %q", err, tc.says)
				}

				return
			}

			if err != nil || strings.Join(got[5:], " ") != tc.want {
				t.Fatalf("got  %s, %v\nwant %s", strings.Join(got[5:], " "), err, tc.want)
			}
		})
	}
}

// TestScripts: they say that there is no restic, or too old a one, and pass arguments on as they are.
func TestScripts(t *testing.T) {
	t.Parallel()

	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here")
	}

	dir := t.TempDir()
	write(t, filepath.Join(dir, EnvFile), "export SAID=yes\n", 0o600)

	old, recent, none := t.TempDir(), t.TempDir(), t.TempDir()
	fake := "#!" + sh + "\n[ \"$1\" = version ] && { echo 'restic VERSION compiled with go'; exit; }\nprintf '%s|' \"$SAID\" \"$@\"\n"
	write(t, filepath.Join(old, "restic"), strings.Replace(fake, "VERSION", "0.14.0", 1), 0o700)
	write(t, filepath.Join(recent, "restic"), strings.Replace(fake, "VERSION", "0.16.5", 1), 0o700)

	r := &Repository{}
	part, err := r.Restore(dir, Restore{ID: "i", Sub: "/a b", Path: "/d", Volumes: []string{"/d"}})
	if err != nil {
		t.Fatal(err)
	}

	for name, tc := range map[string]struct {
		path    string
		command []string
		exit    int
		out     string
	}{
		"none":         {none, r.List(dir), NoRestic, ""},
		"list":         {old, r.List(dir), 0, "yes|snapshots|--json|--no-lock|"},
		"too old":      {old, part, TooOld, ""},
		"recent":       {recent, part, 0, "yes|restore|--no-lock|--target|/d|i:/a b|"},
		"forget":       {old, r.Forget(dir, []string{"a", "b c"}, true), 0, "yes|unlock|yes|forget|--prune|a|b c|"},
		"stats":        {old, r.Stats(dir, "$(id)", "raw-data"), 0, "yes|stats|--json|--no-lock|--mode|raw-data|$(id)|"},
		"check a file": {old, r.Check(dir), 0, "yes|cat|config|--no-lock|"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			cmd := exec.CommandContext(t.Context(), sh, tc.command[1:]...)
			cmd.Env = []string{"PATH=" + tc.path}

			out, _ := cmd.Output() // the exit code says it
			if code := cmd.ProcessState.ExitCode(); code != tc.exit || string(out) != tc.out {
				t.Errorf("exit code %d, %q; want %d, %q", code, out, tc.exit, tc.out)
			}
		})
	}
}

// TestAnswers: as restic 0.14 writes them.
func TestAnswers(t *testing.T) {
	t.Parallel()

	list := []string{"", `[{"time":"2026-01-02T00:00:00Z","tags":["b"],"id":"98ba9e40aaaa","short_id":"98ba9e40"},{"time":"2026-01-01T00:00:00Z","tags":["a"],"id":"11","short_id":"11"}]`}

	got, err := Snapshots(list)
	if err != nil || len(got) != 2 || got[0].ID != "11" || !got[1].Is("98ba9e40") || !got[1].Is("98ba9e40aa") || got[1].Is("98ba") || got[1].Is("") {
		t.Errorf("snapshots %+v, %v", got, err)
	}

	for _, empty := range []string{"[]", "null"} {
		if got, err := Snapshots([]string{empty}); err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v", empty, got, err)
		}
	}

	if _, err := Snapshots([]string{"[0:00] 100%"}); err == nil {
		t.Error("no list, no error")
	}

	s, err := ParseStats([]string{"x", `{"total_size":3000004,"total_file_count":5,"total_blob_count":9}`})
	if diff := cmp.Diff(Stats{Bytes: 3000004, Files: 5, Blobs: 9}, s); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}

	if got := Freed([]string{"to delete:             9 blobs / 2.862 MiB", "total prune:           9 blobs / 2.862 MiB", "remaining: 0 blobs / 0 B"}); got != "2.862 MiB" {
		t.Errorf("freed %q", got)
	}

	if got := Freed(nil); got != "0 B" {
		t.Errorf("freed %q", got)
	}

	for text, want := range map[string]Reason{
		"Fatal: wrong password or no key found":                                 WrongPassword,
		"Ignoring \"x\": no matching ID found for prefix \"x\"":                 NoSnapshot,
		"Fatal: latest snapshot for criteria not found: no snapshot found":      NoSnapshot,
		"unable to create lock in backend: repository is already locked by PID": Locked,
		"dial tcp: no such host":                                                Unknown,
	} {
		if got := Why([]string{"a", text}); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}

	chown := "ignoring error for /data/a: lchown /volumes/data/a: operation not permitted"
	if n, examples, only := OnlyOwners([]string{chown, "Fatal: There were 1 errors"}); n != 1 || !only || examples[0] != "/data/a" {
		t.Errorf("%d %v %v", n, examples, only)
	}

	for _, lines := range [][]string{
		{chown, "ignoring error for /data/b: write: no space left on device", "Fatal: There were 2 errors"},
		{chown}, {"Fatal: There were 1 errors"}, nil,
	} {
		if _, _, only := OnlyOwners(lines); only {
			t.Errorf("%q is taken for owners only", lines)
		}
	}
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()

	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
