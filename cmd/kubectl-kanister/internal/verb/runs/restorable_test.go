package runs

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// kept is a complete run as it lies in the cluster.
func kept(t *testing.T, name, action, from string, created time.Time) *corev1.ConfigMap {
	t.Helper()

	r := &record.Record{SchemaVersion: record.SchemaVersion, Run: name, Namespace: "demo", Action: action, State: record.Complete, From: from, Created: created, Ended: &created}

	data, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}

	data[record.KeyBlueprint] = "actions: {backup: {}, restore: {}, delete: {}}"

	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "demo", Labels: record.Labels(r)}, Data: data}
}

// TestDeletionOfAnEarlierRunOfTheName: `--name nightly`, delete, forget, and `--name nightly` again.
func TestDeletionOfAnEarlierRunOfTheName(t *testing.T) {
	for name, test := range map[string]struct {
		backup time.Duration // before now
		want   string
	}{"the one that was deleted": {2 * time.Hour, "deleted"}, "a new one": {time.Minute, "yes"}} {
		t.Run(name, func(t *testing.T) {
			deletion := runOf(kept(t, "delete-nightly", "delete", "nightly", now.Add(-time.Hour)))

			if got := runOf(kept(t, "nightly", "backup", "", now.Add(-test.backup))).restorable(deletedBackups([]Run{deletion})); got != test.want {
				t.Errorf("restorable: %s, want %s", got, test.want)
			}
		})
	}
}

// TestForgetKeepsADeletion as long as the record of what it has deleted is there: that would count as a backup again.
func TestForgetKeepsADeletion(t *testing.T) {
	backup, deletion := kept(t, "nightly", "backup", "", now.Add(-2*time.Hour)), kept(t, "delete-nightly", "delete", "nightly", now.Add(-time.Hour))
	forget := func(f *fixture, names ...string) error {
		o := &ForgetOptions{IOStreams: f.streams, Session: f.session, Clock: clocktesting.NewFakePassiveClock(now), Names: names}

		return o.Run(context.Background())
	}

	f := newFixture(backup.DeepCopy(), deletion.DeepCopy())
	if err := forget(f, "delete-nightly"); exit.Of(err) != exit.Usage || !strings.Contains(err.Error(), "nightly") || exit.HintOf(err) == "" {
		t.Errorf("error %v", err)
	}

	if err := forget(f, "delete-nightly", "nightly"); err != nil {
		t.Errorf("both at once: %v", err)
	}

	f = newFixture(deletion.DeepCopy(), kept(t, "nightly", "backup", "", now.Add(-time.Minute)))
	if err := forget(f, "delete-nightly"); err != nil {
		t.Errorf("the backup is another: %v", err)
	}
}
