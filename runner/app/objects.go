package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// adopted are the kinds that go with the Job.
func adopted() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		{Version: "v1", Resource: "secrets"},
		{Version: "v1", Resource: "serviceaccounts"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	}
}

// adopt makes the Job the owner of the run's objects, all named as the run, unless they have one: those that were made by
// `--dry-run -o yaml | kubectl apply` have none and would stay for ever. What cannot be adopted is said; the run goes on.
func adopt(ctx context.Context, client dynamic.Interface, owner *kube.Owner, run string, log *logger) {
	for _, resource := range adopted() {
		objects := client.Resource(resource).Namespace(owner.Namespace)

		object, err := objects.Get(ctx, run, metav1.GetOptions{})
		if apierrors.IsNotFound(err) { // with --service-account there are fewer
			continue
		}

		if err == nil && (len(object.GetOwnerReferences()) > 0 || object.GetLabels()[record.LabelRun] != record.LabelValue(run)) {
			continue
		}

		if err == nil {
			var patch []byte

			// With the version read: somebody may be adopting it at this moment.
			patch, err = json.Marshal(map[string]any{"metadata": map[string]any{
				"resourceVersion": object.GetResourceVersion(),
				"ownerReferences": []metav1.OwnerReference{owner.Reference},
			}})
			if err == nil {
				_, err = objects.Patch(ctx, run, types.MergePatchType, patch, metav1.PatchOptions{})
			}
		}

		if err != nil {
			log.Error(fmt.Sprintf("making the Job the owner of %s %q: %v; delete it by hand when the Job is gone", resource.Resource, run, err))
		}
	}
}

// abandon deletes the pods that are the run's own. A phase also notes pods of the application, for diagnosis: those are left alone.
func abandon(ctx context.Context, client *kube.Client, run string, pods []record.PodRef) error {
	var problems []error

	for _, ref := range pods {
		err := client.Retry(ctx, func(ctx context.Context) error {
			pod, err := client.Clientset.CoreV1().Pods(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}

			if pod.Labels[record.LabelRun] != record.LabelValue(run) {
				return nil
			}

			return client.Clientset.CoreV1().Pods(ref.Namespace).Delete(ctx, ref.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &pod.UID},
			})
		})
		// The run may look at its own pods by name, and need not be able to look at the application's.
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
			problems = append(problems, fmt.Errorf("deleting pod %q in namespace %q: %w", ref.Name, ref.Namespace, err))
		}
	}

	return errors.Join(problems...)
}
