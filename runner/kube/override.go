package kube

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// MergeOverride lays top over base, two podOverride maps, by strategic merge: the blueprint's argument is base and that of
// the run (the ActionSet upstream) is top (COMPAT §4.0.2). Neither is changed.
func MergeOverride(base, top map[string]any) (map[string]any, error) {
	if len(base) == 0 {
		return top, nil
	}

	if len(top) == 0 {
		return base, nil
	}

	below, err := json.Marshal(base)
	if err != nil {
		return nil, fmt.Errorf("reading podOverride: %w", err)
	}

	above, err := json.Marshal(top)
	if err != nil {
		return nil, fmt.Errorf("reading the run's podOverride: %w", err)
	}

	// Merging two patches keeps their $patch directives for the pod.
	merged, err := strategicpatch.MergeStrategicMergeMapPatchUsingLookupPatchMeta(
		mustSchema(), decode(below), decode(above))
	if err != nil {
		return nil, fmt.Errorf("merging the run's podOverride with the blueprint's: %w", err)
	}

	return merged, nil
}

// ApplyOverride merges override onto spec by strategic merge. Containers, volumes and variables merge by name; the container
// named ContainerName stays first (COMPAT §4.0.2). Fields that PodSpec does not have are dropped, as upstream drops them.
func ApplyOverride(spec corev1.PodSpec, override map[string]any) (corev1.PodSpec, error) {
	if len(override) == 0 {
		return spec, nil
	}

	original, err := json.Marshal(spec)
	if err != nil {
		return spec, fmt.Errorf("writing the pod: %w", err)
	}

	patch, err := json.Marshal(override)
	if err != nil {
		return spec, fmt.Errorf("reading podOverride: %w", err)
	}

	merged, err := strategicpatch.StrategicMergePatch(original, patch, corev1.PodSpec{})
	if err != nil {
		return spec, fmt.Errorf("merging podOverride with the pod: %w (every element of a list needs its name, volumeMounts their mountPath)", err)
	}

	var out corev1.PodSpec
	if err := json.Unmarshal(merged, &out); err != nil {
		return spec, fmt.Errorf("reading podOverride as a pod's spec: %w", err)
	}

	slices.SortStableFunc(out.Containers, func(a, b corev1.Container) int {
		switch {
		case a.Name == ContainerName && b.Name != ContainerName:
			return -1
		case b.Name == ContainerName && a.Name != ContainerName:
			return 1
		default:
			return 0
		}
	})

	return out, nil
}

// mustSchema describes PodSpec to strategicpatch; the type is known to fit.
func mustSchema() strategicpatch.LookupPatchMeta {
	schema, err := strategicpatch.NewPatchMetaFromStruct(corev1.PodSpec{})
	if err != nil {
		panic(err)
	}

	return schema
}

// decode reads back what json.Marshal wrote.
func decode(text []byte) map[string]any {
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}

	return out
}
