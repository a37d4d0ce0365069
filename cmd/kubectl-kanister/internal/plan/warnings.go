package plan

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-kanister/kubectl-kanister/functions/spec"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

// warnings adds what follows from the request as a whole.
func (b *builder) warnings() {
	for _, line := range b.request.Unread {
		b.warn("%s", line)
	}

	for _, line := range b.request.ProfileWarnings {
		b.warn("%s", line)
	}

	if profile := b.request.Profile; profile != nil {
		if profile.SkipSSLVerify {
			b.warn("profile %q skips TLS verification: whoever sits between can read and change the backup's traffic", profile.Name)
		}

		if strings.HasPrefix(profile.Location.Endpoint, "http://") {
			b.warn("profile %q uses plain http: keys and data travel readable", profile.Name)
		}

		if profile.RepositoryPassword == "" && b.writesRepository() {
			b.warn("profile %q has no repository password: data is encrypted with upstream Kanister's public default key unless the blueprint gives encryptionKey",
				profile.Name)
		}
	}

	b.podWarnings()

	if rules := b.plan.Rules(""); len(rules) > 0 && b.plan.ServiceAccount == "" {
		needed := false
		for _, grant := range b.plan.Grants {
			needed = needed || (grant.Namespace == "" && !grant.Optional)
		}

		if needed {
			b.warn("the run needs cluster-scoped permissions: a ClusterRole and a ClusterRoleBinding named %q are made for it", b.plan.Run())
		}
	}
}

// writesRepository tells whether a phase stores data under the profile's repository password.
func (b *builder) writesRepository() bool {
	for _, phase := range b.plan.Phases {
		function, _ := spec.Lookup(phase.Func)
		if _, named := phase.Args["encryptionKey"]; named {
			continue
		}

		if (function.NeedsProfile || function.NeedsServer && b.request.RepositoryServer == nil) && function.NeedsRunnerImage && b.request.Profile.Location.Type != blueprint.LocationKopia {
			return true
		}
	}

	return false
}

// podWarnings reads from the podOverride what a security-minded namespace would refuse.
func (b *builder) podWarnings() {
	if len(b.request.PodOverride) == 0 {
		return
	}

	var pod corev1.PodSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(b.request.PodOverride, &pod); err != nil {
		b.warn("podOverride is not a pod spec: %v", err)

		return
	}

	if pod.SecurityContext != nil && pod.SecurityContext.RunAsUser != nil && *pod.SecurityContext.RunAsUser == 0 {
		b.warn("podOverride runs the blueprint's pods as root")
	}

	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		b.warn("podOverride opens the node's namespaces to the blueprint's pods: refused where PodSecurity baseline or restricted is enforced")
	}

	for _, container := range pod.Containers {
		security := container.SecurityContext
		if security == nil {
			continue
		}

		if security.Privileged != nil && *security.Privileged {
			b.warn("podOverride makes container %q privileged", container.Name)
		}

		if security.RunAsUser != nil && *security.RunAsUser == 0 {
			b.warn("podOverride runs container %q as root", container.Name)
		}
	}
}
