package spec

const waitDoc = `Met as soon as one condition of ` + "`anyOf`" + ` is true, or all of ` + "`allOf`" + ` are. A condition is true when what it renders to is ` + "`true`" + `, spaces aside.

Each object is watched: a change is seen at once, and the wait costs the API server nothing. (A Namespace is looked at once a second, because a Role in it permits that and no watch.) An object that does not exist yet is waited for, and so is one of a group that the cluster does not serve yet. What is missing shows in the run's progress, and when ` + "`timeout`" + ` is over the error has every condition with the value seen last.

A condition that does not parse, an unknown resource of a known group, or a missing permission fails the phase before it waits. A condition that cannot be evaluated on the object as it is (a field is missing) is not true yet.

In ` + "`objectReference`" + `, ` + "`apiVersion`" + ` is the version alone, with ` + "`group`" + ` beside it, ` + "`resource`" + ` is the plural; its fields are rendered as other arguments are. Without ` + "`namespace`" + ` it is the run's.
`

func waitArgs(timeout Arg) []Arg {
	return []Arg{
		timeout,
		{Name: "conditions", Type: Map, Form: Conditions, Required: true, Doc: "The lists `anyOf` and/or `allOf`, of a `condition` with its `objectReference` each."},
	}
}

var waitRules = []Rule{{Verbs: []string{"list", "watch"}, Where: InDocument, DocumentArg: "conditions", Why: "watch what the conditions are about"}}

var waitEffects = []string{`wait {{with .timeout}}at most {{.}} {{end}}for {{with .objects}}{{.}}{{end}}`}

var waitFamily = []Function{
	{
		ID: "WaitV2", Family: "wait",
		Summary: "Wait until objects are in a state, described by Go templates.",
		Doc: waitDoc + `
A condition is what ` + "`kubectl get -o go-template`" + ` takes, and can be tried with it: ` + "`$`" + ` is the object, ` + "`exists`" + ` and ` + "`base64decode`" + ` are the only functions beside the engine's own. It is not rendered with the run's parameters, and neither is the timeout.

Different from upstream: a broken condition is an error at once instead of a wait to the end.`,
		Args:    waitArgs(Arg{Name: "timeout", Type: String, Form: Duration, Required: true, Doc: "How long to wait, as a Go duration (5m). Not rendered."}),
		Effects: waitEffects,
		Rules:   waitRules,
		Repeat:  true, Raw: true,
		Example: `- func: WaitV2
  name: waitForDeploymentReady
  args:
    timeout: 5m
    conditions:
      anyOf:
      - condition: '{{ $available := false }}{{ range $condition := $.status.conditions }}{{ if and (eq .type "Available") (eq .status "True") }}{{ $available = true }}{{ end }}{{ end }}{{ $available }}'
        objectReference:
          apiVersion: "v1"
          group: "apps"
          name: "{{ .Object.metadata.name }}"
          namespace: "{{ .Object.metadata.namespace }}"
          resource: "deployments"
`,
	},
	{
		ID: "Wait", Family: "wait",
		Summary: "Wait until objects are in a state, described by templates with JSON paths. Deprecated: use WaitV2.",
		Doc: waitDoc + `
In a condition every JSON path in single braces, ` + "`{ $.status.phase }`" + `, stands for what kubectl's jsonpath prints of the object; the rest is a template with the functions of all arguments (sprig), which is not rendered with the run's parameters. A path without its braces is plain text. A path that the object does not have makes the condition not true.

Different from upstream: a value of the object is always text to the template and can neither break nor extend it; a broken condition is an error at once.`,
		Args:    waitArgs(Arg{Name: "timeout", Type: String, Form: Duration, Required: true, Doc: "How long to wait, as a Go duration (5m). Rendered."}),
		Effects: waitEffects,
		Rules:   waitRules,
		Repeat:  true, Raw: true,
		Example: `- func: Wait
  name: waitNsReady
  args:
    timeout: 60s
    conditions:
      allOf:
        - condition: '{{ if (eq "{ $.status.phase }" "Invalid")}}false{{ else }}true{{ end }}'
          objectReference:
            apiVersion: v1
            resource: namespaces
            name: "{{ .Namespace.Name }}"
        - condition: '{{ if (eq "{ $.status.phase }" "Active")}}true{{ else }}false{{ end }}'
          objectReference:
            apiVersion: v1
            resource: namespaces
            name: "{{ .Namespace.Name }}"
`,
	},
}
