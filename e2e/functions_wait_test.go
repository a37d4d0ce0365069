//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubectl-kanister/kubectl-kanister/runner/kube"
	"github.com/kubectl-kanister/kubectl-kanister/runner/params"
)

// until is a call of Wait or WaitV2 with conditions about one object.
func until(timeout string, lists map[string][]string, reference map[string]any) map[string]any {
	conditions := map[string]any{}

	for list, texts := range lists {
		var all []any
		for _, text := range texts {
			all = append(all, map[string]any{"condition": text, "objectReference": reference})
		}

		conditions[list] = all
	}

	return map[string]any{"timeout": timeout, "conditions": conditions}
}

func TestFunctionWaitConditions(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	w.Apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: cm, labels: {app: web}}
data:
  color: green
  number: "3"
  odd: "say \"}} {{ print 1 }}\" \\ ` + "`x`" + `"
  empty: ""
`)

	const yes, no = `{{ eq $.data.color "green" }}`, `{{ eq $.data.color "red" }}`

	for name, tc := range map[string]struct {
		function string
		args     map[string]any
		missing  []string // nil: the condition is met
	}{
		"any of two":        {"WaitV2", until("20s", map[string][]string{"anyOf": {no, yes}}, w.reference("configmaps", "cm")), nil},
		"any before all":    {"WaitV2", until("20s", map[string][]string{"anyOf": {yes}, "allOf": {no}}, w.reference("configmaps", "cm")), nil},
		"all":               {"WaitV2", until("20s", map[string][]string{"anyOf": {no}, "allOf": {yes, yes}}, w.reference("configmaps", "cm")), nil},
		"not all":           {"WaitV2", until("1s", map[string][]string{"allOf": {yes, no}}, w.reference("configmaps", "cm")), []string{"allOf[1]", `configmaps "cm"`, `renders to "false"`}},
		"nothing rendered":  {"WaitV2", until("1s", map[string][]string{"anyOf": {`{{ if eq $.data.color "red" }}true{{ end }}`}}, w.reference("configmaps", "cm")), []string{"renders to nothing"}},
		"not evaluated":     {"WaitV2", until("1s", map[string][]string{"anyOf": {`{{ index $.status.conditions 0 }}`}}, w.reference("configmaps", "cm")), []string{"cannot be evaluated", "index"}},
		"missing key":       {"WaitV2", until("1s", map[string][]string{"anyOf": {`{{ $.status.phase }}`}}, w.reference("configmaps", "cm")), []string{"no value"}},
		"no such object":    {"WaitV2", until("1s", map[string][]string{"anyOf": {yes}}, w.reference("configmaps", "nowhere")), []string{`configmaps "nowhere"`, "does not exist"}},
		"kubectl's exists":  {"WaitV2", until("20s", map[string][]string{"anyOf": {"\n{{ if exists . \"data\" \"color\" }}\n true \n{{ end }}"}}, w.reference("configmaps", "cm")), nil},
		"path":              {"Wait", until("20s", map[string][]string{"allOf": {`{{ if (eq "{ $.data.color }" "green")}}true{{ else }}false{{ end }}`}}, w.reference("configmaps", "cm")), nil},
		"paths, sprig":      {"Wait", until("20s", map[string][]string{"anyOf": {`{{ and (eq ("{$.data.color}" | upper) "GREEN") (gt (int "{.x}" ) -1) (eq {$.data.number} 3) }}`}}, w.reference("configmaps", "cm")), nil},
		"odd value":         {"Wait", until("20s", map[string][]string{"anyOf": {`{{ if contains "print 1" "{ $.data.odd }" }}true{{ end }}`}}, w.reference("configmaps", "cm")), nil},
		"odd value in text": {"Wait", until("1s", map[string][]string{"anyOf": {`{ $.data.odd }`}}, w.reference("configmaps", "cm")), []string{"print 1"}},
		"blank":             {"Wait", until("1s", map[string][]string{"anyOf": {"{{ if \"{$.data.empty}\" }}\n true\n{{ else }}\n false\n{{ end }}"}}, w.reference("configmaps", "cm")), []string{`"false"`}},
		"missing path":      {"Wait", until("1s", map[string][]string{"anyOf": {`{{ if "{ $.status.finishTime }" }}true{{ end }}`}}, w.reference("configmaps", "cm")), []string{"cannot be evaluated", "status is not found"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := w.Call("wait")
			c.World = &World{T: t, Namespace: w.Namespace, Client: w.Client, Dynamic: w.Dynamic, Config: w.Config}
			_, err := c.Do(t.Context(), tc.function, tc.args)

			if tc.missing == nil {
				if err != nil {
					t.Error(err)
				}

				return
			}

			if !kube.IsReason(err, kube.ReasonTimeout) {
				t.Fatalf("error %v, want a timeout", err)
			}

			for _, part := range tc.missing {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %v", part, err)
				}
			}
		})
	}
}

// Broken conditions, unknown resources and missing rights are errors at once, whatever the timeout.
func TestFunctionWaitRefuses(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	object := w.reference("configmaps", "nothing")
	one := func(text string) map[string][]string { return map[string][]string{"anyOf": {text}} }

	for name, tc := range map[string]struct {
		function string
		args     map[string]any
		says     []string
	}{
		"template":     {"WaitV2", until("5m", one(`{{ if $.x }}`), object), []string{`"conditions"`, "anyOf[0]", "does not parse", "unexpected EOF"}},
		"function":     {"WaitV2", until("5m", one(`{{ upper $.x }}`), object), []string{"anyOf[0]", `"upper"`}},
		"template V1":  {"Wait", until("5m", one(`{{ if "{ $.x }" }}`), object), []string{"anyOf[0]", "does not parse"}},
		"path":         {"Wait", until("5m", one(`{{ if "{ $.x[ }" }}true{{ end }}`), object), []string{"anyOf[0]", `"$.x["`}},
		"brace":        {"Wait", until("5m", one(`{ $.x`), object), []string{"no closing brace"}},
		"timeout":      {"WaitV2", until("{{ 5m }}", one("{{ $.x }}"), object), []string{`"timeout"`, "duration"}},
		"no condition": {"WaitV2", map[string]any{"timeout": "5m", "conditions": map[string]any{"anyOf": []any{}}}, []string{`"conditions"`, "anyOf or allOf"}},
		"list":         {"WaitV2", map[string]any{"timeout": "5m", "conditions": map[string]any{"anyof": []any{}}}, []string{`did you mean "anyOf"`}},
		"field":        {"WaitV2", until("5m", one("{{ $.x }}"), map[string]any{"resources": "pods"}), []string{`did you mean "resource"`}},
		"name":         {"WaitV2", until("5m", one("{{ $.x }}"), w.reference("configmaps", "{{ .Options.x }}")), []string{"objectReference: name"}},
		"resource":     {"WaitV2", until("5m", one("{{ $.x }}"), w.reference("configmap", "x")), []string{"anyOf[0]", `did you mean "configmaps"`}},
	} {
		began := time.Now()
		_, err := w.Call("refuses").Do(t.Context(), tc.function, tc.args)

		if err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%s: after %s: %v", name, time.Since(began), err)

			continue
		}

		for _, part := range tc.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %v", name, part, err)
			}
		}
	}

	// Somebody without rights.
	config := rest.CopyConfig(w.Config)
	config.Impersonate.UserName = "nobody-" + w.Namespace

	c := w.Call("refuses")

	client, err := kube.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}

	c.Kube = client

	for _, reference := range []map[string]any{object, {"apiVersion": "v1", "resource": "namespaces", "name": w.Namespace}} {
		if _, err := c.Do(t.Context(), "WaitV2", until("5m", one("{{ $.x }}"), reference)); !kube.IsReason(err, kube.ReasonAccessDenied) {
			t.Errorf("without rights: %v", err)
		}
	}
}

// Objects that come, change and go while they are waited for; several at once; a group that appears; a cancel.
func TestFunctionWaitChanges(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)

	// after acts when the call says text, and gives when it did.
	after := func(c *call, text string, act func()) <-chan time.Time {
		acted := make(chan time.Time, 1)

		go func() {
			for end := time.Now().Add(time.Minute); !c.notes.said(text) && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}

			act()
			acted <- time.Now()
		}()

		return acted
	}

	c := w.Call("comes")
	c.Run.Params = &params.TemplateParams{Options: map[string]string{"name": "late"}}
	args := map[string]any{"timeout": "60s", "conditions": map[string]any{"allOf": []any{
		map[string]any{"condition": `{{ eq $.data.ready "yes" }}`, "objectReference": w.reference("configmaps", "{{ .Options.name }}")},
		map[string]any{"condition": `{{ eq $.status.phase "Active" }}`, "objectReference": map[string]any{"apiVersion": "v1", "resource": "namespaces", "name": w.Namespace}},
	}}}
	acted := after(c, "does not exist", func() { w.Apply(configMap("late") + "data: {ready: \"yes\"}\n") })

	c.MustDo("WaitV2", args)

	if took := time.Since(<-acted); took > 1500*time.Millisecond {
		t.Errorf("seen only %s after the change", took)
	}

	// A group that the cluster serves later.
	w.dropFromCluster(ofCluster[0], "things."+w.Namespace+".example.org")

	c = w.Call("group")
	acted = after(c, "does not serve", func() {
		w.Apply(thing)
		w.Kubectl("wait", "--for=condition=Established", "crd/things."+w.Namespace+".example.org", "--timeout=30s")
		w.Eventually(20*time.Second, func() string {
			r := w.run(w.Context(), []byte("apiVersion: "+w.Namespace+".example.org/v1\nkind: Thing\nmetadata: {name: one}\nspec: {count: 1}\n"), env(t, "KUBECTL"), "-n", w.Namespace, "apply", "-f", "-")

			return r.Stderr
		})
	})

	if _, err := c.Do(t.Context(), "Wait", map[string]any{"timeout": "90s", "conditions": map[string]any{"anyOf": []any{map[string]any{
		"condition": `{{ eq "{$.spec.count}" "1" }}`, "objectReference": map[string]any{"apiVersion": "v1", "group": w.Namespace + ".example.org", "resource": "things", "name": "one", "namespace": w.Namespace},
	}}}}); err != nil {
		t.Error(err)
	}

	<-acted // kubectl has not ended when its object is seen

	// A cancel says what was missing.
	c = w.Call("cancel")
	ctx, cancel := context.WithCancel(t.Context())
	acted = after(c, "renders to", cancel)

	began := time.Now()
	if _, err := c.Do(ctx, "WaitV2", until("5m", map[string][]string{"anyOf": {`{{ eq $.data.ready "never" }}`}}, w.reference("configmaps", "late"))); err == nil ||
		time.Since(began) > 30*time.Second || !strings.Contains(err.Error(), `renders to "false"`) {
		t.Errorf("cancelled after %s: %v", time.Since(began), err)
	}

	<-acted
}

// A wait that ends by its timeout, through the plugin: the record says what was seen last, the rules are exact. The reference's
// own example of Wait can never be met: no phase is Invalid and Active.
func TestWaitTimeoutThroughThePlugin(t *testing.T) {
	t.Parallel()

	w := NewWorld(t)
	run := w.Exactly(3, "run", "test", "ns/"+w.Namespace, "--blueprint", w.Blueprint(`    phases:
      - func: Wait
        name: waitNsReady
        args:
          timeout: 2s
          conditions:
            allOf:
              - condition: '{{ if (eq "{ $.status.phase }" "Invalid")}}true{{ else }}false{{ end }}'
                objectReference:
                  apiVersion: v1
                  resource: namespaces
                  name: "{{ .Namespace.Name }}"
              - condition: '{{ if (eq "{ $.status.phase }" "Active")}}true{{ else }}false{{ end }}'
                objectReference:
                  apiVersion: v1
                  resource: namespaces
                  name: "{{ .Namespace.Name }}"
`))

	if e := run.Error; e == nil || e.Reason != kube.ReasonTimeout || !strings.Contains(e.Message, `allOf[0] of namespaces "`+w.Namespace+`": it renders to "false"`) ||
		strings.Contains(e.Message, "allOf[1]") || !strings.Contains(e.Hint, "kubectl get namespaces "+w.Namespace) {
		t.Errorf("error %+v", e)
	}
}
