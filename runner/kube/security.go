package kube

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// harden fills in what PodSecurity asks for wherever spec is silent. restricted fills in all that the level "restricted"
// demands. Otherwise only what breaks no image is set: the runtime's seccomp profile and no privilege escalation; an image
// that runs as root then still does. What the blueprint sets itself is never touched.
func harden(spec *corev1.PodSpec, restricted bool) {
	if spec.OS != nil && spec.OS.Name == corev1.Windows || spec.NodeSelector[corev1.LabelOSStable] == string(corev1.Windows) {
		return
	}

	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}

	pod := spec.SecurityContext
	if pod.SeccompProfile == nil {
		pod.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}

	if restricted && pod.RunAsNonRoot == nil {
		pod.RunAsNonRoot = ptr.To(true)
	}

	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			if containers[i].SecurityContext == nil {
				containers[i].SecurityContext = &corev1.SecurityContext{}
			}

			hardenContainer(containers[i].SecurityContext, restricted)
		}
	}
}

func hardenContainer(s *corev1.SecurityContext, restricted bool) {
	// The API server refuses allowPrivilegeEscalation=false together with either of these.
	privileged := ptr.Deref(s.Privileged, false)

	if s.Capabilities != nil {
		for _, added := range s.Capabilities.Add {
			privileged = privileged || added == "SYS_ADMIN" || added == "CAP_SYS_ADMIN"
		}
	}

	if s.AllowPrivilegeEscalation == nil && !privileged {
		s.AllowPrivilegeEscalation = ptr.To(false)
	}

	if !restricted {
		return
	}

	if s.Capabilities == nil {
		s.Capabilities = &corev1.Capabilities{}
	}

	if len(s.Capabilities.Drop) == 0 {
		s.Capabilities.Drop = []corev1.Capability{"ALL"}
	}
}
