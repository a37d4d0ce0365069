package functions

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// ErrInterrupted is the cause (context.Cause) with which a function's context ends when the runner pod has to go and its
// successor will take the run up. A repeatable function leaves its worker pods alone then: they will be adopted.
var ErrInterrupted = errors.New("the runner pod was told to stop; its successor goes on")

// Leaving tells whether ctx has ended because a successor takes over.
func Leaving(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrInterrupted)
}

// NamespaceOr is namespace, or the run's if that is empty.
func (r *Run) NamespaceOr(namespace string) string {
	if namespace == "" {
		return r.Namespace
	}

	return namespace
}

// PodOptions are the options of a worker pod in namespace (empty: the run's) that do not depend on the function: its
// deterministic name from run, phase and index, labels, owner, effective podOverride, ServiceAccount, secrets to hide. The
// blueprint's podOverride is beaten by the run's; its labels and annotations beat the run's (COMPAT §4.0.2, §4.0.3).
func (r *Run) PodOptions(namespace string, override map[string]any, labels, annotations map[string]string, index ...string) (kube.PodOptions, error) {
	in := r.Input
	if in == nil {
		in = &record.Input{}
	}

	effective, err := kube.MergeOverride(override, in.PodOverride)
	if err != nil {
		return kube.PodOptions{}, err
	}

	o := kube.PodOptions{
		Namespace: r.NamespaceOr(namespace), Override: effective, Owner: r.Owner, Material: r.Material(),
		Name:   record.ObjectName(append([]string{r.Name, r.Phase}, index...)...),
		Labels: map[string]string{}, Annotations: map[string]string{},
	}

	// The run's own labels last: without them nobody finds the pod again.
	for _, set := range []map[string]string{in.PodLabels, labels, r.Labels} {
		maps.Copy(o.Labels, set)
	}

	for _, set := range []map[string]string{in.PodAnnotations, annotations} {
		maps.Copy(o.Annotations, set)
	}

	// As upstream: elsewhere the ServiceAccount does not exist.
	if o.Namespace == r.Namespace {
		o.ServiceAccount = in.ServiceAccount
	}

	return o, nil
}

// StartPod starts a worker pod, or adopts it. One whose creation was still under way when ctx ended is taken back, unless a successor will
// adopt it: nobody else knows of it.
func (r *Run) StartPod(ctx context.Context, o kube.PodOptions) (*kube.Pod, error) {
	pod, err := r.Kube.Start(ctx, o)
	if err == nil || ctx.Err() == nil || Leaving(ctx) {
		return pod, err
	}

	if left := r.Kube.TakeBack(ctx, o); left != nil {
		r.Journal.Warn(left.Error())
	}

	return nil, err
}

// Follow makes what pod waits for show as the phase's progress, and notes the pod in the journal.
func (r *Run) Follow(pod *kube.Pod) {
	r.Journal.Pod(pod.Ref())

	pod.Waiting = func(message string) {
		if message == "" {
			r.Journal.Progress(record.Progress{Message: "pod " + pod.Name + " runs"})

			return
		}

		r.Journal.Progress(record.Progress{Message: fmt.Sprintf("pod %s: %s", pod.Name, message)})
	}
}

// Material are the secret values that the run's parameters hold: those of the profile, of Secrets that the run or its phases
// name, and of the target if it is a Secret. Values that by their key are no secret (user names, hosts) are left out.
func (r *Run) Material() kube.Material { return kube.NewMaterial(secretValues(r.Params)...) }

func secretValues(p *params.TemplateParams) []string {
	if p == nil {
		return nil
	}

	var values []string

	secrets := func(all map[string]corev1.Secret) {
		for _, secret := range all {
			values = append(values, dataValues(secret.Data)...)
		}
	}

	secrets(p.Secrets)

	for _, phase := range p.Phases {
		if phase != nil {
			secrets(phase.Secrets)
		}
	}

	for _, phase := range []*params.Phase{p.DeferPhase, p.CurrentPhase} {
		if phase != nil {
			secrets(phase.Secrets)
		}
	}

	if s := p.RepositoryServer; s != nil {
		values = append(values, dataValues(s.Credentials.ServerTLS.Data)...)
		values = append(values, dataValues(s.Credentials.ServerUserAccess.Data)...)
	}

	if p.Profile != nil {
		values = append(values, p.Profile.RepositoryPassword)
		values = append(values, credentialValues(p.Profile.Credential)...)
	}

	return append(values, objectValues(p.Object)...)
}

func credentialValues(c params.Credential) []string {
	var values []string

	if c.KeyPair != nil {
		values = append(values, c.KeyPair.Secret)
	}

	if c.Secret != nil {
		values = append(values, dataValues(c.Secret.Data)...)
	}

	if c.KopiaServerSecret != nil {
		values = append(values, c.KopiaServerSecret.Password)
	}

	return values
}

func dataValues(data map[string][]byte) []string {
	var values []string

	for key, value := range data {
		if !record.HarmlessKey(key) {
			values = append(values, string(value))
		}
	}

	return values
}

// objectValues are the values of the target if that is a Secret; its data is base64 there.
func objectValues(object map[string]any) []string {
	kind, _ := object["kind"].(string)

	data, ok := object["data"].(map[string]any)
	if !ok || !strings.EqualFold(kind, "Secret") {
		return nil
	}

	var values []string

	for key, value := range data {
		text, _ := value.(string)
		if record.HarmlessKey(key) {
			continue
		}

		if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
			values = append(values, string(decoded))
		}
	}

	return values
}
