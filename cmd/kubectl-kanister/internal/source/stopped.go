package source

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Stopped finds the newest run that has not started target again and whose record still says which pods it had (Record.Origin). A record that cannot be read is passed over: without it the plan says what it lacks.
func (r *Resolver) Stopped(ctx context.Context, namespace string, target blueprint.ObjectReference) (*record.Record, bool) {
	list, err := r.Kubernetes.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: strings.Join([]string{
		record.LabelRecord + "=true", record.LabelTargetKind + "=" + record.LabelValue(target.Kind), record.LabelTargetName + "=" + record.LabelValue(target.Name),
	}, ",")})
	if err != nil {
		return nil, false
	}

	var newest *record.Record

	for i := range list.Items {
		run, err := record.Decode(&list.Items[i])
		if err != nil || run.Origin == nil || run.Origin.Workload == nil || len(run.Origin.Workload.Pods) == 0 {
			continue
		}

		if newest == nil || run.Created.After(newest.Created) {
			newest = run
		}
	}

	return newest, newest != nil
}
