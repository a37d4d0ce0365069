package location_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
)

// TestCompletionWithoutAnswer: an object that was made of its parts is there, whoever lost the answer; one that was not is none, even if
// another lies at its key.
func TestCompletionWithoutAnswer(t *testing.T) {
	server := locationtest.VersitygwPlain(t)
	server.Bucket(t, "bucket")

	behind, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}

	for name, test := range map[string]struct {
		lose func(w http.ResponseWriter, r *http.Request, pass http.Handler)
		ok   bool
	}{
		"lost answer": {func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
			pass.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusServiceUnavailable)
		}, true},
		"lost request": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			// The signature counts the host that the client sees.
			pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind); r.Out.Host = r.In.Host }}
			lost := 0

			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
					lost++

					test.lose(w, r, pass)

					return
				}

				pass.ServeHTTP(w, r)
			}))
			defer proxy.Close()

			profile := server.Profile("bucket", strings.ReplaceAll(name, " ", "-"))
			profile.Location.Endpoint = proxy.URL

			store, err := location.Open(t.Context(), profile, location.Attempts(2))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close() // a client

			content := make([]byte, 13<<20)
			_, _ = rand.Read(content)

			if _, err := store.Put(t.Context(), "key", strings.NewReader("the object before")); err != nil {
				t.Fatal(err)
			}

			_, err = store.Put(t.Context(), "key", bytes.NewReader(content))
			if lost == 0 || (err == nil) != test.ok {
				t.Errorf("%d answers lost, %v", lost, err)
			}

			r, err := store.Get(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close() // was only read

			if got, err := io.ReadAll(r); err != nil || bytes.Equal(got, content) != test.ok {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
}
