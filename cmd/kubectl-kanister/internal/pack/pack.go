// Package pack turns a Plan into Kubernetes objects. It is pure: no cluster, no clock, no randomness.
package pack

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// Options are what a Plan leaves open.
type Options struct {
	// Created is the record's creation time.
	Created time.Time
	// Version of the plugin, for a label.
	Version string
	// TTL is how long the finished Job, and with it everything that it owns, is kept.
	TTL time.Duration
	// Standalone objects are applied by somebody else (--dry-run -o yaml | kubectl apply -f -): they get no owner from us, so
	// the runner adopts them when it starts. Its plan must be for that too (plan.Request).
	Standalone bool
}

// Objects are all that a run consists of at its start. All are named as the run and carry its label.
type Objects struct {
	Job *batchv1.Job
	// Input is the Secret that tells the runner what to do.
	Input *corev1.Secret
	// Record outlives the Job: nothing owns it.
	Record *corev1.ConfigMap
	// ServiceAccount and what follows are absent when the run uses an existing account.
	ServiceAccount *corev1.ServiceAccount
	// Roles and Bindings in the run's namespace come first; the others, for phases that work elsewhere, cannot be owned by the
	// Job and are removed when the run has ended, as are the cluster-scoped ones.
	Roles           []*rbacv1.Role
	Bindings        []*rbacv1.RoleBinding
	ClusterRoles    []*rbacv1.ClusterRole
	ClusterBindings []*rbacv1.ClusterRoleBinding
}

// LabelRunNamespace is on objects of a run outside its namespace, beside record.LabelRun.
const LabelRunNamespace = "kanister.io/run-namespace"

// maxSecret is Kubernetes' limit on a Secret's data.
const maxSecret = 1 << 20

// Pack makes the objects of a run.
func Pack(p *plan.Plan, o Options) (*Objects, error) {
	input, err := inputSecret(p)
	if err != nil {
		return nil, err
	}

	journal, err := recordConfigMap(p, o)
	if err != nil {
		return nil, err
	}

	objects := &Objects{Job: job(p, o), Input: input, Record: journal}

	if p.ServiceAccount == "" {
		objects.ServiceAccount = &corev1.ServiceAccount{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta: meta(p, p.Namespace()),
		}
		addAccess(objects, p)
	}

	return objects, nil
}

// All are the objects in the order in which they can be applied: the Job last.
func (o *Objects) All() []runtime.Object {
	var all []runtime.Object

	if o.ServiceAccount != nil {
		all = append(all, o.ServiceAccount)
	}

	for _, role := range o.Roles {
		all = append(all, role)
	}

	for _, binding := range o.Bindings {
		all = append(all, binding)
	}

	for _, role := range o.ClusterRoles {
		all = append(all, role)
	}

	for _, binding := range o.ClusterBindings {
		all = append(all, binding)
	}

	return append(all, o.Input, o.Record, o.Job)
}

// Suspend holds the Job back until everything else is there.
func (o *Objects) Suspend() {
	yes := true
	o.Job.Spec.Suspend = &yes
}

// Own makes the Job, as the API server created it, the owner of everything in its namespace but the record, so that all of it
// goes with the Job. A binding elsewhere cannot be owned by the Job.
func (o *Objects) Own(created *batchv1.Job) {
	owner := []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: created.Name, UID: created.UID}}

	o.Input.OwnerReferences = owner

	if o.ServiceAccount != nil {
		o.ServiceAccount.OwnerReferences = owner
	}

	for _, role := range o.Roles {
		if role.Namespace == created.Namespace {
			role.OwnerReferences = owner
		}
	}

	for _, binding := range o.Bindings {
		if binding.Namespace == created.Namespace {
			binding.OwnerReferences = owner
		}
	}
}

// meta is the metadata that all objects of a run share.
func meta(p *plan.Plan, namespace string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: p.Run(), Namespace: namespace, Labels: labels(p)}
	if namespace != p.Namespace() {
		m.Labels[LabelRunNamespace] = p.Namespace()
	}

	return m
}

func labels(p *plan.Plan) map[string]string {
	return map[string]string{
		record.LabelRun:                p.Run(),
		record.LabelAction:             record.LabelValue(p.Input.Action),
		record.LabelTargetKind:         record.LabelValue(p.Input.Target.Kind),
		record.LabelTargetName:         record.LabelValue(p.Input.Target.Name),
		record.LabelBlueprint:          record.LabelValue(p.Input.Blueprint.Name),
		"app.kubernetes.io/managed-by": "kubectl-kanister",
	}
}

func tooLarge(size int) error {
	return fmt.Errorf("packing the run's input: %d bytes, a Secret holds at most %d; shorten the blueprint or the options", size, maxSecret)
}
