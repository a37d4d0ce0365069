package kopia_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
)

// ofFiles are the options of a repository in a directory.
func ofFiles(t *testing.T) kopia.Options {
	t.Helper()

	return kopia.Options{
		Profile: locationtest.Filestore("team/a"), Prefix: "app", Password: password, Scratch: t.TempDir(), Location: []location.Option{location.At(t.TempDir())},
	}
}

func serve(t *testing.T, options kopia.Options) *kopia.Serving {
	t.Helper()

	s, err := kopia.Serve(t.Context(), options, "127.0.0.1", "demo")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})

	return s
}

// TestServe backs up through a server of our own, and restores through it and by direct access, byte by byte and attribute by attribute.
func TestServe(t *testing.T) {
	stores(t, func(t *testing.T, options kopia.Options) {
		source := fixture(t)
		s := serve(t, options)
		through := create(t, kopia.Options{Server: &s.Access, Scratch: t.TempDir()})

		made := backup(t, through, source)
		if made.Source.Namespace != "demo" || made.Source.Path != "/data" || made.BytesNew == 0 {
			t.Errorf("made %+v", made)
		}

		again := backup(t, through, source)
		if again.BytesNew > made.BytesNew/2 {
			t.Errorf("the second backup of the same data sent %d bytes, the first %d", again.BytesNew, made.BytesNew)
		}

		direct := create(t, options)
		for name, r := range map[string]*kopia.Repository{"server": through, "direct": direct} {
			target := t.TempDir()
			if _, err := r.Restore(t.Context(), kopia.Restore{ID: made.ID, Target: target}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}

			if diff := cmp.Diff(listing(t, source, true), listing(t, target, true)); diff != "" {
				t.Errorf("%s: -backed up +restored\n%s", name, diff)
			}
		}

		if err := through.Delete(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}

		if _, err := through.Find(t.Context(), made.ID, ""); !errors.Is(err, kopia.ErrNotFound) {
			t.Errorf("after the deletion: %v", err)
		}

		if _, err := through.Reclaim(t.Context(), kopia.Reckless); err == nil || !strings.Contains(err.Error(), "profile") {
			t.Errorf("reclaiming through a server: %v", err)
		}
	})
}

func TestServerRefuses(t *testing.T) {
	options := ofFiles(t)
	s := serve(t, options)

	for name, test := range map[string]struct {
		change func(*kopia.Server)
		reason location.Reason
		text   string
	}{
		"fingerprint": {func(s *kopia.Server) { s.Fingerprint = strings.Repeat("ab", 32) }, location.TLS, s.Access.Fingerprint},
		"password":    {func(s *kopia.Server) { s.Password = "not his password" }, location.WrongKey, "kanister@demo"},
		"user":        {func(s *kopia.Server) { s.User = "somebody" }, location.WrongKey, "somebody@demo"},
		"host":        {func(s *kopia.Server) { s.Host = "elsewhere" }, location.WrongKey, "kanister@elsewhere"},
		"port":        {func(s *kopia.Server) { s.URL = "https://127.0.0.1:1" }, location.Unreachable, "127.0.0.1:1"},
		"name":        {func(s *kopia.Server) { s.URL = "https://kopia.invalid:51515" }, location.DNS, "kopia.invalid"},
		"address":     {func(s *kopia.Server) { s.URL = "kopia.invalid" }, location.BadProfile, "kopia.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			access := s.Access
			test.change(&access)

			_, err := kopia.Open(t.Context(), kopia.Options{Server: &access, Scratch: t.TempDir()})
			if reason := location.ReasonOf(err); reason != test.reason || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %q, %v; want %q and %q", reason, err, test.reason, test.text)
			}

			if _, hint := location.Explain(err); hint == "" {
				t.Errorf("no hint with %v", err)
			}

			if err != nil && strings.Contains(err.Error(), access.Password) {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

func TestServeWrongPassword(t *testing.T) {
	options := ofFiles(t)
	closeRepository(t, create(t, options))

	options.Password = "another"

	_, err := kopia.Serve(t.Context(), options, "127.0.0.1", "demo")
	if location.ReasonOf(err) != location.WrongPassword {
		t.Errorf("got %v", err)
	}

	left, _ := filepath.Glob(filepath.Join(options.Scratch, "*"))
	if len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

// TestServeLeavesNoSecret looks for what the one-run user has: neither files nor the repository keep it.
func TestServeLeavesNoSecret(t *testing.T) {
	options := ofFiles(t)

	s, err := kopia.Serve(t.Context(), options, "127.0.0.1", "demo")
	if err != nil {
		t.Fatal(err)
	}

	_ = filepath.WalkDir(options.Scratch, func(file string, d os.DirEntry, _ error) error {
		if d.Type().IsRegular() {
			text, _ := os.ReadFile(file)
			for _, secret := range []string{s.Access.Password, options.Password} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s holds a password", file)
				}
			}
		}

		return nil
	})

	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	if left, _ := os.ReadDir(options.Scratch); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	if _, err := kopia.Open(t.Context(), kopia.Options{Server: &s.Access, Scratch: t.TempDir()}); location.ReasonOf(err) != location.Unreachable {
		t.Errorf("the server still answers: %v", err)
	}
}
