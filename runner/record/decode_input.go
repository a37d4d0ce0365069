package record

import (
	"encoding/json"
	"errors"
	"fmt"
)

// DecodeInput reads what the plugin has asked. Numbers in arguments come as int64 or float64.
func DecodeInput(raw []byte) (*Input, error) {
	var schema struct {
		SchemaVersion string `json:"schemaVersion"`
	}

	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, fmt.Errorf("reading the input: %w", err)
	}

	if err := CheckSchema(schema.SchemaVersion); err != nil {
		return nil, fmt.Errorf("reading the input: %w (the runner image is older than the plugin)", err)
	}

	in := &Input{}
	if err := unmarshal(raw, in); err != nil {
		return nil, fmt.Errorf("reading the input: %w", err)
	}

	if in.Run == "" || in.Namespace == "" || in.Action == "" {
		return nil, errors.New("reading the input: it names no run, no namespace or no action")
	}

	numbers(in.PodOverride)

	for _, action := range in.Blueprint.Actions {
		if action == nil {
			continue
		}

		for i := range action.Phases {
			numbers(action.Phases[i].Args)
		}

		if action.DeferPhase != nil {
			numbers(action.DeferPhase.Args)
		}
	}

	return in, nil
}
