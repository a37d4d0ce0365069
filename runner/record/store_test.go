package record_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Case {
		m, err := record.NewMemory(nil)
		if err != nil {
			t.Fatal(err)
		}

		return storetest.Case{Store: m, Again: m, Cancel: m.RequestCancel, Limit: 2 * record.Budget}
	})
}

// cluster is a fake API server with what the real one does and client-go's fake does not: conflicts and immutability.
func cluster(t *testing.T) *fake.Clientset {
	t.Helper()

	client := fake.NewClientset()
	version := 1

	client.PrependReactor("update", "configmaps", func(action clienttesting.Action) (bool, runtime.Object, error) {
		next := action.(clienttesting.UpdateAction).GetObject().(*corev1.ConfigMap)

		object, err := client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("configmaps"), next.Namespace, next.Name)
		if err != nil {
			return true, nil, err
		}

		current := object.(*corev1.ConfigMap)
		if next.ResourceVersion != current.ResourceVersion {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, next.Name, errors.New("changed"))
		}

		if current.Immutable != nil && *current.Immutable {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, next.Name, nil)
		}

		version++
		next = next.DeepCopy()
		next.ResourceVersion = strings.Repeat("1", version)

		return true, next, client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("configmaps"), next, next.Namespace)
	})

	return client
}

func store(client *fake.Clientset, c clock.WithTicker) *record.ConfigMap {
	return record.NewConfigMap(client.CoreV1(), "demo", "backup-db-x1", nil, c)
}

func TestConfigMap(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Case {
		client := cluster(t)

		return storetest.Case{
			Store: store(client, clock.RealClock{}), Again: store(client, clock.RealClock{}), Limit: 2 * record.Budget,
			Cancel: func(reason string) {
				// Not by patch: the fake does not give a patched object a new version.
				cm, err := client.CoreV1().ConfigMaps("demo").Get(t.Context(), "backup-db-x1", metav1.GetOptions{})
				if err != nil {
					t.Error(err)
				}

				cm = cm.DeepCopy()
				cm.Annotations = map[string]string{record.AnnotationCancel: reason}

				if _, err := client.CoreV1().ConfigMaps("demo").Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
					t.Error(err)
				}
			},
		}
	})
}

func TestConfigMapForReaders(t *testing.T) {
	client := cluster(t)
	made := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "backup-db-x1", Namespace: "demo", Labels: map[string]string{"mine": "stays"}},
		Data:       map[string]string{record.KeyState: "pending", record.KeyBlueprint: "kind: Blueprint"},
	}

	r := storetest.Record()
	pending, err := record.Encode(&record.Record{SchemaVersion: "v1", State: record.Pending})
	if err != nil {
		t.Fatal(err)
	}

	made.Data[record.KeyRecord] = pending[record.KeyRecord]

	if _, err := client.CoreV1().ConfigMaps("demo").Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	s := store(client, clock.RealClock{})
	r.State, r.Error = record.Failed, &record.Failure{Message: "disk full", Phase: "next"}

	if err := s.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}

	cm, err := client.CoreV1().ConfigMaps("demo").Get(t.Context(), "backup-db-x1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	for key, want := range map[string]string{
		record.KeyState: "failed", record.KeyPhase: "next", record.KeyError: "disk full", record.KeyProgress: "1/2", record.KeyBlueprint: "kind: Blueprint",
	} {
		if cm.Data[key] != want {
			t.Errorf("key %s is %q, want %q", key, cm.Data[key], want)
		}
	}

	for label, want := range map[string]string{
		record.LabelState: "failed", record.LabelRun: "backup-db-x1", record.LabelTargetKind: "statefulset", "mine": "stays", record.LabelRecord: "true",
	} {
		if cm.Labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, cm.Labels[label], want)
		}
	}

	if cm.Immutable == nil || !*cm.Immutable {
		t.Error("a finished record can be changed")
	}
}

// TestOutage lets the API server be away in all the ways in which it is.
func TestOutage(t *testing.T) {
	resource := schema.GroupResource{Resource: "configmaps"}
	refused := &url.Error{Op: "Put", URL: "https://10.0.0.1", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	away := map[string]error{
		"refused":     refused,
		"reset":       &url.Error{Op: "Put", URL: "https://10.0.0.1", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
		"unavailable": apierrors.NewServiceUnavailable("restarting"),
		"too many":    apierrors.NewTooManyRequests("later", 1),
		"timeout":     apierrors.NewServerTimeout(resource, "update", 1),
		"etcd":        apierrors.NewInternalError(errors.New("etcdserver: leader changed")),
		"denied":      apierrors.NewForbidden(resource, "backup-db-x1", errors.New("RBAC: not synced")),
		"gateway":     apierrors.NewGenericServerResponse(http.StatusBadGateway, "put", resource, "backup-db-x1", "", 0, true),
	}

	for name, problem := range away {
		t.Run(name, func(t *testing.T) {
			client := cluster(t)
			c := clocktesting.NewFakeClock(time.Now())
			s := store(client, c)
			passing(t, c)

			r := storetest.Record()
			if err := s.Save(t.Context(), r); err != nil {
				t.Fatal(err)
			}

			failing := 5
			client.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
				failing--

				return failing >= 0, nil, problem
			})

			r.State = record.Complete
			if err := s.Save(t.Context(), r); err != nil {
				t.Fatal(err)
			}

			if got, err := store(client, c).Load(t.Context()); err != nil || got.State != record.Complete {
				t.Errorf("stored %v, %v", got, err)
			}
		})
	}

	t.Run("for good", func(t *testing.T) {
		client := cluster(t)
		c := clocktesting.NewFakeClock(time.Now())
		passing(t, c)

		started := c.Now()
		client.PrependReactor("*", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refused })

		err := store(client, c).Save(t.Context(), storetest.Record())
		if err == nil || !strings.Contains(err.Error(), `run record "backup-db-x1"`) {
			t.Errorf("got %v", err)
		}

		if took := c.Since(started); took < 10*time.Minute || took > 15*time.Minute {
			t.Errorf("gave up after %s", took)
		}
	})

	t.Run("no rights from the start", func(t *testing.T) {
		client := cluster(t)
		client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, away["denied"] })

		if _, err := store(client, clock.RealClock{}).Load(t.Context()); !apierrors.IsForbidden(err) {
			t.Errorf("got %v", err)
		}
	})
}

// TestLostAnswer stores a write and loses the answer: the repeated write must see that it is its own.
func TestLostAnswer(t *testing.T) {
	client := cluster(t)
	c := clocktesting.NewFakeClock(time.Now())
	passing(t, c)

	s := store(client, c)
	r := storetest.Record()

	if err := s.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}

	lost := false
	other := client.ReactionChain[0]
	client.PrependReactor("update", "configmaps", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if lost {
			return false, nil, nil
		}

		lost = true

		if _, _, err := other.React(action); err != nil {
			t.Error(err)
		}

		return true, nil, &url.Error{Op: "Put", URL: "https://10.0.0.1", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}
	})

	r.State = record.Complete
	if err := s.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestDeletedMeanwhile(t *testing.T) {
	client := cluster(t)
	s := store(client, clock.RealClock{})

	if err := s.Save(t.Context(), storetest.Record()); err != nil {
		t.Fatal(err)
	}

	noticed := make(chan error, 1)

	go func() {
		_, err := s.CancelRequested(t.Context())
		noticed <- err
	}()

	time.Sleep(50 * time.Millisecond) // it watches

	if err := client.CoreV1().ConfigMaps("demo").Delete(t.Context(), "backup-db-x1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}

	select {
	case err := <-noticed:
		if !errors.Is(err, record.ErrGone) {
			t.Errorf("the watch ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the watch did not notice")
	}

	if err := s.Save(t.Context(), storetest.Record()); !errors.Is(err, record.ErrGone) {
		t.Errorf("got %v", err)
	}
}

func passing(t *testing.T, c *clocktesting.FakeClock) {
	t.Helper()

	ended, stopped := make(chan struct{}), make(chan struct{})

	go func() {
		defer close(stopped)

		for {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
				c.Step(time.Second)
			}
		}
	}()

	t.Cleanup(func() {
		close(ended)
		<-stopped
	})
}
