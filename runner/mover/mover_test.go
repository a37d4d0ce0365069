package mover

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func profile(t *testing.T) *record.Profile {
	t.Helper()

	s := locationtest.Versitygw(t)
	s.Bucket(t, "backups")
	p := s.Profile("backups", "")

	return &record.Profile{Name: p.Name, Location: p.Location, Credential: p.Credential, CABundle: p.CABundle}
}

// run calls Main as a worker pod does and returns its events.
func run(t *testing.T, r Request, want int) []Event {
	t.Helper()

	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(t.TempDir(), RequestFile)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}

	var out, errOut bytes.Buffer
	if code := Main(t.Context(), []string{file}, nil, &out, &errOut); code != want || errOut.Len() > 0 {
		t.Fatalf("exit code %d, want %d\n%s%s", code, want, &out, &errOut)
	}

	if strings.Contains(out.String(), locationtest.SecretKey) || strings.Contains(out.String(), "secret password") {
		t.Error("the output shows a secret")
	}

	var events []Event

	for line := range bytes.Lines(out.Bytes()) {
		e, ok := Parse(line)
		if !ok {
			t.Fatalf("no event: %q", line)
		}

		events = append(events, e)
	}

	for i, e := range events {
		if e.Last() != (i == len(events)-1) {
			t.Fatalf("event %d of %d is %+v", i, len(events), e)
		}
	}

	return events
}

func TestBackupAndRestore(t *testing.T) {
	p, dir, target := profile(t), t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "data", "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}

	request := Request{
		Op: OpBackup, Profile: p, Prefix: "backups/app", Password: "secret password", Dir: dir,
		Source: kopia.Source{Namespace: "demo", Path: "/data"}, Tags: map[string]string{kopia.BackupTag: "abc"},
	}
	events := run(t, request, exitDone)
	made := events[len(events)-1].Backup

	if made == nil || made.ID == "" || made.Files != 1 || made.Bytes != 7 || made.Place != "backups/app" || len(events) < 2 {
		t.Fatalf("events: %+v", events)
	}

	request.Op, request.Tag, request.Dir, request.Volumes = OpRestore, "abc", target, []string{"/data"}
	if restored := run(t, request, exitDone); restored[len(restored)-1].Restore.Files != 1 {
		t.Errorf("restored: %+v", restored)
	}

	if text, err := os.ReadFile(filepath.Join(target, "data", "file")); err != nil || string(text) != "content" {
		t.Errorf("%q, %v", text, err)
	}

	request.RestorePath = "/elsewhere"
	if e := run(t, request, exitFailed)[0].Error; e == nil || !strings.Contains(e.Message, `"/elsewhere/data"`) {
		t.Errorf("restore beside the volumes: %+v", e)
	}

	request.Password = "wrong"
	if e := run(t, request, exitFailed)[0].Error; e == nil || e.Reason != "WrongPassword" || e.Hint == "" {
		t.Errorf("wrong password: %+v", e)
	}

	request.Op, request.Dir = OpBackup, filepath.Join(dir, "absent")
	if e := run(t, request, exitFailed)[0].Error; e == nil || !strings.Contains(e.Message, `"/data"`) || strings.Contains(e.Message, dir) {
		t.Errorf("absent directory: %+v", e)
	}
}

func TestBadRequests(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		in   string
	}{
		"no argument":   {nil, ""},
		"no JSON":       {[]string{"-"}, "{"},
		"unknown field": {[]string{"-"}, `{"op":"backup","directory":"/x"}`},
		"no such file":  {[]string{"/nowhere/request.json"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			if code := Main(t.Context(), c.args, strings.NewReader(c.in), &out, &errOut); code != exitUsage {
				t.Errorf("exit code %d: %s%s", code, &out, &errOut)
			}
		})
	}
}

// TestFit: what goes to the termination log always fits and always parses.
func TestFit(t *testing.T) {
	long := kopia.Problems{Count: 1000}
	for range 10 {
		long.First = append(long.First, strings.Repeat("long/path\n\"", 60)+": permission denied")
	}

	for name, e := range map[string]Event{
		"backup":  {Backup: &Backup{Snapshot: kopia.Snapshot{ID: "x", Unreadable: long, Changed: long, Special: long}}},
		"restore": {Restore: &Restore{Restored: kopia.Restored{Owner: long, Mode: long, Xattr: long}}},
		"error":   {Error: &Error{Message: strings.Repeat("because ", 2000), Reason: "TLS"}},
		"quotes":  {Error: &Error{Message: strings.Repeat("\"", 5000), Reason: "TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := e.fit(maxTermination)
			if len(text) > maxTermination {
				t.Errorf("%d bytes", len(text))
			}

			got, ok := Parse(text)
			if !ok || !got.Last() {
				t.Fatalf("does not parse: %q", text)
			}

			if got.Backup != nil && got.Backup.Unreadable.Count != 1000 {
				t.Errorf("lost a count: %+v", got.Backup)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct{ restorePath, backupPath, source, sub, target string }{
		{"", "", "/data/db", "", "/data/db"},
		{"/", "", "/data/db", "", "/data/db"},
		{"/data", "", "/db", "", "/data/db"},
		{"/data/new", "/data/db", "/data/db", "", "/data/new"},
		{"/data/new", "/data/db/base/1", "/data/db", "base/1", "/data/new"},
		{"/data/new", "/data", "/data/db", "", "/data/new/db"},
		{"/data", "/", "/db", "", "/data/db"},
		{"/data", "/other", "/db", "", "error"},
		{"/data", "/dbx", "/db", "", "error"},
		{"/database", "", "/db", "", "error"},
	} {
		r := Request{RestorePath: c.restorePath, BackupPath: c.backupPath, Volumes: []string{"/data"}}

		sub, target, err := r.paths(c.source)
		if err != nil {
			target = "error"
		}

		if sub != c.sub || target != c.target {
			t.Errorf("restorePath %q, backupPath %q, source %q: %q → %q, want %q → %q", c.restorePath, c.backupPath, c.source, sub, target, c.sub, c.target)
		}
	}
}
