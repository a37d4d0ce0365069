package pack

import (
	"bytes"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Clean is the object as somebody would have written it: without status and creationTimestamp, which Go's types bring along.
func Clean(object runtime.Object) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("writing %T: %w", object, err)
	}

	unstructured.RemoveNestedField(content, "status")

	for _, path := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		unstructured.RemoveNestedField(content, append(path, "creationTimestamp")...)
	}

	return content, nil
}

// YAML is objects as a stream of documents that kubectl apply takes.
func YAML(objects []runtime.Object) ([]byte, error) {
	var out bytes.Buffer

	for i, object := range objects {
		content, err := Clean(object)
		if err != nil {
			return nil, err
		}

		document, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("writing %T: %w", object, err)
		}

		if i > 0 {
			out.WriteString("---\n")
		}

		out.Write(document)
	}

	return out.Bytes(), nil
}

// JSON is objects as one v1 List, as kubectl prints several.
func JSON(objects []runtime.Object) ([]byte, error) {
	items := make([]any, 0, len(objects))

	for _, object := range objects {
		content, err := Clean(object)
		if err != nil {
			return nil, err
		}

		items = append(items, content)
	}

	out, err := json.MarshalIndent(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": items}, "", "    ")
	if err != nil {
		return nil, fmt.Errorf("writing the objects: %w", err)
	}

	return append(out, '\n'), nil
}
