package kube

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestMaterialInsideSomethingLonger: a template encodes more than the secret, and the secret must still be recognised.
func TestMaterialInsideSomethingLonger(t *testing.T) {
	const password = "s3cr3t-needle"

	m := NewMaterial(password)

	for _, user := range []string{"a", "ab", "abc", "postgres", ""} {
		for name, encoding := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw": base64.RawStdEncoding} {
			text := "Authorization: Basic " + encoding.EncodeToString([]byte(user+":"+password+"?"))
			if !m.In(text) {
				t.Errorf("%s: not seen in %q", name, text)
			}

			if left := m.Redact(text); len(left) > len("Authorization: Basic ***")+16 {
				t.Errorf("%s: %q still tells much", name, left)
			}
		}
	}

	if m.In("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("postgres:something-else"))) {
		t.Error("another password is taken for it")
	}
}

func TestMaterialOfParts(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("MIIEvQIBADANBgkqhkiG9w0B", 2) + "\n" + strings.Repeat("AQEFAASCBKcwggSjAgEAAoIB", 2) + "\n-----END PRIVATE KEY-----\n"

	account, err := json.Marshal(map[string]string{"type": "service_account", "private_key": key, "project_id": "project"})
	if err != nil {
		t.Fatal(err)
	}

	for name, m := range map[string]Material{"key": NewMaterial(key), "service account": NewMaterial(string(account))} {
		for _, line := range strings.Split(strings.TrimSpace(key), "\n") {
			if m.In(line) == strings.HasPrefix(line, "-----") {
				t.Errorf("%s: line %q: %t", name, line, m.In(line))
			}
		}

		if m.In(`"project_id": "project"`) || m.In("service_account") {
			t.Errorf("%s: what everybody knows is taken for a secret", name)
		}
	}
}

// The pod's spec holds nothing of a Basic-auth header that a template has made.
func TestHeaderIsHidden(t *testing.T) {
	header := base64.StdEncoding.EncodeToString([]byte("postgres:s3cr3t-needle"))

	pod, secret, err := PodOptions{
		Namespace: "n", Name: "p", Image: "i", Command: []string{"sh", "-c", "curl -H 'Authorization: Basic " + header + "' http://x"}, Material: NewMaterial("s3cr3t-needle"),
	}.Build()
	if err != nil {
		t.Fatal(err)
	}

	if text := fmt.Sprint(pod.Spec); strings.Contains(text, header) || secret == nil {
		t.Errorf("the header stands in the pod: %s", text)
	}
}
