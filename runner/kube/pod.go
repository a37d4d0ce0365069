package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// What every pod of a run has in common with upstream's (COMPAT §4.0.1).
const (
	// ContainerName is the name of a worker's container; podOverride addresses it by this name.
	ContainerName = "container"
	// LabelCreatedBy is on every worker pod, with the value CreatedBy.
	LabelCreatedBy = "createdBy"
	// CreatedBy is the value of LabelCreatedBy.
	CreatedBy = "kanister"
	// annotationMain names the container that kubectl logs and exec take by themselves; here, the one whose log is the output.
	annotationMain = "kubectl.kubernetes.io/default-container"
	// longestArgument is what Linux takes in one argument or variable (MAX_ARG_STRLEN less its terminating zero).
	longestArgument = 128*1024 - 1
)

// ClaimMount mounts a PersistentVolumeClaim.
type ClaimMount struct {
	Claim     string
	MountPath string
	ReadOnly  bool
	// Block gives the claim as a device at MountPath instead.
	Block bool
}

// PodOptions describe a worker pod. Only Namespace, Name and Image must be set.
type PodOptions struct {
	Namespace string
	// Name is deterministic (see Name), so that a successor of the runner adopts the pod.
	Name string
	// Main is the name of the container that the options describe, and whose log is the output; "" is ContainerName.
	Main string
	// Before are init containers, Beside containers that run next to Main. Image, command, mounts and name are theirs; the rest
	// is set as for Main.
	Before, Beside []corev1.Container

	Image   string
	Command []string
	Args    []string
	Env     []corev1.EnvVar
	// PullPolicy defaults to IfNotPresent.
	PullPolicy corev1.PullPolicy
	Claims     []ClaimMount
	// Volumes and Mounts are further volumes and where they are mounted.
	Volumes []corev1.Volume
	Mounts  []corev1.VolumeMount
	// SecretFiles is put into the Secret of the pod and mounted as files at SecretDir. The content never is in the pod's spec.
	SecretFiles map[string][]byte
	SecretDir   string

	ServiceAccount string
	// NoToken leaves the ServiceAccount's token out of the pod.
	NoToken bool
	// Restricted sets all that PodSecurity "restricted" demands at once. Leave it off for images of the user's: they get what
	// breaks none, and the rest only if the namespace demands it.
	Restricted bool
	// Resources of the container.
	Resources corev1.ResourceRequirements
	// PodSecurity and Security are kept as they are; hardening only fills their gaps.
	PodSecurity *corev1.PodSecurityContext
	Security    *corev1.SecurityContext
	// Node is the node that the pod must run on, e.g. because a ReadWriteOnce claim is in use there. The scheduler still
	// places it. Tolerations are added to those of the pod; give those of the pod that runs there.
	Node        string
	Tolerations []corev1.Toleration

	// Program is given to containers that need it; nil: none does.
	Program *Program
	// Override is the effective podOverride (see MergeOverride).
	Override    map[string]any
	Labels      map[string]string
	Annotations map[string]string
	Owner       *Owner
	// Material are the secret values that must not show in the spec.
	Material Material
	// Grace is terminationGracePeriodSeconds; 0 leaves Kubernetes' default, which deletion with Delete does not wait for.
	Grace int64
}

// Build makes the pod and the Secret that goes with it; the Secret is nil if nothing has to be hidden. Hardening is left to
// Start, which knows what the namespace demands.
func (o PodOptions) Build() (*corev1.Pod, *corev1.Secret, error) {
	spec, err := ApplyOverride(o.spec(), o.Override)
	if err != nil {
		return nil, nil, err
	}

	if err := checkArguments(spec, o.Name); err != nil {
		return nil, nil, err
	}

	o.Program.add(&spec)

	meta := metav1.ObjectMeta{
		Namespace: o.Namespace, Name: o.Name, Labels: o.labels(),
		Annotations: o.annotations(), OwnerReferences: o.Owner.References(o.Namespace),
	}

	data := hide(&spec, o.Name, o.Material)
	if len(data) > 0 {
		keepLogsToThemselves(&spec)
	}

	maps.Copy(data, o.SecretFiles)

	pod := &corev1.Pod{ObjectMeta: meta, Spec: spec}
	if len(data) == 0 {
		return pod, nil, nil
	}

	secretMeta := *meta.DeepCopy()
	secretMeta.Annotations = nil

	return pod, &corev1.Secret{ObjectMeta: secretMeta, Data: data, Immutable: ptr.To(true)}, nil
}

// keepLogsToThemselves keeps the last lines of a command that knows a secret out of the pod's status, which more people may read
// than logs: a careless command prints what it knows.
func keepLogsToThemselves(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			containers[i].TerminationMessagePolicy = corev1.TerminationMessageReadFile
		}
	}
}

// labels are those of the options over createdBy, which a label of the user's may replace (COMPAT §4.0.3).
func (o PodOptions) labels() map[string]string {
	labels := map[string]string{LabelCreatedBy: CreatedBy}
	maps.Copy(labels, o.Labels)

	return labels
}

// annotations are those of the options, and which container is the main one if its name does not say so.
func (o PodOptions) annotations() map[string]string {
	if o.Main == "" {
		return maps.Clone(o.Annotations)
	}

	annotations := map[string]string{}
	maps.Copy(annotations, o.Annotations)
	annotations[annotationMain] = o.Main

	return annotations
}

func (o PodOptions) spec() corev1.PodSpec {
	container := corev1.Container{
		Name: cmp.Or(o.Main, ContainerName), Image: o.Image, ImagePullPolicy: o.PullPolicy,
		Command: slices.Clone(o.Command), Args: slices.Clone(o.Args), Env: slices.Clone(o.Env),
		VolumeMounts: slices.Clone(o.Mounts), Resources: *o.Resources.DeepCopy(),
		SecurityContext: o.Security.DeepCopy(),
		// The last lines survive in the pod's status even where its logs cannot be read.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	if container.ImagePullPolicy == "" {
		container.ImagePullPolicy = corev1.PullIfNotPresent
	}

	spec := corev1.PodSpec{
		RestartPolicy:      corev1.RestartPolicyNever,
		ServiceAccountName: o.ServiceAccount,
		SecurityContext:    o.PodSecurity.DeepCopy(),
		Volumes:            slices.Clone(o.Volumes),
		Tolerations:        slices.Clone(o.Tolerations),
		// Service variables ($FOO_SERVICE_HOST) are kept: commands of blueprints may use them.
	}

	if o.NoToken {
		spec.AutomountServiceAccountToken = ptr.To(false)
	}

	if o.Grace > 0 {
		spec.TerminationGracePeriodSeconds = ptr.To(o.Grace)
	}

	if o.Node != "" {
		spec.Affinity = onNode(o.Node)
	}

	for i, claim := range o.Claims {
		name := fmt.Sprintf("claim-%d", i)
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Claim, ReadOnly: claim.ReadOnly && !claim.Block},
		}})

		if claim.Block {
			container.VolumeDevices = append(container.VolumeDevices, corev1.VolumeDevice{Name: name, DevicePath: claim.MountPath})
		} else {
			container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: claim.MountPath, ReadOnly: claim.ReadOnly})
		}
	}

	if len(o.SecretFiles) > 0 {
		items := make([]corev1.KeyToPath, 0, len(o.SecretFiles))
		for _, key := range slices.Sorted(maps.Keys(o.SecretFiles)) {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}

		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "kanister-secret", VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: o.Name, Items: items},
		}})
		container.VolumeMounts = append(container.VolumeMounts,
			corev1.VolumeMount{Name: "kanister-secret", MountPath: o.SecretDir, ReadOnly: true})
	}

	spec.Containers = append([]corev1.Container{container}, alike(o.Beside, container)...)
	spec.InitContainers = alike(o.Before, container)

	return spec
}

// alike are containers with what main has for every container of a run.
func alike(containers []corev1.Container, main corev1.Container) []corev1.Container {
	var out []corev1.Container

	for _, c := range containers {
		c = *c.DeepCopy()
		c.ImagePullPolicy, c.TerminationMessagePolicy = main.ImagePullPolicy, main.TerminationMessagePolicy
		out = append(out, c)
	}

	return out
}

// onNode keeps a pod on one node and still lets the scheduler place it, which binds volumes on the way.
func onNode(node string) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchFields: []corev1.NodeSelectorRequirement{{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}},
		}}},
	}}
}

// checkArguments refuses what the container could not be started with, instead of letting the kernel say "argument list too
// long".
func checkArguments(spec corev1.PodSpec, pod string) error {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for i, text := range slices.Concat(c.Command, c.Args) {
			if len(text) > longestArgument {
				return &Error{
					Reason: ReasonTooLong,
					Message: fmt.Sprintf("element %d of the command of container %q in pod %q is %d bytes long; Linux takes at most %d in one argument",
						i, c.Name, pod, len(text), longestArgument),
					Hint: "split the script into several elements, or put it into a ConfigMap and mount that by podOverride",
				}
			}

			if strings.IndexByte(text, 0) >= 0 {
				return &Error{Reason: ReasonInvalid, Message: fmt.Sprintf(
					"element %d of the command of container %q in pod %q holds a zero byte", i, c.Name, pod)}
			}
		}
	}

	return nil
}
