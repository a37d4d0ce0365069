package certs

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

func TestBundleServesItsNames(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	names := []string{"s3.kanister-backends.svc", "10.0.0.7", "127.0.0.1"}
	b, err := New(now, names...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(b.Cert, b.Key); err != nil {
		t.Errorf("key does not belong to certificate: %v", err)
	}
	other, err := New(now, names...)
	if err != nil {
		t.Fatal(err)
	}
	mixed := b
	mixed.CA = other.CA
	for name, c := range map[string]struct {
		bundle Bundle
		now    time.Time
		names  []string
		want   string
	}{
		"good":            {b, now, names, ""},
		"other name":      {b, now, []string{"example.com"}, "example.com"},
		"other address":   {b, now, []string{"10.0.0.8"}, "10.0.0.8"},
		"ends in a month": {b, now.Add(340 * 24 * time.Hour), names, "expired"},
		"other authority": {mixed, now, names, "unknown authority"},
		"nothing":         {Bundle{}, now, names, "no certificate"},
	} {
		err := c.bundle.Check(c.now, c.names...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
