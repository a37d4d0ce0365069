package task

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-kanister/kubectl-kanister/functions"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
	"github.com/kubectl-kanister/kubectl-kanister/runner/toolimage"
)

// moverGroup is the group that a filestore's files belong to.
const moverGroup = 65532

// withKando gives kando to the containers whose commands call it, unless their images are upstream's, which have their own. Where the
// profile's location is a volume, they also get that.
func withKando(run *functions.Run, o *kube.PodOptions) error {
	if run.Input == nil || run.Input.RunnerImage == "" {
		return nil
	}

	calls := func(c corev1.Container) bool {
		words := slices.Concat(c.Command, c.Args)
		for _, v := range c.Env {
			words = append(words, v.Value)
		}

		return toolimage.Mentions(words...)
	}

	o.Program = &kube.Program{
		Image: run.Input.RunnerImage, PullPolicy: corev1.PullPolicy(run.Input.ImagePullPolicy), Path: toolimage.Kando,
		For: func(c corev1.Container) bool {
			return c.Image != run.Input.RunnerImage && !toolimage.Has(c.Image) && calls(c)
		},
	}

	if run.Params == nil || run.Params.Profile == nil || run.Params.Profile.Location.Type != blueprint.LocationFilestore {
		return nil
	}

	main := corev1.Container{Command: o.Command, Args: o.Args, Env: o.Env}
	if !slices.ContainsFunc(slices.Concat(o.Before, o.Beside, []corev1.Container{main}), calls) {
		return nil
	}

	claim := run.Params.Profile.Location.ClaimName
	if o.Namespace != run.Namespace {
		return &record.Failure{
			Reason:  kube.ReasonInvalid,
			Message: fmt.Sprintf("mounting the claim %q of profile %q for kando: it is in namespace %q, and the pod in %q", claim, run.Params.Profile.Name, run.Namespace, o.Namespace),
			Hint:    "run the pod in the namespace of the run, or use an object store",
		}
	}

	mount := corev1.VolumeMount{Name: "kanister-location", MountPath: record.LocationMountPath}
	o.Volumes = append(o.Volumes, corev1.Volume{Name: mount.Name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}})
	o.Mounts = append(slices.Clone(o.Mounts), mount)

	for _, containers := range [][]corev1.Container{o.Before, o.Beside} {
		for i := range containers {
			if calls(containers[i]) {
				containers[i].VolumeMounts = append(slices.Clone(containers[i].VolumeMounts), mount)
			}
		}
	}

	if o.PodSecurity == nil {
		o.PodSecurity = &corev1.PodSecurityContext{}
	}

	o.PodSecurity.SupplementalGroups = append(o.PodSecurity.SupplementalGroups, moverGroup)

	// The runner itself has the volume mounted, and many a volume can be on one node only.
	if o.Node == "" && !placed(o.Override) {
		o.Node = run.Node
	}

	return nil
}

// placed tells whether a podOverride says itself where the pod goes.
func placed(override map[string]any) bool {
	for _, key := range []string{"nodeName", "nodeSelector", "affinity"} {
		if _, found := override[key]; found {
			return true
		}
	}

	return false
}
