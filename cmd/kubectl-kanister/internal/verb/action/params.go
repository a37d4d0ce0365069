package action

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/exit"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/target"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// params reads the template parameters with the user's rights. What he may not read leaves gaps in the plan, not in the run.
func (o *Options) params(ctx context.Context, request *plan.Request) error {
	made, err := o.readParams(ctx, request)
	if made != nil && o.stopped(ctx, request, made) {
		made, err = o.readParams(ctx, request)
	}

	var unreadable *params.Unreadable

	switch {
	case err == nil, errors.As(err, &unreadable):
		request.Params = made
	case apierrors.IsForbidden(err):
		request.Unread = append(request.Unread, fmt.Sprintf("the plan is incomplete: %v", err))
	case apierrors.IsNotFound(err) && o.deletesFromRecord() && request.Target.Kind != "namespace":
		request.Target = target.Namespaced(request.Namespace)

		return o.params(ctx, request)
	case apierrors.IsNotFound(err):
		hint := ""
		if o.From != "" {
			hint = fmt.Sprintf("work on another one: kubectl kanister %s TYPE/NAME --from %s", o.Action, o.From)
		}

		return exit.New(exit.Usage, fmt.Errorf("reading the target %s in namespace %q: %w", target.Name(request.Target), request.Namespace, err), hint)
	default:
		return fmt.Errorf("reading the target %s in namespace %q: %w", target.Name(request.Target), request.Namespace, err)
	}

	if unreadable != nil {
		request.Unread = append(request.Unread, unreadable.Error())
	}

	return nil
}

func (o *Options) readParams(ctx context.Context, request *plan.Request) (*params.TemplateParams, error) {
	return params.New(ctx, params.Cluster{Kubernetes: o.client, Dynamic: o.dynamic}, params.Request{
		Namespace: request.Namespace, Target: request.Target, Profile: request.Profile.Params(), RepositoryServer: request.RepositoryServer, Artifacts: request.Artifacts,
		Options: request.Options, ConfigMaps: request.ConfigMaps, Secrets: request.Secrets, Stopped: request.Stopped, PodOverride: request.PodOverride,
		PodLabels: request.PodLabels, PodAnnotations: request.PodAnnotations, Now: o.Now(), Tolerant: true,
	})
}

// stopped finds the run that has left the target without pods, so that what it was to restore can be restored again: blueprints name a
// pod even to work on its volumes. It tells whether there is one, once.
func (o *Options) stopped(ctx context.Context, request *plan.Request, read *params.TemplateParams) bool {
	workload := read.Workload()
	if workload == nil || len(workload.Pods) > 0 || len(request.Artifacts) == 0 {
		return false
	}

	run, found := o.sources.Stopped(ctx, request.Namespace, request.Target)
	if !found {
		return false
	}

	request.Stopped = run.Origin.Workload
	request.Unread = append(request.Unread, fmt.Sprintf("%s has no running pods: run %q left it stopped, and templates see the pods that it found then: %s",
		target.Name(request.Target), run.Run, strings.Join(request.Stopped.Pods, ", ")))

	return true
}
