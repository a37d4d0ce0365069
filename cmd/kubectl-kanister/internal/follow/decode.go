package follow

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Decode reads a run record from its ConfigMap. Name and namespace are the ConfigMap's own, whatever the record says: a
// record may have been copied by hand.
func Decode(configMap *corev1.ConfigMap) (*record.Record, error) {
	r, err := record.Decode(configMap)
	if err != nil {
		return nil, err
	}

	r.Run, r.Namespace = configMap.Name, configMap.Namespace

	if r.State == "" {
		r.State = record.Pending
	}

	if r.Created.IsZero() {
		r.Created = configMap.CreationTimestamp.Time
	}

	return r, nil
}
