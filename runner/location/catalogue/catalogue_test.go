package catalogue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/runner/location"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/catalogue"
	"github.com/kubectl-kanister/kubectl-kanister/runner/location/locationtest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

func TestCatalogue(t *testing.T) {
	server := locationtest.Versitygw(t)
	server.Bucket(t, "backups")

	store, err := location.Open(t.Context(), server.Profile("backups", "team"))
	if err != nil {
		t.Fatal(err)
	}

	start := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

	for i, run := range []string{"backup-b", "backup-a", "backup-c"} {
		namespace := "demo"
		if run == "backup-c" {
			namespace = "demo2" // its name starts with another's
		}

		r := record.Record{SchemaVersion: record.SchemaVersion, Run: run, Namespace: namespace, Created: start.Add(time.Duration(i) * time.Hour), State: record.Complete}
		if err := catalogue.Put(t.Context(), store, r); err != nil {
			t.Fatal(err)
		}
	}

	if got := runs(t, store, "demo"); got != "backup-b backup-a" {
		t.Errorf("demo lists %q", got)
	}

	if got := runs(t, store, ""); got != "backup-b backup-a backup-c" {
		t.Errorf("all list %q", got)
	}

	r, err := catalogue.Get(t.Context(), store, "demo", "backup-a")
	if err != nil || r.Run != "backup-a" || r.State != record.Complete {
		t.Errorf("Get = %+v, %v", r, err)
	}

	if _, err := catalogue.Get(t.Context(), store, "demo", "backup-c"); !errors.Is(err, location.ErrNotFound) {
		t.Errorf("Get of an absent run: %v", err)
	}

	// One damaged entry is named and hides no other.
	if _, err := store.Put(t.Context(), "kanister-catalogue/demo/broken.json", strings.NewReader("{")); err != nil {
		t.Fatal(err)
	}

	entries, err := catalogue.List(t.Context(), store, "demo")
	if len(entries) != 2 || err == nil || !strings.Contains(err.Error(), "broken.json") {
		t.Errorf("List with a damaged entry = %d entries, %v", len(entries), err)
	}
}

func runs(t *testing.T, store location.Store, namespace string) string {
	t.Helper()

	entries, err := catalogue.List(t.Context(), store, namespace)
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, e := range entries {
		names = append(names, e.Run)
	}

	return strings.Join(names, " ")
}
