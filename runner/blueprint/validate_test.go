package blueprint_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

func TestValidateGood(t *testing.T) {
	t.Parallel()

	b, err := blueprint.Load("pg.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}

	if findings := blueprint.Validate(b, blueprint.Options{Functions: upstreamFunctions}); len(findings) > 0 {
		t.Fatal(findings)
	}

	if findings := blueprint.Validate(b, blueprint.Options{}); len(findings) > 0 {
		t.Fatal(findings)
	}
}

// phases wraps phases into a blueprint; the first line of them is line 6.
func phases(text string) string {
	return "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions:\n  backup:\n    phases:\n" + text
}

func TestValidate(t *testing.T) {
	t.Parallel()

	// task is a phase of one line, with more arguments; its outputs are open.
	task := func(name, more string) string {
		return "    - {func: KubeTask, name: " + name + ", args: {image: i, command: [a]" + more + "}}\n"
	}
	scale := "    - {func: ScaleWorkload, name: scale, args: {replicas: 0}}\n"

	for name, tc := range map[string]struct {
		file string
		want []string // each must be in a finding; no other findings may be there
	}{
		"unknown function": {
			phases("    - {func: KubeTaks, name: a}\n"),
			[]string{`f.yaml:6:14: actions.backup.phases[0].func: there is no function "KubeTaks" (did you mean "KubeTask"?)`},
		},
		"unknown argument": {
			phases("    - func: KubeTask\n      name: a\n      args:\n        image: x\n        comand: [a]\n        command: [b]\n"),
			[]string{`f.yaml:10:9: actions.backup.phases[0].args.comand: KubeTask has no argument "comand"`},
		},
		"missing arguments": {
			phases("    - func: KubeTask\n      name: a\n      args:\n        namespace: x\n"),
			[]string{`f.yaml:8:7: actions.backup.phases[0].args: KubeTask needs the arguments "image", "command"`},
		},
		"no arguments": {
			phases("    - func: ScaleWorkload\n      name: a\n"),
			[]string{`f.yaml:6:13: actions.backup.phases[0].args: ScaleWorkload needs the argument "replicas"`},
		},
		"null is missing": {
			phases("    - {func: ScaleWorkload, name: a, args: {replicas: }}\n"), []string{`needs the argument "replicas"`},
		},
		"alias": {
			phases("    - {func: BackupDataStats, name: a, args: {namespace: x, backupArtifactPrefix: p, backupID: i, mode: raw-data}}\n"), nil,
		},
		"alias twice": {
			phases("    - {func: BackupDataStats, name: a, args: {namespace: x, backupArtifactPrefix: p, backupID: i, mode: m, statsMode: x}}\n"),
			[]string{"statsMode and mode are spellings of the same argument"},
		},
		"one of none": {
			phases("    - {func: DeleteData, name: a, args: {namespace: x, backupArtifactPrefix: p}}\n"),
			[]string{"DeleteData needs one of the arguments backupID, backupTag"},
		},
		"one of both": {
			phases("    - {func: DeleteData, name: a, args: {namespace: x, backupArtifactPrefix: p, backupID: a, backupTag: b}}\n"),
			[]string{"DeleteData takes only one of the arguments backupID, backupTag"},
		},
		"one of both, perhaps": {
			phases("    - {func: DeleteData, name: a, args: {namespace: x, backupArtifactPrefix: p, backupID: '{{ .Time }}', backupTag: b}}\n"),
			[]string{"warning: actions.backup.phases[0].args: DeleteData takes only one"},
		},
		"one of both, one empty": {
			phases("    - {func: DeleteData, name: a, args: {namespace: x, backupArtifactPrefix: p, backupID: '', backupTag: b}}\n"), nil,
		},
		"argument names may be rendered": {
			phases("    - {func: ScaleWorkload, name: a, args: {'{{ .Time }}': 1}}\n"), nil,
		},
		"wrong types": {
			phases("    - {func: KubeTask, name: a, args: {image: [x], command: {a: b}, podOverride: text, podLabels: {a: [b]}}}\n"),
			[]string{
				"args.command: wrong type: command takes a list of texts, not a mapping",
				"args.image: wrong type: image takes text, not a list",
				`args.podOverride: wrong type: podOverride takes a mapping, not the text "text"`,
				"args.podLabels.a: wrong type: podLabels takes a mapping of texts, not a list",
			},
		},
		"weak types": {
			phases("    - {func: ScaleWorkload, name: a, args: {replicas: '3', waitForReady: 'true', name: 5, namespace: '{{ .Time }}'}}\n" +
				"    - {func: KubeTask, name: b, args: {image: i, command: ls -l}}\n"),
			nil,
		},
		"no number": {
			phases("    - {func: ScaleWorkload, name: a, args: {replicas: two, waitForReady: yep}}\n"),
			[]string{`replicas takes a whole number, not the text "two"`, `waitForReady takes true or false, not the text "yep"`},
		},
		"boolean as text": {
			phases("    - {func: ScaleWorkload, name: a, args: {replicas: 1, name: true}}\n"),
			[]string{`warning: actions.backup.phases[0].args.name: the boolean true becomes the text "1" here`},
		},
		"labels": {
			phases(task("a", ", podLabels: {'a b': c, ok: 'd e', '{{ .Time }}': x}, podAnnotations: {a/b/c: x}")),
			[]string{`"a b" is no valid key`, `"d e" is no valid label value`, `"a/b/c" is no valid key`},
		},
		"duplicate phase": {
			phases(task("a", "") + task("a", "")),
			[]string{`f.yaml:7:30: actions.backup.phases[1].name: the phase name "a" stands twice in this action`},
		},
		"duplicate phase between actions": {
			phases(task("a", "")) + "  other:\n    phases:\n" + task("a", ""),
			[]string{`warning: actions.other.phases[0].name: the phase name "a" is used by action "backup" too`},
		},
		"template does not parse": {
			phases("    - func: KubeTask\n      name: a\n      args:\n        image: i\n        command:\n        - sh\n        - |\n          one\n            two {{ fromJsn 1 }}\n"),
			[]string{`f.yaml:14:20: actions.backup.phases[0].args.command[1]: the template does not parse: the template language has no function "fromJsn" (did you mean "fromJson"?)`},
		},
		"template in a quoted text": {
			phases("    - {func: KubeTask, name: a, args: {image: 'x{{ nope }}', command: [a]}}\n"),
			[]string{`f.yaml:6:52: actions.backup.phases[0].args.image: the template does not parse`},
		},
		"template in a key": {
			phases(task("a", ", podLabels: {'{{ if }}': x}")), []string{"does not parse: missing value for if"},
		},
		"template in objects": {
			phases("    - {func: KubeTask, name: a, args: {image: i, command: [a]}, objects: {s: {kind: Secret, name: '{{ .a'}}}\n"),
			[]string{"objects.s.name: the template does not parse: unclosed action"},
		},
		"folded text": {
			phases("    - func: KubeTask\n      name: a\n      args:\n        image: i\n        command: [a]\n        namespace: >-\n          x\n          {{ .Nope }}\n"),
			[]string{"f.yaml:13:14: actions.backup.phases[0].args.namespace: .Nope: there is no such parameter"},
		},
		"artifacts": {
			phases(task("a", "")) + "    outputArtifacts: {x: {keyValue: {k: '{{ .Phases.b.Output.v }}', l: '{{ .Phases.a.Output.v }}'}, kopiaSnapshot: '{{'}}\n",
			[]string{`keyValue.k: .Phases.b.Output.v: no earlier phase of action "backup" is named "b"`, "kopiaSnapshot: the template does not parse"},
		},
		"later phase": {
			phases(task("a", ", namespace: '{{ .Phases.b.Output.x }}'") + task("b", "")),
			[]string{`.Phases.b.Output.x: phase "b" runs later`},
		},
		"unknown phase": {
			phases(task("dump", "") + task("b", ", namespace: '{{ .Phases.dmup.Output.x }}'")),
			[]string{`.Phases.dmup.Output.x: no earlier phase of action "backup" is named "dmup" (did you mean "dump"?)`},
		},
		"unknown phase by index": {
			phases(task("dump", "") + task("b", `, namespace: '{{ (index .Phases "dmup").Output.x }}'`)),
			[]string{`.Phases.dmup.Output.x: no earlier phase`},
		},
		"by variable, with and range": {
			phases(task("dump", "") + task("b", `, namespace: '{{ $p := .Phases }}{{ with $p.nope }}{{ .Output.x }}{{ end }}{{ range $.Phases.gone.Output }}{{ .Foo }}{{ end }}'`)),
			[]string{
				`.Phases.nope: no earlier phase`, `warning: actions.backup.phases[1].args.namespace: .Phases.nope.Output.x: no earlier`,
				`.Phases.gone.Output: no earlier phase`,
			},
		},
		"own output": {
			phases(task("a", ", namespace: '{{ .Phases.a.Output.x }}'")), []string{"this is the phase's own output"},
		},
		"own secret": {
			phases("    - {func: KubeTask, name: a, objects: {s: {kind: Secret, name: x}, c: {kind: ConfigMap, name: x}}, args: {image: '{{ .Phases.a.Secrets.s.Data.x }}', " +
				"namespace: '{{ .Phases.a.ConfigMaps.c.Data.y }}', command: ['{{ .Phases.a.Secrets.t.Data.x }}', '{{ .Phases.a.Secrets.c.Data.x }}']}}\n"),
			[]string{`phase "a" has no object "t"`, `object "c" of phase "a" is of kind "ConfigMap"`},
		},
		"unknown output": {
			phases(scale + task("b", ", namespace: '{{ .Phases.scale.Output.originalReplicaCnt }}'")),
			[]string{`ScaleWorkload gives no output "originalReplicaCnt"; it gives originalReplicaCount (did you mean "originalReplicaCount"?)`},
		},
		"no outputs": {
			phases("    - {func: LocationDelete, name: a, args: {artifact: x}}\n" + task("b", ", namespace: '{{ .Phases.a.Output.x }}'")),
			[]string{`LocationDelete gives no output "x"; it gives none`},
		},
		"known output":    {phases(scale + task("b", ", namespace: '{{ .Phases.scale.Output.originalReplicaCount }}'")), nil},
		"open outputs":    {phases(task("a", "") + task("b", ", namespace: '{{ .Phases.a.Output.whatever }}'")), nil},
		"whole output":    {phases(scale + task("b", ", namespace: '{{ toJson .Phases.scale.Output }}'")), nil},
		"soft output":     {phases(scale + task("b", `, namespace: '{{ index .Phases.scale.Output "x" }}'`)), []string{"warning: "}},
		"member of phase": {phases(scale + task("b", ", namespace: '{{ .Phases.scale.Outputs.x }}'")), []string{`.Phases.scale has no "Outputs"; it has ConfigMaps, Output, Secrets (did you mean "Output"?)`}},
		"conditional": {
			phases(task("a", ", namespace: '{{ if .Options }}{{ .Phases.b.Output.x }}{{ end }}'") + task("b", "")),
			[]string{`warning: actions.backup.phases[0].args.namespace: .Phases.b.Output.x: phase "b" runs later`},
		},
		"objects read a phase": {
			phases(task("a", "") + "    - {func: KubeTask, name: b, args: {image: i, command: [a]}, objects: {s: {kind: Secret, name: '{{ .Phases.a.Output.x }}'}}}\n"),
			[]string{"objects are rendered before the first phase runs"},
		},
		"objects of other kinds": {
			phases("    - {func: KubeTask, name: b, args: {image: i, command: [a]}, objects: {s: {kind: secrets, name: x}, t: {kind: Secret}}}\n"),
			[]string{`warning: actions.backup.phases[0].objects.s.kind: only Secrets and ConfigMaps are fetched; an object of kind "secrets"`, "objects.t.name: name is missing"},
		},
		"defer phase": {
			phases(scale) + "    deferPhase: {func: ScaleWorkload, objects: {s: {kind: Secret, name: x}}, args: {replicas: '{{ .Phases.scale.Output.originalReplicaCount }}', " +
				"name: '{{ .DeferPhase.Secrets.s.Data.x }}', namespace: '{{ .DeferPhase.Output.y }}', kind: '{{ .DeferPhase.Secrets.t.Data.x }}'}}\n",
			[]string{
				`warning: actions.backup.deferPhase.args.replicas: .Phases.scale.Output.originalReplicaCount: when phase "scale" does not complete`,
				"this is the phase's own output", `has no object "t"`,
			},
		},
		"defer phase too early": {
			phases(task("a", ", namespace: '{{ .DeferPhase.Output.x }}'")) + "    deferPhase: {func: ScaleWorkload, args: {replicas: 1}}\n",
			[]string{"the deferPhase runs later"},
		},
		"no defer phase": {
			phases(task("a", ", namespace: '{{ .DeferPhase.Output.x }}'")), []string{`action "backup" has no deferPhase`},
		},
		"unknown parameter": {
			phases(task("a", ", namespace: '{{ .Statefulset.Name }}'")), []string{".Statefulset.Name: there is no such parameter", `(did you mean "StatefulSet"?)`},
		},
		"unknown member": {
			phases(task("a", ", namespace: '{{ .StatefulSet.Pod }} {{ .Profile.Location.bucket }} {{ .ArtifactsIn.x.keyValue.y }}'")),
			[]string{`.StatefulSet has no "Pod"`, `.Profile.Location has no "bucket"`, `.ArtifactsIn.x has no "keyValue"`},
		},
		"parameters of any shape": {
			phases(task("a", `, namespace: '{{ .Object.spec.anything }}{{ index .Object.metadata.labels "a/b" }}{{ .ConfigMaps.x.Data.y }}{{ .Secrets.x.Data.y | toString }}{{ .Options }}{{ .Profile.Credential.Secret.Data.x }}'`)), nil,
		},
		"names of the lists": {
			"apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions:\n  backup:\n    inputArtifactNames: [dump]\n    secretNames: [creds]\n    configMapNames: [loc]\n    phases:\n" +
				task("a", ", namespace: '{{ .ArtifactsIn.dmup.KeyValue.x }}{{ .Secrets.cred.Data.x }}{{ .ConfigMaps.loc.Data.x }}'"),
			[]string{
				`warning: actions.backup.phases[0].args.namespace: .ArtifactsIn.dmup.KeyValue.x: "dmup" is not among the action's inputArtifactNames (did you mean "dump"?)`,
				`warning: actions.backup.phases[0].args.namespace: .Secrets.cred.Data.x: "cred" is not among`,
			},
		},
		"artifacts of the blueprint": {
			phases(task("a", "")) + "    outputArtifacts: {dump: {keyValue: {path: x}}}\n  restore:\n    phases:\n" +
				task("b", ", namespace: '{{ .ArtifactsIn.dump.KeyValue.path }}{{ .ArtifactsIn.dump.KeyValue.pth }}{{ .ArtifactsIn.dumb.KeyValue.path }}'"),
			[]string{`warning: actions.restore.phases[0].args.namespace: .ArtifactsIn.dump.KeyValue.pth: artifact "dump" has no key "pth"`, `gives an artifact "dumb" (did you mean "dump"?)`},
		},
		"options": {
			phases(task("a", `, namespace: '{{ default "x" .Options.a }}{{ .Options.b | default "x" }}{{ if .Options.c }}{{ .Options.c }}{{ end }}{{ if .Options }}{{ .Options.d }}{{ end }}'`)),
			[]string{`option "a"`, `option "b"`, `option "c"`, `another one than "d"`},
		},
		"options done right": {
			phases(task("a", `, namespace: '{{ .Options.must }}{{ index .Options "a" | default "x" }}{{ if index .Options "c" }}{{ .Options.c }}{{ end }}{{ if hasKey .Options "d" }}{{ index .Options "d" }}{{ end }}'`)), nil,
		},
		"constant waits": {
			phases("    - func: Wait\n      name: a\n      args:\n        timeout: 1m\n        conditions:\n          anyOf:\n          - condition: '{{ if \"$.status\" }}true{{ end }}'\n          - condition: '{{ if (eq \"{ $.status }\" \"x\") }}true{{ end }}'\n" +
				"    - func: WaitV2\n      name: b\n      args:\n        timeout: '{{ .Time }}'\n        conditions:\n          allOf:\n          - condition: 'true'\n          - condition: '{{ exists . \"x\" }}'\n          - condition: '{{ upper .x }}'\n            objectReference: {name: '{{ .Phases.nope.Output.x }}'}\n"),
			[]string{
				"f.yaml:12:24: warning: actions.backup.phases[0].args.conditions.anyOf[0].condition: the condition is constant", "WaitV2 does not render its timeout",
				"allOf[0].condition: the condition is constant", `has no function "upper"`, `objectReference.name: .Phases.nope.Output.x: no earlier phase`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b, err := blueprint.Load("f.yaml", []byte(tc.file))
			if err != nil {
				t.Fatalf("loading: %v", err)
			}

			findings := blueprint.Validate(b, blueprint.Options{Functions: upstreamFunctions})
			rest := slices.Clone(findings)

			for _, want := range tc.want {
				before := len(rest)
				if rest = slices.DeleteFunc(rest, func(f blueprint.Finding) bool { return strings.Contains(f.String(), want) }); len(rest) == before {
					// One finding may carry several of the wanted words.
					if !slices.ContainsFunc(findings, func(f blueprint.Finding) bool { return strings.Contains(f.String(), want) }) {
						t.Errorf("no finding with %q in\n%v", want, findings)
					}
				}
			}

			if len(rest) > 0 {
				t.Errorf("unexpected:\n%v", rest)
			}
		})
	}
}

func TestValidateUnknownFunctionAllowed(t *testing.T) {
	t.Parallel()

	b, err := blueprint.Load("f.yaml", []byte(phases("    - {func: MyOwn, name: a, args: {x: '{{ .Time }}'}}\n")))
	if err != nil {
		t.Fatal(err)
	}

	findings := blueprint.Validate(b, blueprint.Options{Functions: upstreamFunctions, AllowUnknownFunctions: true})
	if len(findings) != 1 || findings.Err() != nil || len(findings.Warnings()) != 1 {
		t.Errorf("findings %v", findings)
	}

	if findings := blueprint.Validate(b, blueprint.Options{Functions: upstreamFunctions}); findings.Err() == nil {
		t.Error("an unknown function passed")
	}
}
