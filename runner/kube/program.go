package kube

import (
	"cmp"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Program is the runner's own program as containers of other images find it: an init container of the runner image copies it to an
// empty volume, of which the file is mounted. Nothing is asked of the image: its root may be read-only, its user anybody.
type Program struct {
	// Image is the runner image; PullPolicy when it is pulled, IfNotPresent if empty.
	Image      string
	PullPolicy corev1.PullPolicy
	// Path of the program in the containers, such as /usr/local/bin/kando.
	Path string
	// For tells which containers get it.
	For func(corev1.Container) bool
}

// programName is the name of the volume and of the init container. podOverride can address both.
const programName = "kanister-program"

// programDir is where the init container has the volume.
const programDir = "/kanister-program"

// add gives the program to the containers of spec. What is mounted at its path already stays.
func (p *Program) add(spec *corev1.PodSpec) {
	if p == nil {
		return
	}

	file := path.Base(p.Path)
	mount := corev1.VolumeMount{Name: programName, MountPath: p.Path, SubPath: file, ReadOnly: true}

	var first *corev1.Container

	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			c := &containers[i]
			if !p.For(*c) || slices.ContainsFunc(c.VolumeMounts, p.covered) {
				continue
			}

			c.VolumeMounts = append(c.VolumeMounts, mount)

			if first == nil {
				first = c
			}
		}
	}

	if first == nil {
		return
	}

	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: programName, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	spec.InitContainers = append([]corev1.Container{p.installer(first, file)}, spec.InitContainers...)
}

// covered tells whether a mount lies at the path of the program, or over it.
func (p *Program) covered(m corev1.VolumeMount) bool {
	at := path.Clean(m.MountPath)

	return p.Path == at || strings.HasPrefix(p.Path, strings.TrimSuffix(at, "/")+"/")
}

// installer copies the program. It has the resources of a container that runs after it, so that it costs the pod no more and a quota
// that lets that one in lets it in, and the user of that one, but none of its rights.
func (p *Program) installer(like *corev1.Container, file string) corev1.Container {
	security := &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}

	if own := like.SecurityContext; own != nil {
		security.RunAsUser, security.RunAsGroup, security.RunAsNonRoot = own.RunAsUser, own.RunAsGroup, own.RunAsNonRoot
		security.SeccompProfile, security.SELinuxOptions, security.AppArmorProfile = own.SeccompProfile, own.SELinuxOptions, own.AppArmorProfile
	}

	return corev1.Container{
		Name: programName, Image: p.Image, ImagePullPolicy: cmp.Or(p.PullPolicy, corev1.PullIfNotPresent), Args: []string{"install", path.Join(programDir, file)},
		Resources: *like.Resources.DeepCopy(), SecurityContext: security.DeepCopy(),
		VolumeMounts:             []corev1.VolumeMount{{Name: programName, MountPath: programDir}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}
