package pack

import (
	"maps"
	"path"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-kanister/kubectl-kanister/cmd/kubectl-kanister/internal/plan"
	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
	"github.com/kubectl-kanister/kubectl-kanister/runner/record"
)

// AnnotationCreated is on the Job: when the plugin asked for it, by which it knows its own again.
const AnnotationCreated = "kanister.io/created"

// Facts of the runner pod that others rely on.
const (
	// Container is the runner's container.
	Container = "runner"
	// runFailed is the runner's exit code once a failed verdict stands in the record: starting it again would change nothing.
	runFailed = 3
	// badInput is its exit code for an input that it cannot read, which the next pod could not either. It is not 2, with which Go ends
	// a program that panics.
	badInput = 64
	// crashes is how often a runner that died without a verdict is started again. Evictions and node losses do not count.
	crashes = 6
	// nobody is the uid and gid of the runner image, which has no users.
	nobody = 65532
	// margin is what the runner gets beyond the run's deadline to run deferPhase and undo (two hours at most) and to write its
	// verdict: the Job's own deadline would kill all that, and is there for a runner that hangs.
	margin = 3 * time.Hour
	// grace is what the runner gets after SIGTERM to write down where it is.
	grace = 60
)

// job is the run: one runner pod at a time, started again when it dies, never two at once.
func job(p *plan.Plan, o Options) *batchv1.Job {
	m := meta(p, p.Namespace())
	spec := batchv1.JobSpec{
		Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1), BackoffLimit: ptr.To[int32](crashes),
		PodReplacementPolicy: ptr.To(batchv1.Failed), // the dead runner is gone for sure before its successor starts
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{
				Action: batchv1.PodFailurePolicyActionFailJob,
				OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
					ContainerName: ptr.To(Container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{runFailed, badInput},
				},
			},
			{
				Action: batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
					{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
				},
			},
		}},
		Template: corev1.PodTemplateSpec{ObjectMeta: podMeta(p), Spec: pod(p, o)},
	}

	if p.Input.TimeoutSeconds > 0 {
		spec.ActiveDeadlineSeconds = ptr.To(p.Input.TimeoutSeconds + int64(margin.Seconds()))
	}

	if o.TTL > 0 {
		spec.TTLSecondsAfterFinished = ptr.To(int32(min(o.TTL, 10*365*24*time.Hour).Seconds()))
	}

	m.Annotations = map[string]string{AnnotationCreated: o.Created.UTC().Format(time.RFC3339Nano)}
	if o.Version != "" {
		m.Annotations["kanister.io/plugin-version"] = o.Version
	}

	return &batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: m, Spec: spec}
}

// podMeta keeps service meshes from adding a sidecar, which would keep the pod from ever ending, and the autoscaler from
// moving a backup that is under way. The run's labels and annotations for pods count here, too: network policies and the webhooks of
// clouds' identities go by them.
func podMeta(p *plan.Plan) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Labels: map[string]string{"sidecar.istio.io/inject": "false"},
		Annotations: map[string]string{
			"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
			"karpenter.sh/do-not-disrupt":                    "true",
			"linkerd.io/inject":                              "disabled",
		},
	}
	maps.Copy(m.Labels, p.Input.PodLabels)
	maps.Copy(m.Annotations, p.Input.PodAnnotations)
	// What a run is found by is not for others to say.
	maps.Copy(m.Labels, labels(p))
	m.Annotations["kubectl.kubernetes.io/default-container"] = Container

	return m
}

// pod fulfils PodSecurity restricted.
func pod(p *plan.Plan, o Options) corev1.PodSpec {
	container := corev1.Container{
		Name: Container, Image: p.Input.RunnerImage, ImagePullPolicy: corev1.PullPolicy(p.Input.ImagePullPolicy),
		Args: []string{"run"},
		Env: []corev1.EnvVar{
			{Name: "KANISTER_RUN", Value: p.Run()},
			field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"), field("POD_UID", "metadata.uid"),
			field("POD_SERVICE_ACCOUNT", "spec.serviceAccountName"), field("NODE_NAME", "spec.nodeName"),
			field("JOB_NAME", "metadata.labels['batch.kubernetes.io/job-name']"),
			field("JOB_UID", "metadata.labels['batch.kubernetes.io/controller-uid']"),
			{Name: "TZ", Value: "UTC"},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		VolumeMounts: []corev1.VolumeMount{
			{Name: "input", MountPath: record.InputMountPath, ReadOnly: true},
			{Name: "tmp", MountPath: "/tmp"},
		},
	}
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: p.Input.ServiceAccount,
		EnableServiceLinks: ptr.To(false), TerminationGracePeriodSeconds: ptr.To[int64](grace),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](nobody), RunAsGroup: ptr.To[int64](nobody),
			FSGroup: ptr.To[int64](nobody), FSGroupChangePolicy: ptr.To(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Volumes: []corev1.Volume{
			{Name: "input", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName: p.Run(), DefaultMode: ptr.To[int32](0o440), Items: []corev1.KeyToPath{{Key: record.InputKey, Path: path.Base(record.InputKey)}},
			}}},
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}

	if profile := p.Input.Profile; profile != nil && profile.Location.Type == blueprint.LocationFilestore {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "location", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: profile.Location.ClaimName},
		}})
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "location", MountPath: record.LocationMountPath})
	}

	if o.Standalone {
		container.Env = append(container.Env, corev1.EnvVar{Name: "KANISTER_ADOPT", Value: "true"})
	}

	spec.Containers = []corev1.Container{container}

	return spec
}

func field(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
}
