package spec

const taskDoc = "The pod has one container, named `container`. " + podDoc

const podDoc = "A command that names `kando` finds it at `/usr/local/bin/kando`, whatever the image, except that upstream's own tool images keep theirs.\n\n" + `The pod is never restarted, belongs to the run's Job and is deleted at the end, whatever the end was. What it waits for before it starts shows in the run's progress; an image that does not exist, a missing Secret, an exhausted quota, a refusal by admission fail the phase within seconds, no free node after five minutes, anything else that keeps it from starting after fifteen.

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
		Rules:       podRules("namespace", ""),
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
		Rules: with(podRules("namespace", ""), []Rule{
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
	{
		ID: "MultiContainerRun", Family: "task",
		Summary: "Run two commands side by side in a new pod, with a volume that they share.",
		Doc: `The pod has the containers ` + "`output` and `background`" + `, and ` + "`init`" + ` before them if ` + "`initImage`" + ` is given. An empty volume named ` + "`shared`" + ` is mounted in all of them; what the command of one writes there, a named pipe for example, the others read. What all of them write is in the run's log.

Both must end with exit code 0. When one has failed and the other is still running half a minute later, the phase fails without waiting for it, with the last lines of the container that is to blame. A container that podOverride adds is not waited for.

The run's podOverride for a container named ` + "`container`" + ` goes to all three, except to those that it names itself; that of the phase is laid over the pod as it is.

` + podDoc + "\n\n" + outputsDoc + ` Only the log of ` + "`output`" + ` counts, stdout and stderr.

Different from upstream: the pod is deleted when the phase ends, not when the action does; a container that fails ends the phase even if the other one never does.`,
		Args: with([]Arg{
			{Name: "namespace", Type: String, Default: "the run's namespace", Doc: "Namespace of the pod."},
			{Name: "backgroundImage", Type: String, Required: true, Doc: "Image of the container `background`."},
			{Name: "backgroundCommand", Type: Strings, Required: true, Doc: "Its command."},
			{Name: "outputImage", Type: String, Required: true, Doc: "Image of the container `output`."},
			{Name: "outputCommand", Type: Strings, Required: true, Doc: "Its command, whose outputs are the phase's."},
			{Name: "initImage", Type: String, Default: "no such container", Doc: "Image of the container `init`, which runs before the others."},
			{Name: "initCommand", Type: Strings, Default: "what the image runs", Doc: "Its command."},
			{Name: "sharedVolumeMedium", Type: String, Default: "the node's disk", Doc: "Medium of the shared volume: `Memory`, or `HugePages-…`."},
			{Name: "sharedVolumeSizeLimit", Type: String, Default: "none", Doc: "Size limit of the shared volume, as a quantity."},
			{Name: "sharedVolumeDir", Type: String, Default: "/tmp/", Doc: "Where the shared volume is mounted, in all containers."},
		}, podArgs()),
		OpenOutputs: true,
		Effects:     []string{`run a pod with images {{with .initImage}}{{.}}, {{end}}{{.backgroundImage}} and {{.outputImage}} in namespace {{with .namespace}}{{.}}{{else}}of the run{{end}}`},
		Rules:       podRules("namespace", ""),
		Repeat:      true,
		Example: `- func: MultiContainerRun
  name: dump
  args:
    namespace: "{{ .Deployment.Namespace }}"
    sharedVolumeMedium: Memory
    sharedVolumeDir: /shared
    initImage: busybox
    initCommand: [mkfifo, /shared/pipe]
    backgroundImage: busybox
    backgroundCommand:
      - sh
      - -c
      - echo "a dump" > /shared/pipe
    outputImage: busybox
    outputCommand:
      - sh
      - -c
      - kando output size "$(wc -c < /shared/pipe)"
`,
	},
}
