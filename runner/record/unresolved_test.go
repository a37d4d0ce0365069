package record_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record/storetest"
)

var errDown = errors.New("the bucket is gone")

// broken is a location that takes values, until it is down.
type broken struct {
	values map[string][]byte
	down   bool
}

func (b *broken) Put(_ context.Context, key string, value []byte) error {
	if b.down {
		return errDown
	}

	b.values[key] = value

	return nil
}

func (b *broken) Get(_ context.Context, key string) ([]byte, error) {
	if b.down {
		return nil, errDown
	}

	return b.values[key], nil
}

// A location that is away is no lost journal: the value is what does not fit, and a record is read without it.
func TestLocationIsAway(t *testing.T) {
	store := &broken{values: map[string][]byte{}}
	encoder := &record.Encoder{Spill: store, SpillPrefix: "values"}
	r := &record.Record{
		SchemaVersion: record.SchemaVersion, Run: "r", State: record.Running,
		Phases: []record.Phase{{Name: "a", State: record.Complete, Output: map[string]any{"big": storetest.Noise(3 << 20), "small": "kept"}}},
	}

	data, err := encoder.Encode(t.Context(), r, 0)
	if err != nil || len(store.values) == 0 {
		t.Fatalf("%v, %d values spilled", err, len(store.values))
	}

	store.down = true

	fresh := &record.Encoder{Spill: store, SpillPrefix: "values"}

	var tooLarge *record.TooLargeError
	if _, err := fresh.Encode(t.Context(), r, 0); !errors.As(err, &tooLarge) || !errors.Is(err, errDown) || !strings.Contains(err.Error(), `output "big" of phase "a"`) {
		t.Errorf("writing: %v", err)
	}

	got, err := record.DecodeData(data)
	if err != nil {
		t.Fatal(err)
	}

	var unresolved *record.UnresolvedError
	if err := fresh.Resolve(t.Context(), got); !errors.As(err, &unresolved) || !errors.Is(err, errDown) {
		t.Errorf("reading: %v", err)
	}

	if output := got.Phases[0].Output; output["small"] != "kept" || !record.IsSpilled(output["big"].(string)) {
		t.Errorf("%v", output["small"])
	}

	again, err := fresh.Encode(t.Context(), got, 0)
	if err != nil {
		t.Fatalf("a record with references cannot be written again: %v", err)
	}

	store.down = false

	if got, err = record.DecodeData(again); err != nil {
		t.Fatal(err)
	}

	if err := fresh.Resolve(t.Context(), got); err != nil || len(got.Phases[0].Output["big"].(string)) != 3<<20 {
		t.Errorf("%v", err)
	}
}
