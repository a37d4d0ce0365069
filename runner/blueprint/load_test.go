package blueprint_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-kanister/kubectl-kanister/runner/blueprint"
)

const good = `# a blueprint as people write them
apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata:
  name: pg
  labels: {a: b}
  managedFields: null
actions:
  backup:
    kind: StatefulSet
    outputArtifacts:
      dump:
        keyValue:
          path: '{{ .Phases.dump.Output.path }}'
    phases:
    - func: KubeTask
      name: dump
      objects:
        creds:
          kind: Secret
          name: '{{ .Object.metadata.name }}'
          namespace: '{{ .StatefulSet.Namespace }}'
      args: &args
        image: postgres
        namespace: "{{ .StatefulSet.Namespace }}"
        command:
        - bash
        - -c
        - |
          echo {{ index .Secrets.creds.Data "password" | toString }}
          kando output path x
        podOverride:
          i: 3
          f: 1.5
          t: true
          b: yes
          z: null
          o: 0755
          s: "yes"
          n: key
          big: 123456789012
    deferPhase:
      func: ScaleWorkload
      args: {replicas: 1}
  delete:
    phases:
    - func: KubeTask
      name: remove
      args:
        <<: *args
        image: other
`

func TestLoad(t *testing.T) {
	t.Parallel()

	b, err := blueprint.Load("pg.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}

	args := b.Actions["backup"].Phases[0].Args

	want := map[string]any{
		"i": int64(3), "f": 1.5, "t": true, "b": true, "false": "key", "z": nil, "o": int64(493), "s": "yes", "big": int64(123456789012),
	}
	if d := cmp.Diff(want, args["podOverride"]); d != "" {
		t.Error(d)
	}

	merged := b.Actions["delete"].Phases[0].Args
	if merged["image"] != "other" || len(merged["command"].([]any)) != 3 {
		t.Errorf("merge key: %v", merged)
	}

	if b.Name != "pg" || b.Labels["a"] != "b" || b.Actions["backup"].DeferPhase.Args["replicas"] != int64(1) {
		t.Errorf("loaded %+v", b)
	}

	// As JSON it is the same document, Source left out.
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}

	again, err := blueprint.Load("pg.json", data)
	if err != nil {
		t.Fatal(err)
	}

	if d := cmp.Diff(b, again); d != "" {
		t.Errorf("JSON round trip: %s", d)
	}
}

// replace edits the good blueprint; the old text must be there.
func replace(t *testing.T, old, with string) string {
	t.Helper()

	if !strings.Contains(good, old) {
		t.Fatalf("the test blueprint has no %q", old)
	}

	return strings.Replace(good, old, with, 1)
}

func TestLoadFindings(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		old, with string
		file      string // instead of old and with
		want      []string
	}{
		"unknown field of a phase": {
			old: "      name: dump\n", with: "      name: dump\n      argz: {}\n",
			want: []string{`f.yaml:18:7: actions.backup.phases[0].argz: unknown field "argz" (did you mean "args"?)`},
		},
		"unknown field of an action": {
			old: "    phases:", with: "    phasse: []\n    phases:",
			want: []string{`f.yaml:15:5: actions.backup.phasse: unknown field "phasse" (did you mean "phases"?)`},
		},
		"unknown field at the top": {
			old: "actions:", with: "spec:\n  actions:\nactions:",
			want: []string{"f.yaml:8:1: spec: unknown field \"spec\": a Blueprint has no spec, its actions stand at the top level"},
		},
		"unknown field of an object": {
			old: "          kind: Secret", with: "          kind: Secret\n          nme: x",
			want: []string{`nme: unknown field "nme" (did you mean "name"?)`},
		},
		"key twice": {
			old: "        image: postgres\n", with: "        image: postgres\n        image: mysql\n",
			want: []string{`f.yaml:25:9: actions.backup.phases[0].args.image: the key "image" stands here twice, first on line 24`},
		},
		"wrong types": {
			old: "  name: pg\n", with: "  name: pg\n  generation: many\n",
			want: []string{"metadata"},
		},
		"several at once, in order": {
			file: "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions:\n  a:\n    phases: {}\n    typ: x\n  b:\n    phases:\n    - nme: x\n  c:\n    phases: []\n  d:\n",
			want: []string{
				"f.yaml:5:13: actions.a.phases: wrong type: a list is expected here, not a mapping",
				`f.yaml:6:5: actions.a.typ: unknown field "typ" (did you mean "type"?)`,
				`f.yaml:9:7: actions.b.phases[0].nme: unknown field "nme" (did you mean "name"?)`,
				"f.yaml:10:3: actions.c.phases: the action has no phases",
				"f.yaml:12:3: actions.d: the action is empty; it needs phases",
			},
		},
		"phase without func and name": {
			file: "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions:\n  a:\n    phases:\n    - args: {}\n",
			want: []string{"phases[0].func: func is missing", "phases[0].name: name is missing"},
		},
		"text is a number": {
			old: "      name: dump\n", with: "      name: 5\n",
			want: []string{`wrong type: text is expected here, not the number 5; write it in quotes: "5"`},
		},
		"text is yes": {
			old: "      name: dump\n", with: "      name: yes\n",
			want: []string{`not the boolean yes; write it in quotes: "yes"`},
		},
		"wrong apiVersion": {
			old: "cr.kanister.io/v1alpha1", with: "cr.kanister.io/v1",
			want: []string{`f.yaml:2:13: apiVersion: apiVersion of a Blueprint is cr.kanister.io/v1alpha1, not "cr.kanister.io/v1"`},
		},
		"apiVersion misspelt": {
			old: "cr.kanister.io/v1alpha1", with: "cr.kanster.io/v1alpha1", want: []string{"f.yaml:2:13: apiVersion"},
		},
		"wrong kind": {
			old: "kind: Blueprint", with: "kind: BluePrint",
			want: []string{`f.yaml:3:7: kind: there is no kind "BluePrint" in cr.kanister.io/v1alpha1 (did you mean "Blueprint"?)`},
		},
		"no kind":         {old: "kind: Blueprint\n", with: "", want: []string{"kind is missing; a document with actions is a Blueprint"}},
		"no apiVersion":   {old: "apiVersion: cr.kanister.io/v1alpha1\n", with: "", want: []string{"apiVersion is missing"}},
		"no actions":      {file: "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nmetadata: {name: x}\n", want: []string{"actions: there are no actions"}},
		"empty":           {file: "\n---\n# nothing\n", want: []string{"f.yaml: there is no Blueprint in this file"}},
		"a list":          {file: "- a\n", want: []string{"f.yaml:1:1: wrong type: a mapping with apiVersion and kind is expected here, not a list"}},
		"other kinds":     {file: "apiVersion: v1\nkind: ConfigMap\n", want: []string{"there is no Blueprint in this file; it has v1 ConfigMap"}},
		"two":             {file: good + "---\n" + good, want: []string{`there are 2 of kind Blueprint in this file ("pg", "pg"); keep one`}},
		"syntax":          {old: "actions:", with: "actions: [", want: []string{"f.yaml:", "this is no YAML"}},
		"tab":             {old: "  backup:", with: "\tbackup:", want: []string{"this is no YAML"}},
		"binary":          {file: "\x00\x01\x02", want: []string{"this is no YAML"}},
		"endless alias":   {file: "apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions: &a\n  x: *a\n", want: []string{"f.yaml"}},
		"infinite":        {old: "i: 3", with: "n: .inf", want: []string{`the value ".inf" cannot be kept as JSON; write it in quotes`}},
		"key is a list":   {old: "i: 3", with: "? [a]\n          : 3", want: []string{"a key must be text, not a list"}},
		"merge of a text": {old: "<<: *args", with: "<<: x", want: []string{"a merge key (<<) takes a mapping, not text"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			file := tc.file
			if file == "" {
				file = replace(t, tc.old, tc.with)
			}

			_, err := blueprint.Load("f.yaml", []byte(file))
			if err == nil {
				t.Fatal("loaded without a finding")
			}

			if _, ok := err.(blueprint.Findings); !ok { //nolint:errorlint // the contract says this very type
				t.Fatalf("error of type %T", err)
			}

			rest := err.Error()
			for _, want := range tc.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("no %q in order in\n%s", want, err)
				}

				rest = after
			}
		})
	}
}

// A bomb of aliases is small in the file and huge when it is written out.
func TestLoadAliasBomb(t *testing.T) {
	t.Parallel()

	var b strings.Builder

	b.WriteString("apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nx0: &x0 [a, a, a, a, a, a, a, a, a, a]\n")

	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "x%d: &x%d [%s]\n", i, i, strings.Join(slices.Repeat([]string{fmt.Sprintf("*x%d", i-1)}, 10), ", "))
	}

	b.WriteString("actions: {a: {phases: [{func: KubeTask, name: x, args: {a: *x11}}]}}\n")

	_, err := blueprint.Load("f.yaml", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "too deep or too large") {
		t.Fatalf("error %.300v", err)
	}
}

func TestLoadAll(t *testing.T) {
	t.Parallel()

	docs, err := blueprint.LoadAll("all.yaml", []byte(good+`---
apiVersion: cr.kanister.io/v1alpha1
kind: Profile
metadata: {name: s3, namespace: demo}
location: {type: s3Compliant, bucket: b, endpoint: "", prefix: "", region: r}
credential:
  type: keyPair
  keyPair: {idField: id, secretField: key, secret: {apiVersion: v1, kind: Secret, name: keys, namespace: demo}}
skipSSLVerify: false
---
apiVersion: v1
kind: Secret
metadata: {name: keys, creationTimestamp: null}
type: Opaque
data: {id: YWI=}
stringData: {key: "c d"}
---
apiVersion: v1
kind: List
items:
- apiVersion: cr.kanister.io/v1alpha1
  kind: ActionSet
  metadata: {generateName: backup-}
  spec:
    actions:
    - {name: backup, blueprint: pg, object: {kind: StatefulSet, name: pg, namespace: demo}, options: {a: b}}
  status: {state: complete, progress: {percentCompleted: "100"}, actions: [{name: backup, artifacts: {dump: {keyValue: {a: b}}}}]}
- apiVersion: cr.kanister.io/v1alpha1
  kind: RepositoryServer
  metadata: {name: rs}
  spec:
    storage: {secretRef: {name: a, namespace: b}, credentialSecretRef: {name: c, namespace: d}}
    repository: {rootPath: /x, passwordSecretRef: {name: p, namespace: q}}
    server:
      userAccess: {userAccessSecretRef: {name: u, namespace: v}, username: me}
      adminSecretRef: {name: x, namespace: w}
      tlsSecretRef: {name: t, namespace: u}
  status: {conditions: [], serverInfo: {serviceName: svc}, progress: Ready}
---
apiVersion: apps/v1
kind: Deployment
`))
	if err != nil {
		t.Fatal(err)
	}

	if len(docs.Blueprints) != 1 || len(docs.Profiles) != 1 || len(docs.Secrets) != 1 || len(docs.ActionSets) != 1 ||
		len(docs.RepositoryServers) != 1 || !reflect.DeepEqual(docs.Others, []string{"apps/v1 Deployment"}) {
		t.Fatalf("loaded %+v", docs)
	}

	if d := docs.Secrets[0].Data; string(d["id"]) != "ab" || string(d["key"]) != "c d" {
		t.Errorf("Secret data %q", d)
	}

	if a := docs.ActionSets[0].Status.Actions[0].Artifacts["dump"].KeyValue["a"]; a != "b" {
		t.Errorf("artifact of the ActionSet: %q", a)
	}

	if s := docs.RepositoryServers[0]; s.Status.ServerInfo.ServiceName != "svc" || s.Spec.Server.UserAccess.Username != "me" {
		t.Errorf("RepositoryServer %+v", s)
	}
}

func TestLoadOtherFindings(t *testing.T) {
	t.Parallel()

	const head = "apiVersion: cr.kanister.io/v1alpha1\nkind: "

	for name, tc := range map[string]struct{ file, want string }{
		"location type":  {head + "Profile\nlocation: {type: s3compliant}\n", `location.type: the location type must be one of s3Compliant, gcs, azure, kopia, filestore (did you mean "s3Compliant"?)`},
		"no location":    {head + "Profile\ncredential: {}\n", "location is missing"},
		"credential":     {head + "Profile\nlocation: {type: gcs}\ncredential: {type: keyPair}\n", "credential.keyPair: credential type keyPair needs keyPair"},
		"key pair field": {head + "Profile\nlocation: {type: gcs}\ncredential: {type: keyPair, keyPair: {idfield: x}}\n", `unknown field "idfield" (did you mean "idField"?)`},
		"no actions":     {head + "ActionSet\nspec: {}\n", "spec.actions: there are no actions"},
		"no action name": {head + "ActionSet\nspec: {actions: [{blueprint: x}]}\n", "spec.actions[0].name: name is missing"},
		"base64":         {"apiVersion: v1\nkind: Secret\ndata: {a: '!'}\n", "data.a: this is no base64; plain text belongs under stringData"},
		"server":         {head + "RepositoryServer\nspec: {repository: {rootpath: x}}\n", `unknown field "rootpath" (did you mean "rootPath"?)`},
	} {
		_, err := blueprint.LoadAll("f.yaml", []byte(tc.file))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("<<: {a: b}\n? {x: y}\n: z\n"))
	f.Add([]byte("apiVersion: cr.kanister.io/v1alpha1\nkind: Blueprint\nactions: {a: {phases: [{func: '{{', name: \"{{ .Phases }}\", args: {? !!int x : |2\n   {{}}\n}}]}}"))
	f.Add([]byte("\xef\xbb\xbf%YAML 1.1\n---\n!!binary x: !<tag:yaml.org,2002:merge> <<\n...\n"))

	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := blueprint.LoadAll("fuzz.yaml", data)
		if err != nil {
			if len(err.Error()) == 0 {
				t.Error("an error without a word")
			}

			return
		}

		for _, b := range docs.Blueprints {
			for _, finding := range blueprint.Validate(b, blueprint.Options{Functions: upstreamFunctions}) {
				if finding.Message == "" || finding.Line < 0 || finding.Column < 0 {
					t.Errorf("finding %+v", finding)
				}
			}
		}
	})
}
