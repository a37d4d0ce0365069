package app

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestWhoIsNoSecret: which key and which role it was can be read, the key itself cannot.
func TestWhoIsNoSecret(t *testing.T) {
	redactor := &record.Redactor{}
	learn(redactor, &record.Input{Profile: &record.Profile{Credential: params.Credential{
		Type: blueprint.CredentialSecret, Secret: &corev1.Secret{Data: map[string][]byte{
			"aws_access_key_id": []byte("AKIASOMEBODY"), "aws_secret_access_key": []byte("wJalrXUtnFEMI"), "aws_session_token": []byte("FwoGZXIvYXdzE"),
			"role": []byte("arn:aws:iam::1:role/backup"), "aws_sts_endpoint": []byte("https://sts.example.com"),
		}},
	}}})

	const said = "AKIASOMEBODY may not assume arn:aws:iam::1:role/backup at https://sts.example.com: "
	if got := redactor.String(said + "wJalrXUtnFEMI FwoGZXIvYXdzE"); got != said+"[redacted] [redacted]" {
		t.Errorf("got %q", got)
	}
}
