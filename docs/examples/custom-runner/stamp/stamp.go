// Package stamp holds a Kanister Function of one's own: StampObject notes on an object when it was last backed up.
package stamp

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/template"
)

// Annotation that StampObject sets, to a time as RFC 3339 has it.
const Annotation = "example.com/last-backup"

// StampObject sets Annotation on one object. It needs `patch` on it.
type StampObject struct {
	// Now is the clock.
	Now func() time.Time
}

var _ = functions.Register(StampObject{Now: time.Now}) //nolint:forbidigo // the clock is injected here

type arguments struct {
	Group     string `mapstructure:"group"`
	Version   string `mapstructure:"version"`
	Resource  string `mapstructure:"resource"`
	Namespace string `mapstructure:"namespace"`
	Name      string `mapstructure:"name"`
}

// Name implements functions.Func.
func (StampObject) Name() string { return "StampObject" }

// RequiredArgs implements functions.Func.
func (StampObject) RequiredArgs() []string { return []string{"resource", "name"} }

// Arguments implements functions.Func.
func (StampObject) Arguments() []string {
	return []string{"group", "version", "resource", "namespace", "name"}
}

// Repeatable implements functions.Repeatable: a second stamp does no harm.
func (StampObject) Repeatable() bool { return true }

// Exec implements functions.Func. Its output is "stamp", the time that was set.
func (f StampObject) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a := arguments{Version: "v1"}
	if err := template.Decode(args, &a); err != nil {
		return nil, fmt.Errorf("reading the arguments of StampObject: %w", err)
	}

	if a.Resource == "" || a.Name == "" {
		return nil, fmt.Errorf("reading the arguments of StampObject: resource %q, name %q: neither may be empty", a.Resource, a.Name)
	}

	stamp := f.Now().UTC().Format(time.RFC3339)

	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{Annotation: stamp}}})
	if err != nil {
		return nil, err
	}

	resource := schema.GroupVersionResource{Group: a.Group, Version: a.Version, Resource: a.Resource}
	namespace := run.NamespaceOr(a.Namespace)

	if _, err := run.Kube.Dynamic.Resource(resource).Namespace(namespace).Patch(ctx, a.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return nil, fmt.Errorf("stamping %s %q in namespace %q: %w", a.Resource, a.Name, namespace, err)
	}

	run.Journal.Event(fmt.Sprintf("stamped %s %s: %s", a.Resource, a.Name, stamp))

	return map[string]any{"stamp": stamp}, nil
}
