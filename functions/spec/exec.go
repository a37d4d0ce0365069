package spec

const outputsDoc = "Outputs are what the command hands over with `kando output KEY VALUE`, or by writing the same line itself."

const execDoc = `The command vector is run as it is, without a shell, a terminal or stdin. It is over when the command is; there is no time limit but the run's.

A non-zero exit code fails the phase with the code and the last lines of stdout and stderr. A lost connection, a restarted or deleted container and a container out of memory are told apart. The phase is not repeated when the runner itself is lost in the middle: whether the command went on, nobody knows.

A command that holds a value of a Secret never shows in the address of the request, where audit logs would keep it: it is handed to ` + "`sh`" + ` in the container through stdin, which then becomes the command. A container that has no ` + "`sh`" + ` gets the command directly, and the run carries a warning.

Different from upstream: output lines longer than 32 KiB are not cut.`

var execFamily = []Function{
	{
		ID: "KubeExec", Family: "exec",
		Summary: "Run a command in a running container, like kubectl exec.",
		Doc:     execDoc + "\n\n" + outputsDoc + " Only stdout counts.",
		Args: []Arg{
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the pod."},
			{Name: "pod", Type: String, Required: true, Doc: "Name of the pod."},
			{Name: "container", Type: String, Default: "the only container", Doc: "Name of the container; needed if the pod has several."},
			{Name: "command", Type: Strings, Required: true, Doc: "The command and its arguments."},
		},
		OpenOutputs: true,
		Effects:     []string{`run a command in pod {{.namespace}}/{{.pod}}{{with .container}}, container {{.}}{{end}}`},
		Rules:       execRules("namespace", "pod"),
		Example: `- func: KubeExec
  name: examplePhase
  args:
    namespace: "{{ .Deployment.Namespace }}"
    pod: "{{ index .Deployment.Pods 0 }}"
    container: kanister-sidecar
    command:
      - sh
      - -c
      - |
        echo "Example"
`,
	},
	{
		ID: "KubeExecAll", Family: "exec",
		Summary: "Run a command in every named container of every named pod, all at once.",
		Doc: execDoc + "\n\n" + outputsDoc + ` Only stdout counts. Outputs are merged in the order of pods and containers as they are given; of several for one key the last wins.

Different from upstream: the order does not depend on who finishes first, and no output is lost. If one command fails the others still run to their end; all failures are reported.`,
		Args: []Arg{
			{Name: "namespace", Type: String, Required: true, Doc: "Namespace of the pods."},
			{Name: "pods", Type: String, Required: true, Doc: "Names of the pods, separated by spaces."},
			{Name: "containers", Type: String, Required: true, Doc: "Names of the containers, separated by spaces; every pod must have all of them."},
			{Name: "command", Type: Strings, Required: true, Doc: "The command and its arguments."},
		},
		OpenOutputs: true,
		Effects:     []string{`run a command in the containers {{.containers}} of the pods {{.pods}} in namespace {{.namespace}}`},
		Rules:       execRules("namespace", "pods"),
		Example: `- func: KubeExecAll
  name: examplePhase
  args:
    namespace: "{{ .Deployment.Namespace }}"
    pods: "{{ index .Deployment.Pods 0 }} {{ index .Deployment.Pods 1 }}"
    containers: "container1 container2"
    command:
      - sh
      - -c
      - |
        echo "Example"
`,
	},
}
