package runs

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// apiVersion of what -o json prints. It is no kind that a cluster knows.
const apiVersion = "kanister.io/v1"

// object is a run as -o json and its like print it: metadata of its ConfigMap, beside it the members of the record.
func (r Run) object(kind string) (map[string]any, error) {
	raw, err := json.Marshal(r.Record)
	if err != nil {
		return nil, fmt.Errorf("printing run %q: %w", r.Run, err)
	}

	object := map[string]any{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("printing run %q: %w", r.Run, err)
	}

	metadata := map[string]any{
		"name": r.ConfigMap.Name, "namespace": r.ConfigMap.Namespace, "uid": string(r.ConfigMap.UID),
		"creationTimestamp": r.ConfigMap.CreationTimestamp.UTC().Format("2006-01-02T15:04:05Z"),
	}

	if labels := stringMap(r.ConfigMap.Labels); labels != nil {
		metadata["labels"] = labels
	}

	annotations := stringMap(r.ConfigMap.Annotations)
	delete(annotations, corev1.LastAppliedConfigAnnotation) // the whole record once more

	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}

	object["apiVersion"], object["kind"], object["metadata"] = apiVersion, kind, metadata
	delete(object, "namespace")
	delete(object, "run")

	if r.Broken != nil {
		object["unreadable"] = r.Broken.Error()
	}

	return object, nil
}

func stringMap(m map[string]string) map[string]any {
	if len(m) == 0 {
		return nil
	}

	out := map[string]any{}
	for key, value := range m {
		out[key] = value
	}

	return out
}
