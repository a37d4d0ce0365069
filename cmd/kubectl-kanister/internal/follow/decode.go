package follow

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Decode reads a run record from its ConfigMap. A record without its JSON, as another tool may have cut it, is read from the
// plain keys and labels.
func Decode(configMap *corev1.ConfigMap) (*record.Record, error) {
	r := &record.Record{}

	if text := configMap.Data[record.KeyRecord]; text != "" {
		if err := json.Unmarshal([]byte(text), r); err != nil {
			return nil, fmt.Errorf("reading the record of run %q: %w", configMap.Name, err)
		}
	}

	r.Run, r.Namespace = configMap.Name, configMap.Namespace

	if r.State == "" {
		r.State = record.State(configMap.Data[record.KeyState])
	}

	if r.State == "" {
		r.State = record.Pending
	}

	if r.Created.IsZero() {
		r.Created = configMap.CreationTimestamp.Time
	}

	return r, nil
}
