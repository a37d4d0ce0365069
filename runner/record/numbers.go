package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Normal is v as it comes back from a record: maps, lists, strings, booleans, int64 and float64 only. Outputs are brought into
// this form before templates see them, so that a run renders the same before and after a restart of the runner.
func Normal(v map[string]any) (map[string]any, error) {
	if v == nil {
		return nil, nil // no outputs are no outputs
	}

	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("storing outputs: %w", err)
	}

	var out map[string]any
	if err := unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("storing outputs: %w", err)
	}

	numbers(out)

	return out, nil
}

// unmarshal decodes one JSON document and keeps numbers as they were written.
func unmarshal(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()

	if err := decoder.Decode(into); err != nil {
		return err
	}

	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("text after the JSON document")
	}

	return nil
}

// numbers replaces json.Number in place: int64 where it is one, else float64.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			v[key] = numbers(item)
		}

		return v
	case []any:
		for i, item := range v {
			v[i] = numbers(item)
		}

		return v
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}

		if f, err := v.Float64(); err == nil && !math.IsInf(f, 0) {
			return f
		}

		return v.String()
	default:
		return v
	}
}
