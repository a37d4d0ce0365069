package params

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// Target kinds that set a parameter of their own, in lower case (COMPAT §1.4).
const (
	kindDeployment       = "deployment"
	kindStatefulSet      = "statefulset"
	kindDeploymentConfig = "deploymentconfig"
	kindPVC              = "pvc"
	kindNamespace        = "namespace"
)

// known are the resources of those kinds. A target that names another group is not one of them.
var known = map[string]schema.GroupVersionResource{
	kindDeployment:       {Group: "apps", Version: "v1", Resource: "deployments"},
	kindStatefulSet:      {Group: "apps", Version: "v1", Resource: "statefulsets"},
	kindDeploymentConfig: {Group: "apps.openshift.io", Version: "v1", Resource: "deploymentconfigs"},
	kindPVC:              {Version: "v1", Resource: "persistentvolumeclaims"},
	kindNamespace:        {Version: "v1", Resource: "namespaces"},
}

// kindOf classifies a target; "" is any other kind. PersistentVolumeClaim counts as pvc, which upstream does not have.
func kindOf(target blueprint.ObjectReference) string {
	kind := strings.ToLower(target.Kind)
	if kind == "persistentvolumeclaim" {
		kind = kindPVC
	}

	gvr, ok := known[kind]
	if !ok || target.Group != "" && target.Group != gvr.Group {
		return ""
	}

	return kind
}

// setTarget fetches the target and sets .Object and, for the kinds that have one, the parameter of the kind.
func setTarget(ctx context.Context, c Cluster, req Request, p *TemplateParams) error {
	target := req.Target
	if target.Namespace == "" && kindOf(target) != "" {
		target.Namespace = req.Namespace
		if kindOf(target) == kindNamespace {
			target.Namespace = target.Name
		}
	}

	object, err := fetchTarget(ctx, c, target)
	if err != nil {
		return err
	}

	p.Object = object.Object

	switch kindOf(target) {
	case kindPVC:
		p.PVC = &PVCParams{Name: object.GetName(), Namespace: object.GetNamespace()}
	case kindNamespace:
		// Both names are the reference's namespace, not its name: upstream's word, and what blueprints expect.
		p.Namespace = &NamespaceParams{Name: target.Namespace, Namespace: target.Namespace}
	case kindDeployment, kindStatefulSet, kindDeploymentConfig:
		w, err := workload(ctx, c, kindOf(target), object)
		if err != nil {
			return err
		}

		if s := req.Stopped; s != nil && len(w.Pods) == 0 {
			w.Pods, w.Containers, w.PersistentVolumeClaims = s.Pods, s.Containers, s.PersistentVolumeClaims
		}

		switch kindOf(target) {
		case kindDeployment:
			p.Deployment = (*DeploymentParams)(w)
		case kindStatefulSet:
			p.StatefulSet = (*StatefulSetParams)(w)
		case kindDeploymentConfig:
			p.DeploymentConfig = (*DeploymentConfigParams)(w)
		}
	}

	return nil
}

// fetchTarget gets the target as the API has it.
func fetchTarget(ctx context.Context, c Cluster, target blueprint.ObjectReference) (*unstructured.Unstructured, error) {
	var gvr schema.GroupVersionResource

	kind, namespace, name := kindOf(target), target.Namespace, target.Name

	if kind != "" {
		gvr = known[kind]
		if kind == kindNamespace {
			namespace = ""

			if name == "" {
				name = target.Namespace
			}
		}
	} else {
		var err error
		if gvr, err = resourceOf(target); err != nil {
			return nil, err
		}
	}

	shown := target.Kind
	if shown == "" {
		shown = gvr.GroupResource().String()
	}

	if name == "" {
		return nil, fmt.Errorf("reading the target %s: its name is empty", shown)
	}

	object, err := c.Dynamic.Resource(gvr).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, reading(shown, namespace, name, "the target", err)
	}

	return object, nil
}

// resourceOf is the resource of any other kind, as the reference itself says it. A version with its group ("apps/v1"), which
// upstream does not allow, is understood.
func resourceOf(target blueprint.ObjectReference) (schema.GroupVersionResource, error) {
	gvr := schema.GroupVersionResource{Group: target.Group, Version: target.APIVersion, Resource: target.Resource}

	if group, version, both := strings.Cut(target.APIVersion, "/"); both && (target.Group == "" || target.Group == group) {
		gvr.Group, gvr.Version = group, version
	}

	if gvr.Version == "" || gvr.Resource == "" {
		return gvr, fmt.Errorf("reading the target %q of kind %q: a target of this kind needs apiVersion (such as \"v1\") and resource "+
			"(such as \"secrets\")", target.Name, target.Kind)
	}

	return gvr, nil
}
