// Package kube is the runner's reach into the cluster: pods, exec, logs, waiting by watch, scaling.
package kube

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// Client bundles the clients that functions use. They share one connection pool and have no client-side throttle: the API
// server's own priority and fairness does that (BASELINE: upstream's five requests a second cost a minute).
type Client struct {
	Config    *rest.Config
	Clientset kubernetes.Interface
	Dynamic   dynamic.Interface
	// Clock is for tests; nil is the real one.
	Clock clock.WithTicker
}

func (c *Client) clock() clock.WithTicker {
	if c.Clock == nil {
		return clock.RealClock{}
	}

	return c.Clock
}

// NewClient makes a Client from config, which it does not change.
func NewClient(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, -1

	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making the HTTP client of the cluster: %w", err)
	}

	clientset, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("making the cluster client: %w", err)
	}

	dyn, err := dynamic.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("making the dynamic cluster client: %w", err)
	}

	return &Client{Config: config, Clientset: clientset, Dynamic: dyn}, nil
}

// Owner is the object, usually the run's Job, with which everything a run makes in Namespace is deleted.
type Owner struct {
	Namespace string
	Reference metav1.OwnerReference
}

// References are the owner references for an object in namespace: none across namespaces, where Kubernetes forbids them.
func (o *Owner) References(namespace string) []metav1.OwnerReference {
	if o == nil || o.Namespace != namespace {
		return nil
	}

	return []metav1.OwnerReference{o.Reference}
}

// Now is the time by the client's clock.
func (c *Client) Now() time.Time { return c.clock().Now() }
