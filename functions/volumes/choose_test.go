package volumes

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-kanister/kubectl-kanister/functions/functest"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// TestChoose: a namespace is backed up without the claims that hold backups, of whichever profile. Who names one means it.
func TestChoose(t *testing.T) {
	claim := func(name, label string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: map[string]string{label: "true"}}}
	}
	claims := []runtime.Object{claim("data", "app"), claim("backups", record.LabelLocation), claim("clone", LabelTemporary), claim("used", "app")}
	shop := blueprint.ObjectReference{Kind: "namespace", Name: "shop", Namespace: "shop"}

	for name, test := range map[string]struct {
		target blueprint.ObjectReference
		names  []string
		want   []string
	}{
		"the namespace":             {target: shop, want: []string{"data"}},
		"named in the namespace":    {target: shop, names: []string{"backups", "data"}, want: []string{"backups", "data"}},
		"the claim itself":          {target: blueprint.ObjectReference{Kind: "pvc", Name: "backups", Namespace: "shop"}, want: []string{"backups"}},
		"the profile's, named":      {target: shop, names: []string{"used"}},
		"the profile's, the target": {target: blueprint.ObjectReference{Kind: "pvc", Name: "used", Namespace: "shop"}},
	} {
		run := functest.Run()
		run.Namespace, run.Input.Target = "shop", test.target
		run.Kube.Clientset, run.Kube.Dynamic = fake.NewClientset(claims...), dynamicfake.NewSimpleDynamicClient(scheme.Scheme, claims...)
		run.Params.Profile = &params.Profile{Location: blueprint.Location{Type: blueprint.LocationFilestore, ClaimName: "used"}}

		chosen, err := choose(t.Context(), run, "shop", test.names)
		if (err == nil) != (test.want != nil) {
			t.Errorf("%s: %v", name, err)
		}

		var got []string
		for _, v := range chosen {
			got = append(got, v.Name)
		}

		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
