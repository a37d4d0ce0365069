package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Kinds of workloads that can be scaled, lower case as blueprints write them.
const (
	Deployment       = "deployment"
	StatefulSet      = "statefulset"
	DeploymentConfig = "deploymentconfig"
	ReplicaSet       = "replicaset"
)

// scaleLimit is the least time a workload gets to reach its replicas; long grace periods of its pods add to it.
const scaleLimit = 15 * time.Minute

// Workload names something with replicas.
type Workload struct {
	// Kind is one of the constants above.
	Kind, Namespace, Name string
}

// String is how messages name it: "statefulset demo/postgres".
func (w Workload) String() string { return w.Kind + " " + w.Namespace + "/" + w.Name }

// Resource is the API resource of the workload; an error names an unknown kind.
func (w Workload) Resource() (schema.GroupVersionResource, error) {
	switch w.Kind {
	case Deployment:
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, nil
	case StatefulSet:
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, nil
	case ReplicaSet:
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}, nil
	case DeploymentConfig:
		return schema.GroupVersionResource{Group: "apps.openshift.io", Version: "v1", Resource: "deploymentconfigs"}, nil
	default:
		return schema.GroupVersionResource{}, fmt.Errorf("scaling a %q: only deployment, statefulset and deploymentconfig can be scaled", w.Kind)
	}
}

// Scaled is a workload's scale subresource: the replicas wanted, and which pods are its own.
type Scaled struct {
	Replicas int32
	Selector string
	UID      types.UID
}

// Scale reads how many replicas a workload wants. Needs get on the workload's scale subresource.
func (c *Client) Scale(ctx context.Context, w Workload) (Scaled, error) {
	resource, err := w.Resource()
	if err != nil {
		return Scaled{}, err
	}

	var u *unstructured.Unstructured

	err = c.Retry(ctx, func(ctx context.Context) (err error) {
		u, err = c.Dynamic.Resource(resource).Namespace(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{}, "scale")

		return err
	})
	if err != nil {
		return Scaled{}, &Error{
			Reason: apiReason(err), Message: fmt.Sprintf("reading the scale of %s", w), Err: err,
			Hint: fmt.Sprintf("kubectl get %s -n %s", resource.Resource, w.Namespace),
		}
	}

	return scaled(u), nil
}

func scaled(u *unstructured.Unstructured) Scaled {
	replicas, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	selector, _, _ := unstructured.NestedString(u.Object, "status", "selector")

	if selector == "" {
		// DeploymentConfigs answer with extensions/v1beta1, whose selector is a map with the text beside it.
		selector, _, _ = unstructured.NestedString(u.Object, "status", "targetSelector")
	}

	return Scaled{Replicas: int32(replicas), Selector: selector, UID: u.GetUID()}
}

// SetScale sets the wanted replicas through the scale subresource, and touches nothing else of the workload. Needs patch on it.
func (c *Client) SetScale(ctx context.Context, w Workload, replicas int32) error {
	resource, err := w.Resource()
	if err != nil {
		return err
	}

	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)

	err = c.Retry(ctx, func(ctx context.Context) error {
		_, err := c.Dynamic.Resource(resource).Namespace(w.Namespace).Patch(ctx, w.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "scale")

		return err
	})
	if err != nil {
		return &Error{Reason: apiReason(err), Message: fmt.Sprintf("scaling %s to %d", w, replicas), Err: err}
	}

	return nil
}

// WaitScaled watches until the workload has exactly the replicas it wants: all surplus pods have ended and are gone; and, when
// ready is set, all wanted ones are up to date and ready (COMPAT §4.4). tell, if not nil, hears what is missing, when that
// changes. The wait is bounded by fifteen minutes or the longest grace period of a pod, whatever is more.
// Needs list and watch on the workload, by name, and on pods.
func (c *Client) WaitScaled(ctx context.Context, w Workload, s Scaled, replicas int32, ready bool, tell func(string)) error {
	resource, err := w.Resource()
	if err != nil {
		return err
	}

	state := &scaleState{workload: w, scaled: s, replicas: replicas, ready: ready, pods: map[string]*corev1.Pod{}}
	said := ""
	last := func() string {
		return strings.Trim(state.missing()+"; "+strings.Join(state.troubles(), "; "), "; ")
	}

	say := func() bool {
		missing := state.missing()
		if now := last(); now != said && tell != nil && missing != "" {
			tell(now)
			said = now
		}

		return missing == ""
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	changes := make(chan func(), 16)
	ends := make(chan error, 2)
	forward := func(l lister, options metav1.ListOptions, apply func(change)) {
		ends <- c.follow(ctx, l, options, "", func(ch change) (bool, error) {
			select {
			case changes <- func() { apply(ch) }:
				return false, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		})
	}

	go forward(c.objects(resource, w.Namespace), byName(w.Name), state.object)
	go forward(c.pods(w.Namespace), metav1.ListOptions{LabelSelector: s.Selector}, state.podChange)

	running := 2
	defer func() {
		cancel()

		for running > 0 {
			select {
			case <-changes:
			case <-ends:
				running--
			}
		}
	}()

	what := fmt.Sprintf("%s to have %d replicas", w, replicas)
	started := c.clock().Now()
	ticker := c.clock().NewTicker(time.Second)

	defer ticker.Stop()

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ends:
			running--

			if err == nil || errors.Is(err, context.Canceled) {
				continue
			}

			return &Error{Reason: apiReason(err), Message: "waiting for " + what, Err: err}
		case apply := <-changes:
			apply()

			if state.deleted {
				return &Error{Reason: ReasonNotFound, Message: fmt.Sprintf("%s was deleted while it was being scaled", w)}
			}

			if state.seenObject && state.seenPods && say() {
				return nil
			}
		case <-ticker.C():
			limit := max(scaleLimit, state.grace()+5*time.Minute)
			if c.clock().Since(started) > limit {
				return &Error{
					Reason: ReasonTimeout, Message: fmt.Sprintf("waited %s for %s: %s", limit, what, last()),
					Hint: fmt.Sprintf("kubectl describe %s -n %s %s", w.Kind, w.Namespace, w.Name),
				}
			}
		}
	}
}

// scaleState is what WaitScaled knows.
type scaleState struct {
	workload Workload
	scaled   Scaled
	replicas int32
	ready    bool

	seenObject, seenPods, deleted bool
	current                       *unstructured.Unstructured
	pods                          map[string]*corev1.Pod
}

func (s *scaleState) object(ch change) {
	s.seenObject = true

	switch {
	case ch.event == nil && len(ch.reset) == 0, ch.event != nil && ch.event.Type == watch.Deleted:
		s.deleted = true
	case ch.event == nil:
		s.current, _ = ch.reset[0].(*unstructured.Unstructured)
	default:
		s.current, _ = ch.event.Object.(*unstructured.Unstructured)
	}
}

func (s *scaleState) podChange(ch change) {
	s.seenPods = true

	if ch.event == nil {
		clear(s.pods)
	}

	objects := ch.reset
	if ch.event != nil {
		objects = append(objects, ch.event.Object)
	}

	for _, object := range objects {
		pod, ok := object.(*corev1.Pod)

		switch {
		case !ok || !s.owns(pod):
		case ch.event != nil && ch.event.Type == watch.Deleted:
			delete(s.pods, pod.Name)
		default:
			s.pods[pod.Name] = pod
		}
	}
}

// owns tells whether a pod that the selector matches is the workload's: pods of Jobs often wear the same labels.
func (s *scaleState) owns(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return false
	}

	switch s.workload.Kind {
	case StatefulSet, ReplicaSet:
		return strings.EqualFold(owner.Kind, s.workload.Kind) && owner.Name == s.workload.Name
	case Deployment:
		return owner.Kind == "ReplicaSet" && strings.HasPrefix(owner.Name, s.workload.Name+"-")
	default:
		return owner.Kind == "ReplicationController" && strings.HasPrefix(owner.Name, s.workload.Name+"-")
	}
}

// missing says in words what the workload lacks; "" when it has arrived.
func (s *scaleState) missing() string {
	if s.current == nil {
		return "not seen yet"
	}

	number := func(fields ...string) int64 {
		n, _, _ := unstructured.NestedInt64(s.current.Object, fields...)

		return n
	}

	want := int64(s.replicas)
	// An autoscaler that takes a workload over on its way up has the say; nobody has who starts what is to be stopped.
	if set := number("spec", "replicas"); want > 0 && set > 0 {
		want = set
	}

	switch {
	case number("spec", "replicas") != want:
		return fmt.Sprintf("somebody else set it to %d", number("spec", "replicas"))
	case number("status", "observedGeneration") < s.current.GetGeneration():
		return "its controller has not seen the change"
	case number("status", "replicas") != want:
		return fmt.Sprintf("it has %d", number("status", "replicas"))
	}

	alive := 0

	for _, pod := range s.pods {
		if !finished(pod) || pod.DeletionTimestamp != nil {
			alive++
		}
	}

	switch {
	case alive != int(want):
		return fmt.Sprintf("pods left: %d", alive)
	case !s.ready || want == 0:
		return ""
	case number("status", "readyReplicas") != want:
		return fmt.Sprintf("%d of %d ready", number("status", "readyReplicas"), want)
	case s.workload.Kind != StatefulSet && number("status", "availableReplicas") != want:
		return fmt.Sprintf("%d of %d available", number("status", "availableReplicas"), want)
	case s.workload.Kind != StatefulSet && s.workload.Kind != ReplicaSet && number("status", "updatedReplicas") != want:
		return fmt.Sprintf("%d of %d up to date", number("status", "updatedReplicas"), want)
	default:
		return ""
	}
}

// troubles says why pods are not where they should be.
func (s *scaleState) troubles() []string {
	var out []string

	for name, pod := range s.pods {
		switch problem := pending(pod); {
		case pod.DeletionTimestamp != nil:
			out = append(out, fmt.Sprintf("pod %s is ending", name))
		case problem != nil:
			out = append(out, fmt.Sprintf("pod %s: %s", name, problem.message))
		}
	}

	slices.Sort(out)

	if len(out) > 5 {
		out = append(out[:5], "…")
	}

	return out
}

// grace is the longest grace period among the pods.
func (s *scaleState) grace() time.Duration {
	longest := int64(0)

	for _, pod := range s.pods {
		if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
			longest = max(longest, *g)
		}
	}

	return time.Duration(longest) * time.Second
}
