package volumes

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/csi"
)

// Annotations of Kubernetes and of the snapshot controller.
const (
	provisionerAnnotation     = "volume.kubernetes.io/storage-provisioner"
	provisionerAnnotationBeta = "volume.beta.kubernetes.io/storage-provisioner"
	defaultClassAnnotation    = "snapshot.storage.kubernetes.io/is-default-class"
)

// class is a VolumeSnapshotClass.
type class struct {
	name, driver string
	isDefault    bool
	// retains: deleting a VolumeSnapshot leaves the snapshot in the storage system.
	retains bool
}

// classes reads the cluster's VolumeSnapshotClasses once, when they are first needed.
type classes struct {
	run  *functions.Run
	once sync.Once
	all  []class
	// hidden: they may not be listed; the API server will choose.
	hidden bool
	err    error
}

func (c *classes) load(ctx context.Context) {
	c.once.Do(func() {
		var list *unstructured.UnstructuredList

		err := c.run.Kube.Retry(ctx, func(ctx context.Context) (err error) {
			list, err = c.run.Kube.Dynamic.Resource(csi.Classes).List(ctx, metav1.ListOptions{})

			return err
		})

		switch {
		case apierrors.IsForbidden(err):
			c.hidden = true

			return
		case err != nil:
			c.err = err

			return
		}

		for _, item := range list.Items {
			driver, _, _ := unstructured.NestedString(item.Object, "driver")
			policy, _, _ := unstructured.NestedString(item.Object, "deletionPolicy")
			c.all = append(c.all, class{
				name: item.GetName(), driver: driver, retains: policy == "Retain",
				isDefault: item.GetAnnotations()[defaultClassAnnotation] == "true",
			})
		}
	})
}

// of gives the class to snapshot a claim with: "" lets the snapshot controller choose. why says that there is none.
func (c *classes) of(ctx context.Context, claim *corev1.PersistentVolumeClaim) (chosen class, why string) {
	c.load(ctx)

	switch {
	case apierrors.IsNotFound(c.err):
		return class{}, "this cluster has no CSI snapshots (no snapshot.storage.k8s.io/v1)"
	case c.err != nil:
		return class{}, "the VolumeSnapshotClasses cannot be read: " + c.err.Error()
	case c.hidden:
		return class{}, ""
	}

	driver := claim.Annotations[provisionerAnnotation]
	if driver == "" {
		driver = claim.Annotations[provisionerAnnotationBeta]
	}

	if driver == "" {
		return class{}, "" // bound by hand: the snapshot controller looks at its PersistentVolume
	}

	found := false

	for _, candidate := range c.all {
		if candidate.driver != driver {
			continue
		}

		// The default, then one that cleans up behind itself, then the first by name.
		if !found || candidate.isDefault && !chosen.isDefault || candidate.isDefault == chosen.isDefault && chosen.retains && !candidate.retains {
			chosen, found = candidate, true
		}
	}

	if !found {
		return class{}, fmt.Sprintf("its driver %s has no VolumeSnapshotClass", driver)
	}

	return chosen, ""
}
