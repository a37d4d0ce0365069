package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// mountRoot is where the target's volumes are mounted when the blueprint names none.
const mountRoot = "/mnt/prepare_data/"

// PrepareData runs a command in a new pod that mounts volumes (COMPAT §4.5).
type PrepareData struct{ spec.Function }

var _ = functions.Register(PrepareData{spec.Must("PrepareData")})

type prepareDataArgs struct {
	Namespace      string            `mapstructure:"namespace"`
	Image          string            `mapstructure:"image"`
	Volumes        map[string]string `mapstructure:"volumes"`
	Command        []string          `mapstructure:"command"`
	ServiceAccount string            `mapstructure:"serviceaccount"`
	FailOnError    bool              `mapstructure:"failOnError"`
	PodOverride    map[string]any    `mapstructure:"podOverride"`
	PodLabels      map[string]string `mapstructure:"podLabels"`
	PodAnnotations map[string]string `mapstructure:"podAnnotations"`
}

// Exec implements functions.Func.
func (f PrepareData) Exec(ctx context.Context, r *functions.Run, args map[string]any) (map[string]any, error) {
	var a prepareDataArgs
	if err := functions.Decode(f.Function, args, &a); err != nil {
		return nil, err
	}

	if err := given(a.Image, a.Command); err != nil {
		return nil, err
	}

	options, err := r.PodOptions(a.Namespace, a.PodOverride, a.PodLabels, a.PodAnnotations)
	if err != nil {
		return nil, err
	}

	options.Image, options.Command = a.Image, a.Command

	if a.ServiceAccount != "" {
		options.ServiceAccount = a.ServiceAccount
	}

	if len(a.Volumes) == 0 {
		a.Volumes = targetVolumes(r.Params)
	}

	if len(a.Volumes) == 0 {
		return nil, errors.New("reading argument \"volumes\": it is absent, and the target has no volumes")
	}

	if err := mount(ctx, r, &options, a.Volumes); err != nil {
		return nil, err
	}

	outputs, err := run(ctx, r, options)

	var failed *kube.Error
	if !a.FailOnError && errors.As(err, &failed) && failed.Reason == kube.ReasonExit {
		// As upstream, where nobody learns of it.
		r.Journal.Warn(failed.Error() + "; the phase goes on, as failOnError is not set")

		return outputs, nil
	}

	if err != nil {
		return nil, err
	}

	return outputs, nil
}

// targetVolumes are the target's claims with the paths at which upstream mounts them.
func targetVolumes(p *params.TemplateParams) map[string]string {
	volumes := map[string]string{}

	var pods map[string]map[string]string

	switch {
	case p == nil:
	case p.Deployment != nil:
		pods = p.Deployment.PersistentVolumeClaims
	case p.StatefulSet != nil:
		pods = p.StatefulSet.PersistentVolumeClaims
	case p.DeploymentConfig != nil:
		pods = p.DeploymentConfig.PersistentVolumeClaims
	case p.PVC != nil:
		volumes[p.PVC.Name] = mountRoot + p.PVC.Name
	}

	for _, claims := range pods {
		for claim := range claims {
			volumes[claim] = mountRoot + claim
		}
	}

	return volumes
}

// mount adds the claims, as their access modes allow, and draws the pod to the node on which one of them is in use.
func mount(ctx context.Context, r *functions.Run, o *kube.PodOptions, volumes map[string]string) error {
	users, err := r.Kube.ConsumersOf(ctx, o.Namespace)
	if err != nil {
		return err
	}

	for _, name := range slices.Sorted(maps.Keys(volumes)) {
		path := volumes[name]
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("reading argument %q: the mount path %q of %q is not absolute", "volumes", path, name)
		}

		claim, err := r.Kube.Claim(ctx, o.Namespace, name)
		if err != nil {
			return err
		}

		o.Claims = append(o.Claims, kube.ClaimMount{
			Claim: name, MountPath: path, ReadOnly: slices.Contains(claim.Spec.AccessModes, corev1.ReadOnlyMany),
			Block: claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock,
		})

		node, tolerations := kube.NodeOf(claim, users[name])
		if node != "" && o.Node == "" {
			o.Node, o.Tolerations = node, tolerations
		}
	}

	return nil
}
