package record_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record/storetest"
)

// drawer is a location for spilled values.
type drawer map[string][]byte

func (d drawer) Put(_ context.Context, key string, data []byte) error {
	d[key] = data

	return nil
}

func (d drawer) Get(_ context.Context, key string) ([]byte, error) {
	data, ok := d[key]
	if !ok {
		return nil, errors.New("no such object")
	}

	return data, nil
}

func size(data map[string]string) int {
	n := 0
	for key, value := range data {
		n += len(key) + len(value)
	}

	return n
}

func TestSpill(t *testing.T) {
	spilled := drawer{}
	want := storetest.Record()
	want.Phases[0].Output["dump"] = storetest.Noise(3 << 19)
	want.Phases[0].Output["small"] = "stays"
	want.State, want.Artifacts["a"].KeyValue["dump"] = record.Complete, storetest.Noise(3<<19)

	encoder := record.Encoder{Spill: spilled, SpillPrefix: "runs/demo/x"}

	data, err := encoder.Encode(t.Context(), want, 10_000)
	if err != nil {
		t.Fatal(err)
	}

	if n := size(data); n > record.Budget-10_000 {
		t.Errorf("the record takes %d bytes", n)
	}

	if len(spilled) != 1 {
		t.Errorf("the same value was stored %d times", len(spilled))
	}

	// A reader without the location sees that there is something.
	r, err := record.DecodeData(data)
	if err != nil {
		t.Fatal(err)
	}

	reference := r.Artifacts["a"].KeyValue["dump"]
	if !record.IsSpilled(reference) || record.IsSpilled(r.Phases[0].Output["small"].(string)) {
		t.Errorf("the reader sees %.80q", reference)
	}

	// The next run, with the location, gets it whole.
	if whole, err := record.Unspill(t.Context(), spilled, reference); err != nil || whole != storetest.Noise(3<<19) {
		t.Errorf("fetching: %v", err)
	}

	if _, err := record.Unspill(t.Context(), nil, reference); err == nil || !strings.Contains(err.Error(), "the run has no profile") {
		t.Errorf("without a location: %v", err)
	}

	successor := record.Encoder{Spill: spilled, SpillPrefix: "runs/demo/x"}
	if err := successor.Resolve(t.Context(), r); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("resolved (-want +got):\n%s", diff)
	}

	// What lies there is not believed blindly.
	for key := range spilled {
		other := maps.Clone(spilled)
		forged := record.Encoder{Spill: other, SpillPrefix: "forged"}

		if _, err := forged.Slim(t.Context(), &record.Record{Artifacts: map[string]blueprint.Artifact{
			"x": {KeyValue: map[string]string{"k": "something else"}},
		}}, 4); err != nil {
			t.Fatal(err)
		}

		for k, v := range other {
			if strings.HasPrefix(k, "forged") {
				spilled[key] = v
			}
		}
	}

	if _, err := record.Unspill(t.Context(), spilled, reference); err == nil || !strings.Contains(err.Error(), "SHA-256 differs") {
		t.Errorf("a forged value: %v", err)
	}
}

func TestManySmallValues(t *testing.T) {
	spilled := drawer{}
	want := &record.Record{SchemaVersion: record.SchemaVersion, State: record.Running, Phases: []record.Phase{{Name: "many", Output: map[string]any{}}}}

	for i := range 1200 {
		want.Phases[0].Output[fmt.Sprintf("k%d", i)] = fmt.Sprint(i) + storetest.Noise(1000)
	}

	encoder := record.Encoder{Spill: spilled}

	data, err := encoder.Encode(t.Context(), want, 0)
	if err != nil {
		t.Fatal(err)
	}

	if n := size(data); n > record.Budget {
		t.Errorf("the record takes %d bytes", n)
	}

	got, err := record.DecodeData(data)
	if err != nil {
		t.Fatal(err)
	}

	if err := encoder.Resolve(t.Context(), got); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(want.Phases, got.Phases); diff != "" {
		t.Error("values were lost")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"newer":          {`{"schemaVersion":"v2","phases":"other"}`, "schema v2, this program knows v1: written by a newer version"},
		"no version":     {`{"phases":[]}`, `"" is no schema version`},
		"no JSON":        {`state: failed`, `key "record"`},
		"cut":            {`{"schemaVersion":"v1","run":"x"`, `key "record"`},
		"two documents":  {`{"schemaVersion":"v1"}{}`, `key "record"`},
		"null":           {`null`, `"" is no schema version`},
		"missing packed": {`{"schemaVersion":"v1","phases":[{"name":"p","output":{"k":"\u0000kanister.io/packed:00"}}]}`, `output "k" of phase "p": the compressed value "00" is missing`},
		"broken packed":  {`{"schemaVersion":"v1","packed":{"00":"!"},"phases":[{"name":"p","output":{"k":"\u0000kanister.io/packed:00"}}]}`, `output "k" of phase "p"`},
	} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "n"}, Data: map[string]string{record.KeyRecord: test.text}}

		_, err := record.Decode(cm)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `run record "r" in namespace "n"`) {
			t.Errorf("%s: %v", name, err)
		}

		if name == "newer" && !errors.Is(err, record.ErrNewer) {
			t.Errorf("%v is not ErrNewer", err)
		}
	}

	if _, err := record.Decode(&corev1.ConfigMap{}); err == nil || !strings.Contains(err.Error(), `the key "record" is missing`) {
		t.Errorf("no record: %v", err)
	}
}

// TestBomb: a few bytes that decompress to gigabytes must not take the reader down, and we write no such record.
func TestBomb(t *testing.T) {
	var zipped bytes.Buffer

	w := gzip.NewWriter(&zipped)
	for range 100 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	text := `{"schemaVersion":"v1","packed":{"00":"` + base64.StdEncoding.EncodeToString(zipped.Bytes()) +
		`"},"phases":[{"name":"p","output":{"k":"\u0000kanister.io/packed:00"}}]}`

	if _, err := record.DecodeData(map[string]string{record.KeyRecord: text}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}

	r := &record.Record{SchemaVersion: record.SchemaVersion, Phases: []record.Phase{{Output: map[string]any{}}}}
	for i := range 8 {
		r.Phases[0].Output[fmt.Sprint(i)] = strings.Repeat(fmt.Sprint(i), 5<<18)
	}

	var tooLarge *record.TooLargeError
	if _, err := record.Encode(r); !errors.As(err, &tooLarge) {
		t.Errorf("without a location: %v", err)
	}

	spilled := drawer{}
	encoder := record.Encoder{Spill: spilled}

	data, err := encoder.Encode(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}

	got, err := record.DecodeData(data)
	if err != nil {
		t.Fatal(err)
	}

	if err := encoder.Resolve(t.Context(), got); err != nil || len(got.Phases[0].Output["7"].(string)) != 5<<18 || len(spilled) == 0 {
		t.Errorf("with a location: %v, %d spilled", err, len(spilled))
	}
}

func TestHistoryIsBounded(t *testing.T) {
	r := storetest.Record()
	for i := range 5000 {
		r.Events = append(r.Events, record.Event{Time: time.Unix(int64(i), 0).UTC(), Message: fmt.Sprintf("event %d %s", i, strings.Repeat("x", 3000))})
		r.Warnings = append(r.Warnings, fmt.Sprint("warning ", i))
	}

	r.Error = &record.Failure{Message: strings.Repeat("é", 50_000) + "\xff"}

	for range 3 { // a successor bounds what was bounded
		data, err := record.Encode(r)
		if err != nil {
			t.Fatal(err)
		}

		if r, err = record.DecodeData(data); err != nil {
			t.Fatal(err)
		}
	}

	if len(r.Events) != 200 || !strings.HasPrefix(r.Events[199].Message, "event 4999 ") || r.Events[0].Message != "earlier events dropped: 4802; see the runner's log" {
		t.Errorf("%d events, first %q", len(r.Events), r.Events[0].Message)
	}

	if len(r.Warnings) != 201 || !strings.Contains(r.Error.Message, "bytes more in the runner's log") {
		t.Errorf("%d warnings, error %.100q", len(r.Warnings), r.Error.Message)
	}
}

func TestVerdict(t *testing.T) {
	exit := 7
	r := storetest.Record()
	r.State = record.Failed
	r.Error = &record.Failure{Phase: "next", Func: "KubeTask", Message: "exit code 7", Reason: "ExitCode", Exit: &exit}

	v, ok := record.ParseVerdict(record.VerdictOf(r).Message())
	if !ok || v.State != record.Failed || v.Run != r.Run || v.Phase != "next" || v.Error.Reason != "ExitCode" || !v.Artifacts {
		t.Errorf("%v %+v", ok, v)
	}

	for name, grow := range map[string]func(*record.Failure){
		"logs":    func(f *record.Failure) { f.LastLogs = strings.Split(strings.Repeat("a line of a log\n", 2000), "\n") },
		"events":  func(f *record.Failure) { f.Events = strings.Split(strings.Repeat("an event\n", 2000), "\n") },
		"message": func(f *record.Failure) { f.Message = strings.Repeat("<ü>\x00", 20_000) },
		"all": func(f *record.Failure) {
			f.Message, f.Hint, f.Phase, f.Reason = strings.Repeat("\x00", 9000), strings.Repeat("h", 9000), strings.Repeat("p", 9000), strings.Repeat("r", 9000)
		},
	} {
		f := r.Error.Clone()
		grow(f)
		bad := *r
		bad.Error = f

		message := record.VerdictOf(&bad).Message()
		if len(message) > record.MaxTerminationMessage {
			t.Errorf("%s: %d bytes", name, len(message))
		}

		v, ok := record.ParseVerdict(message)
		if !ok || v.State != record.Failed || v.Error == nil || v.Error.Message == "" {
			t.Errorf("%s: %v %+v", name, ok, v)
		}
	}

	for _, text := range []string{"", "panic: x", "{}", `{"state":"failed"`, `{"error":{"message":"x"}}`} {
		if _, ok := record.ParseVerdict(text); ok {
			t.Errorf("%q was taken for a verdict", text)
		}
	}
}

func TestDecodeInput(t *testing.T) {
	in, err := record.DecodeInput([]byte(`{"schemaVersion":"v1","run":"r","namespace":"n","action":"a","blueprint":{"actions":{"a":{"phases":[
		{"name":"p","func":"F","args":{"n":12345678901,"f":1.5,"m":{"k":[1]}}}]}}}}`))
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]any{"n": int64(12345678901), "f": 1.5, "m": map[string]any{"k": []any{int64(1)}}}
	if diff := cmp.Diff(want, in.Blueprint.Actions["a"].Phases[0].Args); diff != "" {
		t.Error(diff)
	}

	for _, bad := range []string{`{}`, `{"schemaVersion":"v9"}`, `{"schemaVersion":"v1"}`, `nonsense`} {
		if _, err := record.DecodeInput([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzDecode(f *testing.F) {
	full := storetest.Record()
	full.Phases[0].Output["big"] = strings.Repeat("x", 100_000)

	data, err := record.Encode(full)
	if err != nil {
		f.Fatal(err)
	}

	f.Add(data[record.KeyRecord])
	f.Add(`{"schemaVersion":"v1","phases":[{"output":{"k":"\u0000kanister.io/spilled:x"}}],"deferPhase":{},"undo":[{"args":{"a":[{"b":1e999}]}}]}`)
	f.Add(`{"schemaVersion":"v1alpha1","origin":{"object":{}},"artifacts":{"a":{"keyValue":null}}}`)

	f.Fuzz(func(t *testing.T, text string) {
		r, err := record.DecodeData(map[string]string{record.KeyRecord: text})
		if err != nil {
			return
		}

		again, err := record.Encode(r)
		if err != nil {
			var tooLarge *record.TooLargeError
			if errors.As(err, &tooLarge) {
				return
			}

			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}

		second, err := record.DecodeData(again)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}

		first, _ := json.Marshal(r)
		other, _ := json.Marshal(second)

		if len(r.Events) < 200 && len(r.Warnings) < 200 && string(first) != string(other) && len(text) < 1000 {
			t.Errorf("a record changes when it is stored again:\n%s\n%s", first, other)
		}
	})
}
