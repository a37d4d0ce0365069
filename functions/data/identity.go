package data

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
)

const (
	// moverUser is the user of the runner image, and of workers that can be nobody else.
	moverUser = 65532
	rootUser  = 0
)

// identity is as whom a worker runs: as the workload itself, so that it can read what the workload wrote, and what it writes
// belongs to the workload.
type identity struct {
	user, group *int64
	groups      []int64
	fsGroup     *int64
	fsPolicy    *corev1.PodFSGroupChangePolicy
	selinux     *corev1.SELinuxOptions
}

// identityOf reads the security context of a container; by default of the first that mounts one of the claims.
func identityOf(spec *corev1.PodSpec, container string, claims ...string) identity {
	if spec == nil {
		return identity{}
	}

	var id identity

	if pod := spec.SecurityContext; pod != nil {
		id = identity{
			user: pod.RunAsUser, group: pod.RunAsGroup, groups: slices.Clone(pod.SupplementalGroups),
			fsGroup: pod.FSGroup, fsPolicy: pod.FSGroupChangePolicy, selinux: pod.SELinuxOptions,
		}
	}

	if c := containerOf(spec, container, claims); c != nil && c.SecurityContext != nil {
		own := c.SecurityContext
		id.user = cmpOr(own.RunAsUser, id.user)
		id.group = cmpOr(own.RunAsGroup, id.group)
		id.selinux = cmpOr(own.SELinuxOptions, id.selinux)
	}

	return id
}

func cmpOr[T any](a, b *T) *T {
	if a != nil {
		return a
	}

	return b
}

func containerOf(spec *corev1.PodSpec, name string, claims []string) *corev1.Container {
	volumes := map[string]bool{}

	for _, v := range spec.Volumes {
		if v.PersistentVolumeClaim != nil && slices.Contains(claims, v.PersistentVolumeClaim.ClaimName) {
			volumes[v.Name] = true
		}
	}

	for _, containers := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for i, c := range containers {
			if name != "" && c.Name == name || name == "" && slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return volumes[m.Name] }) {
				return &containers[i]
			}
		}
	}

	if name == "" && len(spec.Containers) > 0 {
		return &spec.Containers[0]
	}

	return nil
}

// root tells whether the worker has to be root: the workload is, or nobody knows who it is.
func (id identity) root() bool { return id.user == nil || *id.user == rootUser }

// apply sets the identity on a worker. write tells that it writes to the workload's volumes.
func (id identity) apply(o *kube.PodOptions, write bool) {
	pod := &corev1.PodSecurityContext{
		RunAsUser: id.user, RunAsGroup: id.group, SupplementalGroups: slices.Clone(id.groups), SELinuxOptions: id.selinux,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}

	// fsGroup changes the owner of what is mounted for writing. For a restore that is what the workload's own pod does; for a backup,
	// membership of the group is enough.
	if id.fsGroup != nil && write {
		pod.FSGroup, pod.FSGroupChangePolicy = id.fsGroup, id.fsPolicy
	} else if id.fsGroup != nil {
		pod.SupplementalGroups = append(pod.SupplementalGroups, *id.fsGroup)
	}

	container := &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}

	if id.root() {
		pod.RunAsUser, pod.RunAsGroup = ptr.To[int64](rootUser), cmpOr(id.group, ptr.To[int64](rootUser))
		pod.RunAsNonRoot = ptr.To(false)
		container.Capabilities.Add = []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER"}
	} else {
		pod.RunAsNonRoot = ptr.To(true)
	}

	o.Restricted = !id.root()
	o.PodSecurity, o.Security = pod, container
}

// unprivileged is the identity for namespaces that let nobody be root.
func (id identity) unprivileged() identity {
	id.user, id.group = ptr.To[int64](moverUser), cmpOr(id.group, ptr.To[int64](moverUser))
	// A new volume belongs to root: only by its fsGroup may such a worker write to it.
	id.fsGroup = cmpOr(id.fsGroup, id.group)

	return id
}
