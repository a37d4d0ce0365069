package kubeops

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

func (c call) patch(ctx context.Context) (map[string]any, error) {
	content := map[string]any{}
	if err := yaml.Unmarshal([]byte(c.args.Spec), &content); err != nil {
		return nil, fmt.Errorf("reading argument %q: it is no YAML mapping with the part of the object to change: %w", "spec", err)
	}

	if len(content) == 0 {
		return nil, fmt.Errorf("reading argument %q: it is empty; patch needs the part of the object to change", "spec")
	}

	o, err := c.referred(ctx)
	if err != nil {
		return nil, err
	}

	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("reading argument %q: %w", "spec", err)
	}

	err = c.apply(ctx, o, types.StrategicMergePatchType, body)
	if apierrors.IsUnsupportedMediaType(err) {
		if directive := directiveIn(content); directive != "" {
			return nil, fmt.Errorf("reading argument %q: %s knows no strategic merge, so %q means nothing to it", "spec", o.Resource, directive)
		}

		err = c.apply(ctx, o, types.MergePatchType, body)
	}

	if err != nil {
		return nil, explain("patching", o, err)
	}

	c.Journal.Event("patched " + o.String())

	return o.outputs(), nil
}

func (c call) apply(ctx context.Context, o object, kind types.PatchType, body []byte) error {
	return c.Kube.Retry(ctx, func(ctx context.Context) error {
		_, err := c.client(o).Patch(ctx, o.name, kind, body, metav1.PatchOptions{FieldManager: fieldManager})

		return err
	})
}

// directiveIn finds a directive of strategic merge ($patch, $setElementOrder/…), which a JSON merge would take for a field.
func directiveIn(value any) string {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			for _, directive := range []string{"$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/"} {
				if strings.HasPrefix(key, directive) {
					return key
				}
			}

			if found := directiveIn(below); found != "" {
				return found
			}
		}
	case []any:
		for _, below := range v {
			if found := directiveIn(below); found != "" {
				return found
			}
		}
	}

	return ""
}
