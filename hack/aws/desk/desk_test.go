package desk

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

type front struct {
	*httptest.Server

	dir  string
	keys *Keyring
	did  []Request
}

func newFront(t *testing.T, name, path string) *front {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	service, err := model.Load(filepath.Join(strings.TrimSpace(string(out)), "models/apis", path, "api-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	f := &front{dir: t.TempDir()}
	if f.keys, err = NewKeyring("AKIATEST:secret", "AKIALOW:low:sts"); err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewServer(&Desk{Service: service, Name: name, Dir: f.dir, Keys: f.keys, Do: func(r Request) (map[string]any, error) {
		f.did = append(f.did, r)
		return map[string]any{}, nil
	}})
	t.Cleanup(f.Close)
	return f
}

func (f *front) ask(t *testing.T, keys aws.Credentials, service, body string, at time.Time) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if keys.AccessKeyID != "" {
		if err := Sign(r, keys, hashOf(body), service, "eu-test-1", at); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<Code>")
	code, _, _ := strings.Cut(rest, "<")
	return answer.StatusCode, code
}

// Every service refuses bad keys and signatures with the codes that it has for them, and nothing is done.
func TestWhoMayNot(t *testing.T) {
	now := time.Now()
	for _, service := range []struct{ name, path, body, unknown, wrong, expired, late, denied string }{
		{
			"rds", "rds/2014-10-31", "Action=DeleteDBSnapshot&Version=2014-10-31&DBSnapshotIdentifier=s",
			"InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "SignatureDoesNotMatch", "AccessDenied",
		},
		{
			"ec2", "ec2/2016-11-15", "Action=DeleteSnapshot&Version=2016-11-15&SnapshotId=snap-1",
			"AuthFailure", "AuthFailure", "RequestExpired", "RequestExpired", "UnauthorizedOperation",
		},
	} {
		f := newFront(t, service.name, service.path)
		main := aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret"}
		session := f.keys.Issue("arn:aws:iam::000000000001:role/r", "s", now.Add(time.Hour))
		gone := f.keys.Issue("arn:aws:iam::000000000001:role/r", "s", now.Add(-time.Second))
		temporary := func(k Key) aws.Credentials {
			return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Token}
		}
		bare := temporary(session)
		bare.SessionToken = ""
		for name, test := range map[string]struct {
			keys    aws.Credentials
			service string
			at      time.Time
			want    string
		}{
			"good":            {main, service.name, now, ""},
			"session":         {temporary(session), service.name, now, ""},
			"unknown":         {aws.Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "x"}, service.name, now, service.unknown},
			"wrong secret":    {aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "other"}, service.name, now, service.wrong},
			"without token":   {bare, service.name, now, service.unknown},
			"expired":         {temporary(gone), service.name, now, service.expired},
			"an hour ago":     {main, service.name, now.Add(-time.Hour), service.late},
			"for another":     {main, "sts", now, service.wrong},
			"only for sts":    {aws.Credentials{AccessKeyID: "AKIALOW", SecretAccessKey: "low"}, service.name, now, service.denied},
			"unsigned":        {aws.Credentials{}, service.name, now, "MissingAuthenticationToken"},
			"session's token": {aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret", SessionToken: "x"}, service.name, now, service.unknown},
		} {
			f.did = nil
			status, code := f.ask(t, test.keys, test.service, service.body, test.at)
			if code != test.want || (status == 200) != (test.want == "") || (len(f.did) == 1) != (test.want == "") {
				t.Errorf("%s %s: %d %q, want %q; done %v", service.name, name, status, code, test.want, f.did)
			}
		}
	}
}

func TestDisturbances(t *testing.T) {
	f := newFront(t, "rds", "rds/2014-10-31")
	main := aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret"}
	ask := func(body string) (int, string) { return f.ask(t, main, "rds", body, time.Now()) }
	remove := "Action=DeleteDBSnapshot&Version=2014-10-31&DBSnapshotIdentifier=s"
	if status, code := ask(remove + "&Nonsense=1"); status != 400 || code != "UnknownParameter" || len(f.did) != 0 {
		t.Errorf("%d %s, done %v", status, code, f.did)
	}
	for _, test := range []struct {
		fail, want string
		status     int
	}{{"", "", 200}, {"DeleteDBSnapshot AccessDenied", "AccessDenied", 403}, {"CreateDBSnapshot AccessDenied", "", 200}, {"DeleteDBSnapshot InvalidDBSnapshotState", "InvalidDBSnapshotState", 400}} {
		if err := os.WriteFile(filepath.Join(f.dir, "fail"), []byte(test.fail+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, code := ask(remove); status != test.status || code != test.want {
			t.Errorf("%q: %d %s", test.fail, status, code)
		}
	}
	noted, err := os.ReadFile(filepath.Join(f.dir, "requests"))
	if err != nil || string(noted) != strings.Repeat("DeleteDBSnapshot s\n", 4) {
		t.Errorf("noted %q, %v", noted, err)
	}
	if r := f.did[0]; r.Region != "eu-test-1" || r.Key.ARN != "arn:aws:iam::000000000001:user/AKIATEST" || r.Input["DBSnapshotIdentifier"] != "s" {
		t.Errorf("%+v", r)
	}
}

func TestKeysHaveSecrets(t *testing.T) {
	for _, word := range []string{"AKIATEST", "AKIATEST:", ":secret"} {
		if _, err := NewKeyring(word); err == nil {
			t.Errorf("%q is a key", word)
		}
	}
	if _, err := (&Keyring{}).Check(httptest.NewRequest(http.MethodGet, "/", nil)); err == nil || errors.Is(err, ErrStranger) {
		t.Errorf("unsigned: %v", err)
	}
}
