package volumes

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/csi"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ReleaseVolumes undoes what the other functions of the family did for a backup.
type ReleaseVolumes struct{ spec.Function }

var _ = functions.Register(ReleaseVolumes{spec.Must("ReleaseVolumes")})

type releaseArgs struct {
	Namespace string `mapstructure:"namespace"`
	Workloads string `mapstructure:"workloads"`
	Wait      bool   `mapstructure:"waitForReady"`
}

// releaseKey identifies the way back in the undo list.
func releaseKey(namespace string) string { return "release/" + namespace }

// Exec implements functions.Func.
func (f ReleaseVolumes) Exec(ctx context.Context, run *functions.Run, args map[string]any) (map[string]any, error) {
	a := releaseArgs{Wait: true}
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	var quiesced []Quiesced
	if err := decodeText("workloads", a.Workloads, &quiesced); err != nil {
		return nil, err
	}

	namespace := namespaceOf(run, a.Namespace)

	// The workloads first: they are what people wait for.
	if err := bringBack(ctx, run, quiesced, false); err != nil {
		return nil, err
	}

	if err := removeTemporary(ctx, run, namespace); err != nil {
		return nil, err
	}

	if err := run.Journal.DropUndo(ctx, releaseKey(namespace)); err != nil {
		return nil, err
	}

	if !a.Wait {
		return nil, nil
	}

	return nil, bringBack(ctx, run, quiesced, true)
}

// removeTemporary deletes the clones and snapshots that this run made for itself. It does not wait for their end: a clone goes
// when its last pod has, a snapshot when its driver has deleted it.
func removeTemporary(ctx context.Context, run *functions.Run, namespace string) error {
	for _, resource := range []schema.GroupVersionResource{kube.ClaimResource, csi.Snapshots} {
		client := run.Kube.Dynamic.Resource(resource).Namespace(namespace)
		selector := record.LabelRun + "=" + record.LabelValue(run.Name) + "," + LabelTemporary + "=true"

		var names []string

		err := run.Kube.Retry(ctx, func(ctx context.Context) error {
			list, err := client.List(ctx, metav1.ListOptions{LabelSelector: selector})
			if err != nil {
				return err
			}

			names = names[:0]
			for _, item := range list.Items {
				names = append(names, item.GetName())
			}

			return nil
		})

		switch {
		case resource == csi.Snapshots && (apierrors.IsNotFound(err) || apierrors.IsForbidden(err)):
			continue // no snapshots in this cluster, or none for this user: then there are none of ours
		case err != nil:
			return &kube.Error{Reason: string(apierrors.ReasonForError(err)), Message: fmt.Sprintf("listing the temporary %s in namespace %q", resource.Resource, namespace), Err: err}
		}

		for _, name := range names {
			err := run.Kube.Retry(ctx, func(ctx context.Context) error { return client.Delete(ctx, name, metav1.DeleteOptions{}) })
			if err != nil && !apierrors.IsNotFound(err) {
				return &kube.Error{
					Reason: string(apierrors.ReasonForError(err)), Message: fmt.Sprintf("deleting %s %q in namespace %q", resource.Resource, name, namespace), Err: err,
					Hint: fmt.Sprintf("kubectl delete %s -n %s %s", resource.Resource, namespace, name),
				}
			}
		}
	}

	return nil
}
