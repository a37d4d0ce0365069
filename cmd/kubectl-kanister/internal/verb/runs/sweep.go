package runs

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/follow"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/pack"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/session"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// elsewhere are the kinds that a run has outside its namespace, where its Job cannot own them.
var elsewhere = []schema.GroupVersionResource{
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
}

// sweep removes the permissions of a run outside its namespace: the command that started it does so unless it was detached or killed. Who
// may not list them in the whole cluster could not have made any.
func sweep(ctx context.Context, client dynamic.Interface, run follow.Ref, dryRun bool) (gone []string, err error) {
	mine := metav1.ListOptions{LabelSelector: record.LabelRun + "=" + run.Name + "," + pack.LabelRunNamespace + "=" + run.Namespace}

	for _, resource := range elsewhere {
		found, err := client.Resource(resource).List(ctx, mine)
		if apierrors.IsForbidden(err) {
			continue
		}

		if err != nil {
			return gone, fmt.Errorf("listing %s of run %q: %w", resource.Resource, run.Name, err)
		}

		for i := range found.Items {
			item := &found.Items[i]
			gone = append(gone, strings.TrimSuffix(resource.Resource, "s")+"/"+item.GetName())

			if dryRun {
				continue
			}

			err := client.Resource(resource).Namespace(item.GetNamespace()).Delete(ctx, item.GetName(), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return gone, fmt.Errorf("deleting %s %q of run %q: %w", resource.Resource, item.GetName(), run.Name, err)
			}
		}
	}

	return gone, nil
}

// sweepEnded removes the permissions elsewhere of runs that have ended. What cannot be removed is said; the run's end is what counts.
func sweepEnded(ctx context.Context, s *session.Session, streams genericiooptions.IOStreams, results []follow.Result) {
	for _, result := range results {
		if result.Record == nil || !result.Record.State.Finished() {
			continue
		}

		if _, err := sweep(ctx, s.Dynamic, result.Ref, false); err != nil {
			leftElsewhere(streams, result.Ref, err)
		}
	}
}

func leftElsewhere(streams genericiooptions.IOStreams, run follow.Ref, err error) {
	fmt.Fprintf(streams.ErrOut, "warning: permissions of run/%s outside its namespace are left behind: %v\n", run.Name, err)
}
