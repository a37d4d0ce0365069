// Package apply puts manifests into a cluster by server-side apply.
package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// FieldManager owns the fields that this package writes.
const FieldManager = "kubectl-kanister-hack"

// kindPatience bounds the wait for an API server to serve a kind whose CustomResourceDefinition was just applied.
const kindPatience = 30 * time.Second

// Applier applies objects to one cluster.
type Applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// New returns an Applier for the cluster that config points to.
func New(config *rest.Config) (*Applier, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 50, 100
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making client: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making discovery client: %w", err)
	}
	return &Applier{client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))}, nil
}

// Manifests applies every document of each YAML stream, in order.
func (a *Applier) Manifests(ctx context.Context, streams ...[]byte) error {
	for _, s := range streams {
		docs := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(s), 4096)
		for {
			var u unstructured.Unstructured
			err := docs.Decode(&u.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("reading manifest: %w", err)
			}
			if len(u.Object) == 0 {
				continue
			}
			if err := a.Object(ctx, &u); err != nil {
				return err
			}
		}
	}
	return nil
}

// Object applies one object and fills in what the server made of it.
func (a *Applier) Object(ctx context.Context, u *unstructured.Unstructured) error {
	name := fmt.Sprintf("%s %q", u.GetKind(), u.GetName())
	var mapping *meta.RESTMapping
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, kindPatience, true, func(context.Context) (bool, error) {
		var err error
		mapping, err = a.mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
		if meta.IsNoMatchError(err) {
			a.mapper.Reset()
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("applying %s: finding its kind: %w", name, err)
	}
	var to dynamic.ResourceInterface = a.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		to = a.client.Resource(mapping.Resource).Namespace(u.GetNamespace())
	}
	got, err := to.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("applying %s: %w", name, err)
	}
	u.Object = got.Object
	return nil
}
