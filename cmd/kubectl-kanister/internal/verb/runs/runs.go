// Package runs holds the commands on runs: get, describe, logs, wait, cancel, forget.
package runs

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Run is a run record with the ConfigMap that holds it.
type Run struct {
	*record.Record
	ConfigMap *corev1.ConfigMap
	// Broken says why the record cannot be read; Record then holds what labels and plain keys tell.
	Broken error
}

func runOf(configMap *corev1.ConfigMap) Run {
	r, err := follow.Decode(configMap)
	if err == nil {
		return Run{Record: r, ConfigMap: configMap}
	}

	labels := configMap.Labels

	return Run{ConfigMap: configMap, Broken: err, Record: &record.Record{
		Run: configMap.Name, Namespace: configMap.Namespace, State: record.State(configMap.Data[record.KeyState]),
		Action: labels[record.LabelAction], Created: configMap.CreationTimestamp.Time,
		Blueprint: record.BlueprintInfo{Name: labels[record.LabelBlueprint]},
		Target:    blueprint.ObjectReference{Kind: labels[record.LabelTargetKind], Name: labels[record.LabelTargetName]},
	}}
}

// pageSize is small: a record may be close to a megabyte.
const pageSize = 50

// list reads the runs of a namespace ("" for all) that match a label selector.
func list(ctx context.Context, client kubernetes.Interface, namespace, selector string) ([]Run, error) {
	full := record.LabelRecord + "=true"
	if selector != "" {
		full += "," + selector
	}

	var runs []Run

	options := metav1.ListOptions{LabelSelector: full, Limit: pageSize}

	for {
		page, err := client.CoreV1().ConfigMaps(namespace).List(ctx, options)
		if apierrors.IsResourceExpired(err) { // between two pages; begin anew
			runs, options.Continue, options.Limit = nil, "", 0

			continue
		}

		if err != nil {
			return nil, fmt.Errorf("listing runs: %w", err)
		}

		for i := range page.Items {
			runs = append(runs, runOf(&page.Items[i]))
		}

		if options.Continue = page.Continue; options.Continue == "" {
			return runs, nil
		}
	}
}

// get reads one run.
func get(ctx context.Context, s *session.Session, ref follow.Ref) (Run, error) {
	configMap, err := s.Kubernetes.CoreV1().ConfigMaps(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err), err == nil && configMap.Labels[record.LabelRecord] != "true":
		return Run{}, exit.New(exit.Usage, fmt.Errorf("looking for run %q: there is none in namespace %q", ref.Name, ref.Namespace),
			"kubectl kanister get runs"+s.Commands.Suffix(ref.Namespace))
	case err != nil:
		return Run{}, fmt.Errorf("reading run %q: %w", ref.Name, err)
	}

	return runOf(configMap), nil
}

// duration is how long a run took, or has taken so far.
func (r Run) duration(now time.Time) (time.Duration, bool) {
	switch {
	case r.Started == nil:
		return 0, false
	case r.Ended != nil:
		return r.Ended.Sub(*r.Started), true
	case r.State.Finished():
		return 0, false
	default:
		return now.Sub(*r.Started), true
	}
}

// at says where a run is: "2/3 copy".
func (r Run) at() string {
	for i, phase := range r.Phases {
		if phase.State == record.Running {
			return fmt.Sprintf("%d/%d %s", i+1, len(r.Phases), phase.Name)
		}
	}

	if r.Defer != nil && r.Defer.State == record.Running {
		return "deferPhase " + r.Defer.Name
	}

	if r.State == record.Failed && r.Error != nil && r.Error.Phase != "" {
		for i, phase := range r.Phases {
			if phase.Name == r.Error.Phase {
				return fmt.Sprintf("%d/%d %s", i+1, len(r.Phases), phase.Name)
			}
		}

		return r.Error.Phase
	}

	done := 0

	for _, phase := range r.Phases {
		if phase.State == record.Complete {
			done++
		}
	}

	if len(r.Phases) == 0 {
		return "-"
	}

	return fmt.Sprintf("%d/%d", done, len(r.Phases))
}

// sums are what the phases reported of data: zero members were not reported.
func (r Run) sums() (sum record.Progress) {
	for _, phase := range r.Phases {
		if p := phase.Progress; p != nil {
			sum.BytesDone += p.BytesDone
			sum.BytesNew += p.BytesNew
			sum.FilesDone += p.FilesDone
		}
	}

	return sum
}

// cause is the failure in one line.
func (r Run) cause() string {
	switch {
	case r.Broken != nil:
		return r.Broken.Error()
	case r.Error != nil:
		return strings.Join(strings.Fields(r.Error.Message), " ")
	case r.CancelReason != "":
		return r.CancelReason
	default:
		return ""
	}
}

func refOf(run Run) follow.Ref { return follow.Ref{Namespace: run.Namespace, Name: run.Run} }
