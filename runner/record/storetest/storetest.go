// Package storetest is what every record.Store must do.
package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Case is one store under test, of one run, with what others can do to it.
type Case struct {
	Store record.Store
	// Again is a second store of the same run, as a successor has it.
	Again record.Store
	// Cancel does what `cancel RUN` does.
	Cancel func(reason string)
	// Limit is the size that a record may have.
	Limit int
}

// Record is a record with everything in it.
func Record() *record.Record {
	now := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	exit := 3

	return &record.Record{
		SchemaVersion: record.SchemaVersion, Run: "backup-db-x1", Namespace: "demo", Action: "backup", Digest: "abc",
		Blueprint: record.BlueprintInfo{Name: "pg", Source: "file"}, Target: blueprint.ObjectReference{Kind: "StatefulSet", Name: "db", Namespace: "demo"},
		Profile: "s3", State: record.Running, Created: now, Started: &now, Attempts: 1, Runner: "pod-a",
		Phases: []record.Phase{
			{
				Name: "dump", Func: "KubeTask", State: record.Complete, Started: &now, Ended: &now, Attempts: 1,
				Output: map[string]any{"n": int64(1 << 60), "f": 1.5, "b": true, "list": []any{"a", int64(2)}, "m": map[string]any{"k": "v"}, "nothing": nil},
				Pods:   []record.PodRef{{Namespace: "demo", Name: "worker"}},
			},
			{Name: "next", Func: "Step", State: record.Failed, Error: &record.Failure{Message: "no", Exit: &exit, LastLogs: []string{"x"}}},
		},
		Defer:     &record.Phase{Name: "cleanup", Func: "KubeTask", State: record.Pending},
		Undo:      []record.Undo{{Key: "k", Text: "scale", Func: "Scale", Args: map[string]any{"replicas": int64(3)}}},
		Artifacts: map[string]blueprint.Artifact{"a": {KeyValue: map[string]string{"k": "v"}}},
		Events:    []record.Event{{Time: now, Type: "Normal", Message: "started"}},
	}
}

// Run tests a store. fresh gives one without a record.
func Run(t *testing.T, fresh func(t *testing.T) Case) {
	t.Helper()

	t.Run("nothing there", func(t *testing.T) {
		if _, err := fresh(t).Store.Load(t.Context()); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("what was saved is loaded", func(t *testing.T) {
		c := fresh(t)
		want := Record()
		save(t, c.Store, want)
		same(t, c.Again, want)

		want.Phases[1].State = record.Skipped
		save(t, c.Store, want)
		same(t, c.Again, want)
		same(t, c.Store, want)
	})

	t.Run("large values come back whole", func(t *testing.T) {
		c := fresh(t)
		want := Record()
		want.Phases[0].Output["big"] = strings.Repeat("<compressible> ", 200_000)
		want.Artifacts["a"].KeyValue["same"] = strings.Repeat("<compressible> ", 200_000)
		save(t, c.Store, want)
		same(t, c.Again, want)
	})

	t.Run("too large writes nothing", func(t *testing.T) {
		c := fresh(t)
		before := Record()
		save(t, c.Store, before)

		after := Record()
		after.Phases[0].Output["dump"] = Noise(c.Limit)

		var tooLarge *record.TooLargeError
		if err := c.Store.Save(t.Context(), after); !errors.As(err, &tooLarge) || !strings.Contains(err.Error(), `output "dump" of phase "dump"`) {
			t.Errorf("got %v", err)
		}

		same(t, c.Again, before)
		save(t, c.Store, before) // and the store still works
	})

	t.Run("finished is finished", func(t *testing.T) {
		c := fresh(t)
		r := Record()
		save(t, c.Store, r)
		r.State = record.Complete
		save(t, c.Store, r)
		same(t, c.Again, r)

		r.State = record.Running
		r.Attempts++

		if err := c.Again.Save(t.Context(), r); !errors.Is(err, record.ErrFinished) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a predecessor cannot write any more", func(t *testing.T) {
		c := fresh(t)
		first := Record()
		save(t, c.Store, first)

		second, err := c.Again.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		second.Attempts, second.Runner = 2, "pod-b"
		save(t, c.Again, second)

		if err := c.Store.Save(t.Context(), first); !errors.Is(err, record.ErrSuperseded) {
			t.Errorf("got %v", err)
		}

		same(t, c.Again, second)
	})

	t.Run("two successors at once", func(t *testing.T) {
		c := fresh(t)
		save(t, c.Store, Record())

		a, b := Record(), Record()
		a.Attempts, a.Runner = 2, "pod-b"
		b.Attempts, b.Runner = 2, "pod-c"
		save(t, c.Again, a)

		if err := c.Store.Save(t.Context(), b); !errors.Is(err, record.ErrSuperseded) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("cancel", func(t *testing.T) {
		c := fresh(t)
		save(t, c.Store, Record())

		short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()

		if _, err := c.Store.CancelRequested(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a request: %v", err)
		}

		got := make(chan string, 1)

		go func() {
			reason, err := c.Store.CancelRequested(t.Context())
			if err != nil {
				reason = err.Error()
			}
			got <- reason
		}()

		time.Sleep(20 * time.Millisecond)
		c.Cancel("enough")

		select {
		case reason := <-got:
			if reason != "enough" {
				t.Errorf("reason %q", reason)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the request was not seen")
		}

		// Writing goes on, and a successor sees the request as well.
		save(t, c.Store, Record())

		if reason, err := c.Again.CancelRequested(t.Context()); err != nil || reason != "enough" {
			t.Errorf("successor: %q, %v", reason, err)
		}
	})
}

func save(t *testing.T, s record.Store, r *record.Record) {
	t.Helper()

	if err := s.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, s record.Store, want *record.Record) {
	t.Helper()

	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loaded something else than was saved (-want +got):\n%s", diff)
	}
}

// Noise is text of n bytes that does not compress below n/2.
func Noise(n int) string {
	b := make([]byte, n)
	x := uint64(88172645463325252)

	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"[x%64]
	}

	return string(b)
}
