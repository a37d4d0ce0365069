package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/hack/backends/s3"
)

var access = s3.Access{
	Endpoint: "https://s3.kanister-backends.svc", PlainEndpoint: "http://s3.kanister-backends.svc", HostEndpoint: "https://10.0.0.7",
	AccessKey: "KEY", SecretKey: "SECRET", Region: "us-east-1", CA: "PEM",
}

func TestEnvIsForShells(t *testing.T) {
	var b strings.Builder
	if err := write(&b, "env", "s3", access, "/a b/ca.crt"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("bash", "-euc", b.String()+`printf '%s|' "$S3_ENDPOINT" "$S3_CA_FILE" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"`).CombinedOutput()
	if want := "https://s3.kanister-backends.svc|/a b/ca.crt|KEY|SECRET|"; err != nil || string(out) != want {
		t.Errorf("shell sees %q, %v, want %q", out, err, want)
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := write(&b, "json", "s3", access, "/ca.crt"); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"hostEndpoint": "https://10.0.0.7", "ca": "PEM", "caFile": "/ca.crt", "secretKey": "SECRET"} {
		if got[field] != want {
			t.Errorf("%s = %q, want %q", field, got[field], want)
		}
	}
}

func TestOtherOutputIsRefused(t *testing.T) {
	var b strings.Builder
	if err := write(&b, "yaml", "s3", access, ""); err == nil || !strings.Contains(err.Error(), `"yaml"`) || b.Len() != 0 {
		t.Errorf("error = %v, output %q, want a refusal that names the format and no keys", err, b.String())
	}
}
