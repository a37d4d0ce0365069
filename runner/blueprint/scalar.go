package blueprint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// booleans of YAML 1.1, which kubectl and so everybody's blueprints still speak, beside true and false.
var booleans = []string{"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"}

// plainScalar reads a scalar as kubectl does: text, bool, int64 (uint64 and float64 where that is too small) or nil.
func plainScalar(node *yaml.Node) (any, error) {
	if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 || node.Style&yaml.TaggedStyle != 0 && node.ShortTag() == "!!str" {
		return node.Value, nil
	}

	switch node.ShortTag() {
	case "!!str":
		if !slices.Contains(booleans, node.Value) {
			return node.Value, nil
		}
	case "!!timestamp", "!!binary":
		return node.Value, nil
	}

	data, err := sigsyaml.YAMLToJSON([]byte(node.Value))
	if err != nil {
		return nil, fmt.Errorf("the value %q cannot be kept as JSON; write it in quotes", node.Value)
	}

	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()

	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, fmt.Errorf("the value %q cannot be kept as JSON; write it in quotes", node.Value)
	}

	number, ok := v.(json.Number)
	if !ok {
		return v, nil
	}

	if whole, err := number.Int64(); err == nil {
		return whole, nil
	}

	real, err := number.Float64()
	if err != nil {
		return nil, fmt.Errorf("the number %s is out of range; write it in quotes", node.Value)
	}

	return real, nil
}
