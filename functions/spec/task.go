package spec

const taskDoc = `The pod has one container named ` + "`container`" + `, is never restarted, belongs to the run's Job and is deleted at the end, whatever the end was. What it waits for before it starts shows in the run's progress; an image that does not exist, a missing Secret, an exhausted quota, a refusal by admission fail the phase within seconds, no free node after five minutes, anything else that keeps it from starting after fifteen.

A command that fails, runs out of memory, is evicted or deleted fails the phase with the reason, the exit code, the last lines of its log and the pod's warnings.

If the runner is lost while the pod runs, its successor adopts the pod and waits on. If there is no pod any more, the phase fails: the command may have run, and is not run twice.

PodSecurity: the pod has the runtime's seccomp profile and no privilege escalation. Where the namespace enforces ` + "`restricted`" + `, it also must not run as root and drops all capabilities. What podOverride sets is left as it is.

Values of Secrets in the command do not show in the pod's spec: they stand in a Secret that belongs to the pod.`

var taskFamily = []Function{
	{
		ID: "KubeTask", Family: "task",
		Summary: "Run a command in a new pod.",
		Doc: taskDoc + "\n\n" + outputsDoc + ` stdout and stderr are one stream, the pod's log, and both count.

Different from upstream: bounded waits, no lost or doubled log lines. A pod whose container has ended counts as ended although a sidecar that podOverride added still runs.`,
		Args: with([]Arg{
			{Name: "namespace", Type: String, Default: "the run's namespace", Doc: "Namespace of the pod."},
			{Name: "image", Type: String, Required: true, Doc: "Image of the pod."},
			{Name: "command", Type: Strings, Required: true, Doc: "The command and its arguments; it replaces the image's entry point."},
		}, podArgs()),
		OpenOutputs: true,
		Effects:     []string{`run a pod with image {{.image}} in namespace {{with .namespace}}{{.}}{{else}}of the run{{end}}`},
		Rules:       podRules("namespace"),
		Repeat:      true,
		Example: `- func: KubeTask
  name: examplePhase
  args:
    namespace: "{{ .Deployment.Namespace }}"
    image: busybox
    podOverride:
      containers:
      - name: container
        imagePullPolicy: IfNotPresent
    command:
      - sh
      - -c
      - |
        echo "Example"
`,
	},
	{
		ID: "PrepareData", Family: "task",
		Summary: "Run a command in a new pod that mounts volumes.",
		Doc: taskDoc + `

Without ` + "`volumes`" + ` all volumes of the target are mounted, each at ` + "`/mnt/prepare_data/<pvcName>`" + `. subPaths of the application's own mounts are not repeated. Claims that only allow ReadOnlyMany are mounted read-only. A volume that is in use on a node and may be mounted on one node only draws the pod to that node; scale the application down first if the command writes.

` + outputsDoc + `

As upstream, the exit code of the command does not count unless ` + "`failOnError`" + ` is set; a code other than 0 is then a warning of the run. A pod that does not start, is evicted or runs out of memory always fails the phase.`,
		Args: with([]Arg{
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the pod and of the volumes."},
			{Name: "image", Type: String, Required: true, Doc: "Image of the pod."},
			{Name: "volumes", Type: StringMap, Default: "all volumes of the target, each at /mnt/prepare_data/<pvcName>", Doc: "Names of PersistentVolumeClaims and the paths at which they are mounted."},
			{Name: "command", Type: Strings, Required: true, Doc: "The command and its arguments."},
			{Name: "serviceaccount", Type: String, Default: "the run's, in the run's namespace", Doc: "ServiceAccount of the pod."},
			{Name: "failOnError", Type: Bool, Default: "false", Doc: "Whether an exit code other than 0 fails the phase."},
		}, podArgs()),
		OpenOutputs: true,
		Effects:     []string{`run a pod with image {{.image}} in namespace {{.namespace}} that may write to {{if .volumes}}the volumes{{range $pvc, $path := .volumes}} {{$pvc}}{{end}}{{else}}all volumes of the target{{end}}`},
		Rules: with(podRules("namespace"), []Rule{
			{Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}, Where: InArg, NamespaceArg: "namespace", Why: "mount the volumes as their access modes allow"},
		}),
		Repeat: true,
		Example: `- func: ScaleWorkload
  name: shutdownPod
  args:
    namespace: "{{ .Deployment.Namespace }}"
    name: "{{ .Deployment.Name }}"
    kind: Deployment
    replicas: 0
- func: PrepareData
  name: prepareData
  args:
    namespace: "{{ .Deployment.Namespace }}"
    image: busybox
    volumes:
      application-pvc-1: "/data"
      application-pvc-2: "/restore-data"
    command:
      - sh
      - -c
      - |
        cp -r /restore-data/file_name.txt /data/
`,
	},
}
