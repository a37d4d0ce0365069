package kando

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kopia"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/output"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// server is a kopia repository server with a repository in a directory.
func server(t *testing.T) (*kopia.Serving, kopia.Options) {
	t.Helper()

	options := kopia.Options{
		Profile: locationtest.Filestore("team"), Prefix: "app", Password: "a password", Scratch: t.TempDir(), Location: []location.Option{location.At(t.TempDir())},
	}

	s, err := kopia.Serve(t.Context(), options, "127.0.0.1", "demo")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})

	return s, options
}

// certificate is that of the server at an address, as PEM.
func certificate(t *testing.T, address string) []byte {
	t.Helper()

	conn, err := tls.Dial("tcp", strings.TrimPrefix(address, "https://"), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is to be learned
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // nothing was sent

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})
}

// serverProfile is the profile of a server, as `toJson .Profile` writes it.
func serverProfile(t *testing.T, access kopia.Server) string {
	t.Helper()

	return asJSON(t, &params.Profile{
		Name: "kopia", Location: blueprint.Location{Type: blueprint.LocationKopia, Endpoint: access.URL},
		Credential: params.Credential{Type: blueprint.CredentialKopia, KopiaServerSecret: &params.KopiaServerSecret{
			Username: access.User, Hostname: access.Host, Password: access.Password, Cert: string(certificate(t, access.URL)),
		}},
	})
}

func asJSON(t *testing.T, value any) string {
	t.Helper()

	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}

	return string(raw)
}

// TestKopiaServer pushes, pulls and deletes through a server, as a profile and as a RepositoryServer describe it.
func TestKopiaServer(t *testing.T) {
	s, _ := server(t)
	access := s.Access

	profile := serverProfile(t, access)
	repositoryServer := asJSON(t, &params.RepositoryServer{
		Name: "server", Address: access.URL, Username: access.User,
		Credentials: params.RepositoryServerCredentials{
			ServerTLS:        corev1.Secret{Data: map[string][]byte{"tls.crt": certificate(t, access.URL)}},
			ServerUserAccess: corev1.Secret{Data: map[string][]byte{access.Host: []byte(access.Password)}},
		},
	})

	for name, flags := range map[string][]string{
		"profile": {"--profile", profile}, "repository server": {"-r", repositoryServer, "-c", access.Host},
	} {
		t.Run(name, func(t *testing.T) {
			call := func(in io.Reader, word string, args ...string) ran {
				t.Helper()

				return run(t, in, append(append([]string{"location", word}, flags...), args...)...)
			}
			push := func(in io.Reader, args ...string) string {
				t.Helper()

				got := call(in, "push", args...)
				parser := &output.Parser{Log: func(line string) { t.Errorf("push said %q", line) }}

				if _, err := io.WriteString(parser, got.out); err != nil || got.code != 0 {
					t.Fatalf("%v %+v", err, got)
				}

				if err := parser.Close(); err != nil {
					t.Fatal(err)
				}

				return fmt.Sprint(parser.Outputs()["snap"])
			}
			content := strings.Repeat("0123456789abcdef", 1<<17) + name
			snapshot := push(strings.NewReader(content), "--path", "dumps/app.sql", "-o", "snap", "-")

			var described info
			if err := json.Unmarshal([]byte(snapshot), &described); err != nil || described.LogicalSize != int64(len(content)) {
				t.Errorf("%v %q", err, snapshot)
			}

			if got := call(nil, "pull", "--path", "dumps/app.sql", "-k", snapshot, "-"); got.code != 0 || got.out != content || got.err != "" {
				t.Errorf("pull: %d, %d bytes, %q", got.code, len(got.out), got.err)
			}

			if name != "profile" { // the rest is the same
				return
			}

			target := filepath.Join(t.TempDir(), "target")
			if got := call(nil, "pull", "--path", "dumps/app.sql", "-k", snapshot, target); got.code != 0 || got.out+got.err != "" {
				t.Errorf("%+v", got)
			}

			if read, err := os.ReadFile(target); err != nil || string(read) != content {
				t.Errorf("%d bytes, %v", len(read), err)
			}

			if got := call(nil, "pull", "--path", "dumps/other.sql", "-k", snapshot, "-"); got.code != ExitError || got.out != "" || !strings.Contains(got.err, "no such file") {
				t.Errorf("another name: %+v", got)
			}

			if got := call(nil, "pull", "--path", "dumps/app.sql", "-"); got.code != ExitError || !strings.Contains(got.err, "--kopia-snapshot") {
				t.Errorf("no snapshot: %+v", got)
			}

			if got := call(nil, "delete", "--path", "dumps/app.sql", "-k", snapshot); got.code != 0 || got.out+got.err != "" {
				t.Errorf("%+v", got)
			}

			if got := call(nil, "delete", "--path", "dumps/app.sql", "-k", snapshot); got.code != 0 || !strings.Contains(got.err, "nothing deleted") {
				t.Errorf("%+v", got)
			}

			if got := call(nil, "pull", "--path", "dumps/app.sql", "-k", snapshot, "-"); got.code != ExitError || got.out != "" {
				t.Errorf("after the deletion: %+v", got)
			}

			// A directory and a file of this machine.
			source := t.TempDir()
			writeFile(t, filepath.Join(source, "a file"), "in it")

			snapshot = push(nil, "-o", "snap", source)
			restored := filepath.Join(t.TempDir(), "restored")

			if got := call(nil, "pull", "-k", snapshot, restored); got.code != 0 || got.out+got.err != "" {
				t.Errorf("%+v", got)
			}

			if read, err := os.ReadFile(filepath.Join(restored, "a file")); err != nil || string(read) != "in it" {
				t.Errorf("%q, %v", read, err)
			}

			snapshot = push(nil, "-o", "snap", filepath.Join(source, "a file"))
			if got := call(nil, "pull", "--path", "whatever", "-k", snapshot, "-"); got.out != "in it" {
				t.Errorf("%+v", got)
			}

			target = filepath.Join(t.TempDir(), "file")
			if got := call(nil, "pull", "-k", snapshot, target); got.code != 0 || got.out+got.err != "" {
				t.Errorf("%+v", got)
			}

			if read, err := os.ReadFile(target); err != nil || string(read) != "in it" {
				t.Errorf("%q, %v", read, err)
			}
		})
	}

	for want, flags := range map[string][]string{
		"fingerprint":       {"--profile", strings.Replace(profile, access.URL, strings.Replace(other(t), "http:", "https:", 1), 1)},
		"exclude":           {"--profile", profile, "-r", repositoryServer},
		"no password":       {"-r", repositoryServer, "-c", "nobody"},
		"password is wrong": {"--profile", strings.Replace(profile, access.Password, "wrong", 1)},
	} {
		if got := run(t, strings.NewReader("x"), append([]string{"location", "push", "--path", "x", "-"}, flags...)...); got.code != ExitError || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("want %q: %+v", want, got)
		}
	}
}

// other is a server with another certificate.
func other(t *testing.T) string {
	t.Helper()

	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)

	return s.URL
}

// TestStream backs up what a server sends, with the configuration of a kopia that is connected.
func TestStream(t *testing.T) {
	s, _ := server(t)
	content := strings.Repeat("some data ", 1<<17)
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/data":
			_, _ = io.WriteString(w, content)
		case "/short":
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "less")
		default:
			http.NotFound(w, r)
		}
	}))
	defer source.Close()

	config := writeFile(t, filepath.Join(t.TempDir(), "repository.config"), fmt.Sprintf(
		`{"apiServer": {"url": %q, "serverCertFingerprint": %q}, "hostname": %q, "username": %q, "caching": {"cacheDirectory": %q}}`,
		s.Access.URL, s.Access.Fingerprint, s.Access.Host, s.Access.User, t.TempDir()))
	push := func(password, endpoint string) ran {
		t.Helper()

		return run(t, nil, "stream", "push", "-p", password, "-c", config, "--dirPath", "/mnt/data", "--filePath", "dumps/of the/app.sql", endpoint)
	}

	if got := push(s.Access.Password, source.URL+"/data"); got.code != 0 || got.err+got.out != "" {
		t.Fatalf("%+v", got)
	}

	repository, err := kopia.Open(t.Context(), kopia.Options{Server: &s.Access, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}

	defer func() {
		if err := repository.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()

	made, err := repository.List(t.Context())
	if err != nil || len(made) != 1 || made[0].Source.Path != "/mnt/data" {
		t.Fatalf("%v %+v", err, made)
	}

	var read strings.Builder
	if err := repository.Copy(t.Context(), made[0].ID, "dumps/of the/app.sql", &read); err != nil || read.String() != content {
		t.Errorf("%v, %d bytes", err, read.Len())
	}

	for endpoint, want := range map[string]string{"/nothing": "404", "/short": "unexpected EOF"} {
		if got := push(s.Access.Password, source.URL+endpoint); got.code != ExitError || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v", endpoint, got)
		}
	}

	if got := push("wrong", source.URL+"/data"); got.code != ExitError {
		t.Errorf("%+v", got)
	}

	if made, err := repository.List(t.Context()); err != nil || len(made) != 1 {
		t.Errorf("snapshots of what did not come whole: %v %+v", err, made)
	}
}
