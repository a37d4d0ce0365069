// Package document reads the Kubernetes documents and object references that blueprints write into arguments (KubeOps, Wait,
// WaitV2), and finds out which resources of the cluster they mean. The plugin plans with it what the runner does with it, so
// that the permissions of a run are those of its requests.
package document

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// DefaultNamespace is where a document goes that names no namespace, in a call that names none either (COMPAT §4.25).
const DefaultNamespace = "default"

// Parse reads the Kubernetes documents of text, YAML separated by --- or JSON. Documents without content are left out, a List
// is taken as its items. Each has an apiVersion and a kind; its name is left to Check, because a text that is not rendered yet
// may be read, too.
func Parse(text string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured

	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))

	for number := 1; ; number++ {
		raw, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return nil, fmt.Errorf("reading document %d: %w", number, err)
		}

		content := map[string]any{}
		if err := yaml.Unmarshal(raw, &content); err != nil {
			return nil, fmt.Errorf("reading document %d: it is no YAML mapping: %w", number, err)
		}

		if len(content) == 0 {
			continue
		}

		found, err := flatten(&unstructured.Unstructured{Object: content})
		if err != nil {
			return nil, fmt.Errorf("reading document %d: %w", number, err)
		}

		objects = append(objects, found...)
	}

	if len(objects) == 0 {
		return nil, errors.New("there is no Kubernetes document in it")
	}

	return objects, nil
}

// flatten gives the items of a List, or the object itself.
func flatten(u *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	if u.GetAPIVersion() == "" {
		return nil, errors.New("it has no apiVersion")
	}

	if u.GetKind() == "" {
		return nil, errors.New("it has no kind")
	}

	items, list := u.Object["items"].([]any)
	if !list || !strings.HasSuffix(u.GetKind(), "List") {
		return []*unstructured.Unstructured{u}, nil
	}

	var all []*unstructured.Unstructured

	for i, item := range items {
		content, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("item %d of its list is no object", i)
		}

		found, err := flatten(&unstructured.Unstructured{Object: content})
		if err != nil {
			return nil, fmt.Errorf("item %d of its list: %w", i, err)
		}

		all = append(all, found...)
	}

	return all, nil
}

// longestPrefix is how much of a generateName is kept, as the API server does it.
const longestPrefix = 63 - suffixLength

const suffixLength = 5

// GeneratedName is the name for the index-th document of a phase that has generateName: prefix, and five characters that are
// the same whenever this phase of this run is done. So the plan knows the name, and a runner that takes the phase up again
// finds what its predecessor created. The API server would have drawn the characters by chance.
func GeneratedName(prefix, namespace, run, phase string, index int) string {
	if len(prefix) > longestPrefix {
		prefix = prefix[:longestPrefix]
	}

	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", namespace, run, phase, index))

	return prefix + hex.EncodeToString(sum[:])[:suffixLength]
}
